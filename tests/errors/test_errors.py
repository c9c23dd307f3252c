"""What is said on stderr, and which failures are ours."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoperf import features
from autoperf.errors import AutoperfError, Failures
from autoperf.errors.frames import OURS, host
from autoperf.features import FEATURES, of_seam


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stderr_does_not_change_the_exit_code() -> None:
    with open("/dev/full", "w") as full:
        code = "from autoperf.errors import say; say('x' * 10)"
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        assert subprocess.run([sys.executable, "-c", code], stderr=full, env=environ).returncode == 0


def test_each_kind_of_failure_is_said_once_and_counted_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures()
    for error in (KeyError("a"), KeyError("b"), ValueError("c"), KeyError("d")):
        failures.record("seam", error)
    assert [line.split(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "autoperf: seam: KeyError",
        "autoperf: seam: ValueError",
    ]
    assert [row["count"] for row in failures.as_rows()] == [3, 1]


def test_a_stack_that_the_host_has_used_up_is_no_failure_of_ours() -> None:
    failures = Failures(quiet=True)

    def ours() -> None:
        def inner() -> None:
            raise RecursionError("maximum recursion depth exceeded")

        try:
            inner()
        except RecursionError as error:
            failures.record("seam", error)

    ours()
    assert failures.as_rows() == []


def test_a_recursion_of_ours_is_one() -> None:
    failures = Failures(quiet=True)

    def endless() -> None:
        endless()

    with pytest.raises(RecursionError) as caught:
        endless()
    assert failures.record("seam", caught.value) == 1


def at(path: str, source: str, **names: Any) -> Callable[[], None]:
    """A function ``go`` as a file at ``path`` would define it."""
    space: dict[str, Any] = {"__name__": "some.module", **names}
    exec(compile(source, path, "exec"), space)
    made: Callable[[], None] = space["go"]
    return made


SECRET = "sk-from-the-hosts-data"


def failed_through_all(root: Path) -> BaseException:
    """An exception with a secret in it and around it, through a frame of every kind."""
    raising = f"def go(secret={SECRET!r}):\n    raise ValueError(secret)"
    calling = f"def go(secret={SECRET!r}):\n    inner()"
    go = at("/opt/secret-project/thing.py", raising)
    go = at("/opt/venv/lib/python3.12/site-packages/litellm/main.py", calling, inner=go)
    go = at(f"{root}/helpers/files.py", calling, inner=go)
    go = at(f"{OURS}instrumentation/agentzero/memos/paths.py", calling, inner=go)
    try:
        contextlib.ExitStack().enter_context(contextlib.contextmanager(lambda: iter([go()]))())
    except ValueError as error:
        return error
    raise AssertionError


def test_a_failure_keeps_where_it_was_and_nothing_that_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "root", f"{tmp_path}/")
    failures = Failures(quiet=True)
    failures.record("seam", failed_through_all(tmp_path))
    (row,) = failures.as_rows()
    assert (row["error"], row["text"], row["count"]) == ("ValueError", "", 1)
    frames = row["frames"]
    assert frames[-4:] == [
        "autoperf/instrumentation/agentzero/memos/paths.py:2 go",
        "{host}/helpers/files.py:2 go",
        "site-packages/litellm/main.py:2 go",
        "elsewhere",
    ]
    assert any(re.match(r"contextlib:\d+ ", frame) for frame in frames), "the standard library's by module"
    assert any(frame.startswith("site-packages/_pytest/") for frame in frames), "who called is told"
    assert len(frames) <= 24
    told = json.dumps(row)
    assert SECRET not in told
    assert str(tmp_path) not in told


def test_a_text_of_ours_is_kept() -> None:
    failures = Failures(quiet=True)
    failures.record("seam", AutoperfError("another signature"))
    assert failures.as_rows()[0]["text"] == "another signature"


def test_no_frame_and_no_value_is_held() -> None:
    class Held:
        pass

    failures = Failures(quiet=True)
    held = Held()
    reference = weakref.ref(held)

    def fails(local: Held) -> None:
        raise ValueError(local)

    try:
        fails(held)
    except ValueError as error:
        failures.record("seam", error)
    del held
    gc.collect()
    assert reference() is None
    assert failures.as_rows()[0]["frames"]


def test_every_line_names_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures()
    failures.features = {"agent:Agent.get_tool": "tools", "agent:Agent.format": "always"}
    out = {
        "agent:Agent.get_tool": "AUTOPERF_FEATURES=-tools or AUTOPERF_DISABLED=1",
        "agent:Agent.format": "AUTOPERF_DISABLED=1",
        "yaml": "AUTOPERF_FEATURES=-settings or AUTOPERF_DISABLED=1",
        "telemetry:store": "AUTOPERF_FEATURES=-trace or AUTOPERF_DISABLED=1",
        "patches: output": "AUTOPERF_FEATURES=-output or AUTOPERF_DISABLED=1",
        "patches: turns": "AUTOPERF_DISABLED=1",
        "bootstrap": "AUTOPERF_DISABLED=1",
    }
    for seam in out:
        failures.record(seam, KeyError("x"))
    assert {row["seam"]: row["way_out"] for row in failures.as_rows()} == out
    for line, way in zip(capsys.readouterr().err.splitlines(), out.values(), strict=True):
        assert line.endswith(f"; to leave it out: {way}")


# What belongs to no single feature.
_OF_ALL = {
    *(
        "bootstrap",
        "fork",
        "idle work",
        "import hooks",
        "optimizer",
        "own cost",
        "patches",
        "patching",
        "recommendations",
    ),
    *("seam", "service.version", "start line", "stop", "watch", "import of {name}", "patching {name}"),
}


def test_every_seam_of_the_code_belongs_to_a_feature_or_to_all_of_it() -> None:
    calls = (
        r"""(?:guarded|fail_open|standing_in|failed|method)\(f?"([^"]+)"|_?SEAM(?:: Final)? = "([^"]+)\""""
    )
    named = {
        found[0] or found[1]
        for path in Path(OURS).rglob("*.py")
        for found in re.findall(calls, path.read_text(encoding="utf-8"))
    }
    assert len(named) > 50
    assert {seam for seam in named if not of_seam(seam)} - _OF_ALL == {"patches: {name}"}
    listed = {seam for seams in features._SEAMS.values() for seam in seams.split(", ")}
    assert listed - {seam.partition(":")[0] for seam in named} == {"openai._streaming"}
    assert set(features._SEAMS) <= set(FEATURES)
