"""What is open when a process ends, and forked children that execute another program or leave at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.telemetry_process import begin, run, stored

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and exec")]


def attributes(home: Path) -> dict[str, dict[str, object]]:
    return {span["name"]: span["attributes"] for span in stored(home)}


def test_a_forked_child_that_execs_or_leaves_at_once_touches_nothing(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"):
            for leave in (lambda: os.execv(sys.executable, [sys.executable, "-c", ""]), lambda: os._exit(0)):
                child = os.fork()
                if child == 0:
                    leave()
                print(os.waitpid(child, 0)[1])
        telemetry.flush()
    """
    result = run(code, tmp_path)
    assert (result.stdout.split(), result.stderr) == (["0", "0"], "")
    assert attributes(tmp_path) == {"turn": {}}
    assert len(Store.open(tmp_path).processes()) == 1


def test_a_child_forked_while_a_span_is_being_made_still_ends(tmp_path: Path) -> None:
    code = """
        import threading; from autoperf.telemetry import spans
        with telemetry.span("turn"), telemetry.span("maybe", from_ns=1):
            threading.Thread(target=lambda: spans._making.acquire()).start()  # never let go of in the child
            time.sleep(0.2)
            child = os.fork()
            if child == 0:
                with telemetry.span("in child", new_trace=True), telemetry.span("maybe not", from_ns=1):
                    with telemetry.span("below"): pass
                telemetry.shutdown()
                os._exit(0)
            os.waitpid(child, 0)
            spans._making = threading.RLock()
    """
    assert run(code, tmp_path).returncode == 0
    assert set(attributes(tmp_path)) == {"turn", "maybe", "in child", "maybe not", "below"}


def test_long_work_that_was_only_to_be_a_span_if_long_is_cut_off_too(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"):
            with telemetry.span("long", {"a": 1}, from_ns=1) as span, telemetry.span("short", from_ns=10**12):
                span.set("b", 2)
                telemetry.shutdown()
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
