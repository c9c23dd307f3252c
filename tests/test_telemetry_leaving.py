"""Leaving without the interpreter's own end: exec, os._exit, and children that are about to exec."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from autoperf.store import Store
from autoperf.telemetry import names
from tests.collector import HttpCollector
from tests.telemetry_process import begin, run, stored

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and exec")

RESTART = """
    with telemetry.span("turn"):
        with telemetry.span("done"): pass
        {leave}
"""


def attributes(home: Path) -> dict[str, dict[str, object]]:
    return {span["name"]: span["attributes"] for span in stored(home)}


@pytest.mark.parametrize(
    "leave",
    [
        "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
        "os.execve(sys.executable, [sys.executable, '-c', 'print(1)'], {**os.environ})",
        "os.execl(sys.executable, sys.executable, '-c', 'print(1)')",
        "os.execvp(os.path.basename(sys.executable), ['python', '-c', 'print(1)'])",
    ],
)
def test_spans_survive_exec_and_those_open_are_cut_off(tmp_path: Path, leave: str) -> None:
    path = f"{tmp_path / 'nowhere'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    with HttpCollector() as collector:
        result = run(
            RESTART.format(leave=leave),
            tmp_path / "state",
            PATH=path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        )
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
    assert attributes(tmp_path / "state") == {"turn": {names.CUT_OFF: True}, "done": {}}
    assert sorted(collector.names) == ["done", "turn"]
    (record,) = Store.open(tmp_path / "state").processes()
    assert record["ended"]


def test_spans_survive_os_exit_and_its_code_stays(tmp_path: Path) -> None:
    result = run(RESTART.format(leave="os._exit(7)"), tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (7, "", "")
    assert attributes(tmp_path) == {"turn": {names.CUT_OFF: True}, "done": {}}


def test_an_exec_that_fails_raises_as_ever_and_recording_goes_on(tmp_path: Path) -> None:
    code = """
        program = Path(sys.argv[1]) / "program"
        program.write_bytes(bytes(64))
        with telemetry.span("turn"):
            try:
                os.execv(program, ["x"])  # not executable: nothing has to happen
            except PermissionError as error:
                print(error.filename)
        program.chmod(0o755)
        with telemetry.span("restart") as span:
            try:
                os.execv(program, ["x"])
            except OSError as error:
                print(error.errno)
            span.set("late", 1)
        with telemetry.span("later"): pass
        os.execv(sys.executable, [sys.executable, "-c", ""])
    """
    result = run(code, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split()[1] == "8", "ENOEXEC"
    assert attributes(tmp_path) == {"turn": {}, "restart": {names.CUT_OFF: True}, "later": {}}
    assert len(Store.open(tmp_path).processes()) == 2
    assert all(record["ended"] for record in Store.open(tmp_path).processes())


def test_a_forked_child_that_execs_or_leaves_at_once_touches_nothing(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"):
            for leave in (lambda: os.execv(sys.executable, [sys.executable, "-c", ""]), lambda: os._exit(0)):
                child = os.fork()
                if child == 0:
                    leave()
                print(os.waitpid(child, 0)[1])
        telemetry.flush()
        print(len(telemetry.counts()["exporters"]), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    result = run(code, tmp_path)
    assert (result.stdout.split(), result.stderr) == (["0", "0", "0", "False"], "")
    assert attributes(tmp_path) == {"turn": {}}
    assert len(Store.open(tmp_path).processes()) == 1


def test_a_forked_child_without_spans_is_left_alone_also_when_its_exec_fails(tmp_path: Path) -> None:
    code = """
        program = Path(sys.argv[1]) / "program"
        program.write_bytes(bytes(64))
        program.chmod(0o755)
        child = os.fork()
        if child == 0:
            before = os.execv
            try:
                os.execv(program, ["x"])
            except OSError:
                print(os.execv is before, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    assert run(code, tmp_path).stdout == "True\n"


def test_a_child_forked_while_a_span_is_being_made_still_ends(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"), telemetry.span("maybe", from_ns=1) as maybe:
            maybe._span._lock.acquire()  # as by a thread that is not there in the child
            child = os.fork()
            if child == 0:
                with telemetry.span("in child", new_trace=True): os._exit(0)
            os.waitpid(child, 0)
            maybe._span._lock.release()
    """
    assert run(code, tmp_path).returncode == 0
    assert set(attributes(tmp_path)) == {"turn", "maybe", "in child"}


def test_a_forked_child_that_has_spans_keeps_them(tmp_path: Path) -> None:
    code = """
        child = os.fork()
        if child == 0:
            with telemetry.span("in child"): os._exit(0)
        os.waitpid(child, 0)
    """
    assert run(code, tmp_path).returncode == 0
    assert attributes(tmp_path) == {"in child": {names.CUT_OFF: True}}


def test_the_functions_are_the_systems_again_afterwards(tmp_path: Path) -> None:
    before = (os.execv, os.execve, os._exit)
    telemetry = begin(tmp_path)
    assert all(now is not then for now, then in zip((os.execv, os.execve, os._exit), before, strict=True))
    telemetry.shutdown()
    assert (os.execv, os.execve, os._exit) == before


def test_what_somebody_put_over_ours_stays_and_ours_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(os, "execv", lambda *args: called.append(args))
    telemetry = begin(tmp_path)
    ours = os.execv
    theirs = lambda *args: ours(*args)  # noqa: E731
    monkeypatch.setattr(os, "execv", theirs)
    telemetry.shutdown()
    assert os.execv is theirs
    os.execv(sys.executable, [])
    assert called == [(sys.executable, [])]
    assert len(Store.open(tmp_path).processes()) == 1


def test_long_work_that_was_only_to_be_a_span_if_long_is_cut_off_too(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"):
            with telemetry.span("long", {"a": 1}, from_ns=1) as span, telemetry.span("short", from_ns=10**12):
                span.set("b", 2)
                os._exit(0)
    """
    assert run(code, tmp_path).returncode == 0
    cut = {names.CUT_OFF: True}
    assert attributes(tmp_path) == {"turn": cut, "long": {"a": 1, "b": 2, **cut}}
    by_name = {span["name"]: span for span in stored(tmp_path)}
    assert by_name["long"]["parent_id"] == by_name["turn"]["span_id"]


def test_an_error_told_of_work_that_may_become_a_span_makes_it_a_failed_one(tmp_path: Path) -> None:
    telemetry = begin(tmp_path)
    with telemetry.span("short", from_ns=10**12) as span:
        span.set(names.ERROR_TYPE, "tool_error")
    with telemetry.span("outer", from_ns=10**12) as span:
        with telemetry.span("inner"):
            pass
        span.set(names.ERROR_TYPE, "tool_error")
    telemetry.shutdown()
    assert {span["name"]: span["status"] for span in stored(tmp_path)} == {
        "short": "error",
        "outer": "error",
        "inner": "unset",
    }


def test_what_ends_after_it_was_cut_off_stays_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = begin(tmp_path)
    with telemetry.span("turn") as turn, telemetry.span("maybe", from_ns=1) as maybe:
        telemetry.shutdown()
        turn.set("late", 1)
        maybe.set("late", 1)
    assert caplog.records == []
    assert attributes(tmp_path) == {"turn": {names.CUT_OFF: True}, "maybe": {names.CUT_OFF: True}}
