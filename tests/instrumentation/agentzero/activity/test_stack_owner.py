"""What a stack says of the chat and the tool, with nothing in it that the model made up."""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from autoperf.errors import AutoperfError, Failures
from autoperf.instrumentation.agentzero.activity.stack_owner import whereabouts
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import tool_execution
from autoperf.monitor.looks import Look

SAID = "what the model made up: sk-123"


class Tool:
    """A tool as the host makes it; its ``execute`` gives its own frame."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.agent: Any = SimpleNamespace(agent_name="A0", context=SimpleNamespace(id="c1"))

    async def execute(self, **_: Any) -> FrameType:
        return sys._getframe()


class Unknown(Tool):
    """The host's answer to a name that there is no tool for."""


def stack(tool: Tool) -> list[FrameType]:
    try:
        tool.execute().send(None)
    except StopIteration as done:
        return [done.value]
    raise AssertionError


@pytest.mark.parametrize(("kind", "shown"), [(Tool, SAID), (Unknown, "(unknown)")])
def test_a_tool_has_one_name_everywhere(kind: type[Tool], shown: str) -> None:
    tool = kind(SAID)
    assert whereabouts(stack(tool)) == {"chat": "", "tool": shown}
    probe = Probe(None)
    tool_execution.watch(probe, tool, SAID, kind="function")
    running = tool.execute()
    works: list[str] = []
    begin = probe.underway.begin
    probe.underway.begin = lambda *args: works.append(args[1]) or begin(*args)  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        running.send(None)
    assert works == [shown]
    assert [row["name"] for row in probe.tools.as_rows()] == [shown]


def test_names_in_code_that_the_model_wrote_are_not_kept() -> None:
    space: dict[str, Any] = {"sys": sys, "__name__": "sk_123"}
    exec("def sk_123():\n    return sys._getframe()", space)
    look = Look(0.0, None)
    look.note_stack(space["sk_123"](), "/host/", None)
    assert list(look.stacks) == [((), "(code without a file)")]


def test_a_modules_name_is_only_looked_at() -> None:
    class Name:
        def __format__(self, _: str) -> str:
            raise AssertionError("code of the host ran on the monitor's thread")

    space: dict[str, Any] = {"sys": sys, "__name__": Name()}
    exec(compile("def f():\n    return sys._getframe()", "/lib/module.py", "exec"), space)
    look = Look(0.0, None)
    look.note_stack(space["f"](), "/host/", None)
    assert list(look.stacks) == [((), "?.f")]


def reason(error: Exception) -> str:
    kept = Failures(quiet=True)
    kept.record("seam", error)
    return str(kept.as_rows()[0]["reason"])


def test_a_failure_is_told_by_its_class_and_place_not_by_what_it_quotes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from autoperf.process.optimizer.arguments import number

    try:
        number({"x": "y"}, "x", SAID, 1)  # type: ignore[arg-type]
    except TypeError as error:
        raised = error
    assert reason(raised).startswith("TypeError at process/optimizer/arguments.py:")
    assert reason(KeyError(SAID)) == "KeyError"
    assert reason(OSError(28, "No space left on device", SAID)) == "OSError: No space left on device"
    assert reason(AutoperfError("ours")) == "AutoperfError: ours"
    monkeypatch.setenv("AUTOPERF_DEBUG", "1")
    assert reason(KeyError(SAID)) == f"KeyError: {SAID!r}"
