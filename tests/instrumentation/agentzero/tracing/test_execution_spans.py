"""What is on the span of an execution and of a lookup: the native call, the outcome, the source file."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tracing.content import Content
from autoperf.instrumentation.agentzero.tracing.tool_execution import current_outcome, watch
from autoperf.instrumentation.agentzero.tracing.tool_lookup import lookup, step
from autoperf.patching.patch import Switch, replacement
from autoperf.telemetry import names
from tests.instrumentation.agentzero.tracing.test_tool_execution import (
    InterventionException,
    Tool,
    probe,
    rows,
    tracing,
)

__all__ = ["probe", "tracing"]


CALL = SimpleNamespace(call_id="call_7")


def request(tool: Tool, factory: Any = None) -> Any:
    """The host's way to a tool in v2.6: the native call is bound to what makes its answer."""

    async def execute_tool_request(**kwargs: Any) -> Any:
        return await tool.execute()

    return execute_tool_request, {"tool_name": "echo", "responses_item_factory": factory}


def test_the_call_id_of_a_native_call_is_on_its_execution_and_on_no_other(probe, tracing):
    inner = Tool()

    class Outer(Tool):
        async def execute(self, **kwargs: Any) -> Any:
            return await inner.execute()

    outer = Outer()
    for tool, name in ((inner, "inner"), (outer, "outer")):
        watch(probe, tool, name, kind="function")
    run, kwargs = request(outer, lambda response, call=CALL: (call.call_id, response))
    asyncio.run(step(probe)(run, None, (), kwargs))
    spans = {attributes[names.TOOL_NAME]: attributes for _, attributes in tracing.opened}
    assert spans["outer"][names.TOOL_CALL_ID] == "call_7"
    assert names.TOOL_CALL_ID not in spans["inner"]
    (row,) = (row for row in probe.tools.as_rows() if row["name"] == "outer")
    assert "overhead_ms" in row
    (row,) = (row for row in probe.tools.as_rows() if row["name"] == "inner")
    assert "overhead_ms" not in row, "what runs inside a tool is that tool's own time"


@pytest.mark.parametrize("factory", [None, "text", lambda response: response, lambda r, call=None: r])
def test_without_a_native_call_there_is_no_call_id(probe, tracing, factory):
    tool = Tool()
    watch(probe, tool, "echo", kind="function")
    run, kwargs = request(tool, factory)
    asyncio.run(step(probe)(run, None, (), kwargs))
    ((_, attributes),) = tracing.opened
    assert names.TOOL_CALL_ID not in attributes


@pytest.mark.parametrize("flag", [True, False])
def test_whether_the_tool_ended_the_turn_is_on_its_span(probe, tracing, flag):
    class Ending(Tool):
        async def execute(self, **kwargs: Any) -> Any:
            return SimpleNamespace(message="text", break_loop=flag)

    tool = Ending()
    watch(probe, tool, "response", kind="function")
    assert asyncio.run(tool.execute()).message == "text"
    ((_, attributes),) = tracing.opened
    assert attributes[names.BREAK_LOOP] is flag


@pytest.mark.parametrize("odd", [None, "text", SimpleNamespace(break_loop="yes")])
def test_an_answer_of_another_shape_tells_nothing(probe, tracing, odd):
    class Odd(Tool):
        async def execute(self, **kwargs: Any) -> Any:
            return odd

    tool = Odd()
    watch(probe, tool, "odd", kind="function")
    assert asyncio.run(tool.execute()) is odd
    ((_, attributes),) = tracing.opened
    assert names.BREAK_LOOP not in attributes


def test_the_duration_is_measured_while_the_span_is_open(probe, tracing):
    tool = Tool()
    watch(probe, tool, "echo", kind="function")
    asyncio.run(tool.execute())
    assert tracing.order == ["+execute_tool echo", f"={names.EXECUTE_TOOL_DURATION}", "-execute_tool echo"]
    ((name, seconds, attributes),) = tracing.measured
    assert (name, attributes) == (names.EXECUTE_TOOL_DURATION, {names.TOOL_NAME: "echo"})
    assert seconds >= 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), "ValueError"),
        (InterventionException("x"), None),
        (asyncio.CancelledError(), None),
    ],
)
def test_a_failed_execution_is_measured_with_its_class(probe, tracing, error, kind):
    tool = Tool(error)
    watch(probe, tool, "echo", kind="function")

    async def run() -> None:
        with pytest.raises(type(error)):
            await tool.execute()

    asyncio.run(run())
    ((_, _, attributes),) = tracing.measured
    assert attributes.get(names.ERROR_TYPE) == kind


def test_a_failure_that_the_host_made_an_answer_of_is_an_error_all_the_same(probe, tracing):
    class Remote(Tool):
        async def execute(self, **kwargs: Any) -> Any:
            outcome = await asyncio.to_thread(current_outcome)
            assert outcome is not None
            outcome.error = "ConnectionError"
            return "ERROR: no connection"

    tool = Remote()
    watch(probe, tool, "server.remote", kind="extension", server="server")
    assert asyncio.run(tool.execute()) == "ERROR: no connection"
    ((_, attributes),) = tracing.opened
    assert attributes[names.ERROR_TYPE] == "ConnectionError"
    assert (attributes[names.TOOL_TYPE], attributes[names.MCP_SERVER]) == ("extension", "server")
    assert tracing.measured[0][2][names.ERROR_TYPE] == "ConnectionError"
    assert rows(probe) == {"server.remote": (1, 1)}


@pytest.mark.parametrize("error", [None, ValueError("x")])
def test_after_an_execution_its_context_is_as_before(probe, error):
    tool = Tool(error)
    watch(probe, tool, "echo", kind="function")

    async def process() -> None:
        before = probe.step.get()
        assert before is not None
        with contextlib.suppress(ValueError):
            await tool.execute()
        assert probe.step.get() is before
        assert current_outcome() is None

    asyncio.run(step(probe)(process, None, (), {}))


def test_the_lookup_tells_the_source_file_from_the_hosts_folder_on(probe, tracing, tmp_path):
    namespace: dict[str, Any] = {"Tool": Tool}
    source = tmp_path / "tools" / "own.py"
    code = "class Own(Tool):\n    async def execute(self): ...\n"
    exec(compile(code, str(source), "exec"), namespace)
    probe.root = str(tmp_path)

    def get_tool(self, name):
        return namespace["Own"]()

    replacement(get_tool, lookup(probe, None), Switch())(None, "own")
    ((_, attributes),) = tracing.recorded
    assert attributes[names.SOURCE_FILE] == "tools/own.py"


@pytest.mark.parametrize("on", [True, False])
def test_arguments_and_result_are_there_only_when_asked_for(probe, tracing, on):
    class Telling(Tool):
        async def execute(self, **kwargs: Any) -> Any:
            kwargs["text"] = "changed by the tool"
            return SimpleNamespace(message="the result", break_loop=False)

    probe.content = Content(10, on=on)
    tool = Telling()
    watch(probe, tool, "telling", kind="function")
    asyncio.run(tool.execute(text="the argument"))
    ((_, attributes),) = tracing.opened
    expected = ('{"text": …', "the result") if on else (None, None)
    assert (attributes.get(names.TOOL_ARGUMENTS), attributes.get(names.TOOL_RESULT)) == expected
