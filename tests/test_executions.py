"""One tool object's execution: run once, as the host made the object, and counted as what it was."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.agentzero.executions import current_outcome, watch
from autoperf.agentzero.probe import Probe, Step
from autoperf.agentzero.tools import lookup, step
from autoperf.telemetry import names
from tests.recording import Recording


class InterventionException(Exception):  # noqa: N818
    """Named as the host's."""


class Tool:
    def __init__(self, action: Any = None) -> None:
        self.agent = SimpleNamespace(agent_name="A0", context=SimpleNamespace(id="chat"))
        self.action = action
        self.runs = 0
        self.seen: set[str] = set()

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        self.runs += 1
        self.seen = set(vars(self))
        await asyncio.sleep(0)
        if isinstance(self.action, BaseException):
            raise self.action
        return (args, kwargs)


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def probe(tracing: Recording) -> Probe:
    return Probe(tracing)


def rows(probe: Probe) -> dict[str, tuple[int, int]]:
    return {row["name"]: (row["count"], row["errors"]) for row in probe.tools.as_rows()}


def test_it_runs_once_with_what_it_was_given(probe, tracing):
    tool = Tool()
    plain = set(vars(tool))
    watch(probe, tool, "echo", kind="function")
    assert asyncio.run(tool.execute(1, text="a")) == ((1,), {"text": "a"})
    assert tool.runs == 1
    assert tool.seen == plain, "while it runs, the object is as the host made it"
    assert rows(probe) == {"echo": (1, 0)}
    (span,) = tracing.opened
    assert span[0] == "execute_tool echo"
    expected = {
        names.TOOL_NAME: "echo",
        names.TOOL_TYPE: "function",
        names.AGENT_NAME: "A0",
        names.CONVERSATION_ID: "chat",
    }
    assert expected.items() <= span[1].items()


def test_a_lookup_that_is_never_executed_counts_nothing(probe):
    watch(probe, Tool(), "echo", kind="function")
    assert rows(probe) == {}


def test_a_second_execution_counts_as_well(probe):
    tool = Tool()
    watch(probe, tool, "echo", kind="function")
    for _ in range(3):
        asyncio.run(tool.execute())
    assert (tool.runs, rows(probe)) == (3, {"echo": (3, 0)})


@pytest.mark.parametrize(
    ("error", "errors"),
    [
        (ValueError("x"), 1),
        (InterventionException("x"), 0),
        (asyncio.CancelledError(), 0),
        (KeyboardInterrupt(), 0),
    ],
)
def test_exceptions_pass_as_they_are_and_only_errors_count(probe, error, errors):
    tool = Tool(error)
    watch(probe, tool, "echo", kind="function")

    async def run() -> None:
        with pytest.raises(type(error)) as caught:
            await tool.execute()
        assert caught.value is error

    asyncio.run(run())
    assert (tool.runs, rows(probe)) == (1, {"echo": (1, errors)})


def test_a_plain_execute_fails_with_the_words_it_fails_with_bare(probe):
    class Plain(Tool):
        def execute(self, **kwargs):
            self.runs += 1
            return "text"

    told = []
    for watched in (False, True):
        tool = Plain()
        if watched:
            watch(probe, tool, "plain", kind="function")

        async def run(tool=tool) -> None:
            await tool.execute()

        with pytest.raises(TypeError) as caught:
            asyncio.run(run())
        told.append((str(caught.value), tool.runs))
    assert told[0] == told[1]
    assert told[0][1] == 1


@pytest.mark.parametrize("tool", [None, "text", 5])
def test_what_is_no_tool_is_left_alone(probe, tool):
    watch(probe, tool, "echo", kind="function")
    assert rows(probe) == {}


def test_a_tool_with_slots_is_left_alone(probe):
    class Slotted:
        __slots__ = ()

        async def execute(self):
            return 1

    tool = Slotted()
    watch(probe, tool, "slotted", kind="function")
    assert asyncio.run(tool.execute()) == 1


def test_a_setattr_of_the_tools_own_is_not_called(probe):
    class Strict(Tool):
        def __setattr__(self, name, value):
            assert name != "execute"
            super().__setattr__(name, value)

    tool = Strict()
    watch(probe, tool, "strict", kind="function")
    asyncio.run(tool.execute())
    assert rows(probe) == {"strict": (1, 0)}


def test_an_execute_that_the_tool_puts_there_itself_stays(probe):
    class Changing(Tool):
        async def execute(self, **kwargs):
            self.execute = later  # type: ignore[method-assign]

    async def later(**kwargs):
        return "later"

    tool = Changing()
    watch(probe, tool, "changing", kind="function")
    asyncio.run(tool.execute())
    assert tool.execute is later


def test_unknown_tools_share_one_row_and_long_names_are_cut(probe):
    class Unknown(Tool):
        pass

    for name in ("one", "two"):
        tool = Unknown()
        watch(probe, tool, name, kind="function")
        asyncio.run(tool.execute())
    tool = Tool()
    watch(probe, tool, "x" * 10_000, kind="function")
    asyncio.run(tool.execute())
    assert rows(probe) == {"(unknown)": (2, 0), "x" * 100: (1, 0)}


def test_the_lookup_finds_the_name_however_it_was_given(probe, tracing):
    get_tool = lookup(probe, None)
    agent = SimpleNamespace(agent_name="A0")
    for args, kwargs in ((("a",), {}), ((), {"name": "b"}), ((), {})):
        tool = Tool()
        assert get_tool(lambda *a, tool=tool, **k: tool, agent, args, kwargs) is tool
        asyncio.run(tool.execute())
    assert set(rows(probe)) == {"a", "b", ""}
    assert [name for name, _ in tracing.recorded] == [names.TOOL_LOOKUP] * 3


def test_a_lookup_that_raises_passes(probe, tracing):
    def fails(*args, **kwargs):
        raise LookupError("bare")

    with pytest.raises(LookupError, match="bare"):
        lookup(probe, None)(fails, None, ("a",), {})
    assert tracing.recorded == []


def test_what_is_spent_around_the_tool_is_overhead_of_that_tool(probe):
    tool = Tool()
    watch(probe, tool, "echo", kind="function")

    async def process(message):
        await tool.execute()
        return message

    assert asyncio.run(step(probe)(process, None, ("m",), {})) == "m"
    (row,) = probe.tools.as_rows()
    assert row["overhead_ms"] >= 0
    assert probe.step.get() is None
    assert Step().tool is None


CALL = SimpleNamespace(call_id="call_7")


def request(tool: Tool, factory: Any = None) -> Any:
    """The host's way to a tool in v2.6: the native call is bound to what makes its answer."""

    async def execute_tool_request(**kwargs: Any) -> Any:
        return await tool.execute()

    return execute_tool_request, {"tool_name": "echo", "responses_item_factory": factory}


def test_the_call_id_of_a_native_call_is_on_its_execution_and_on_no_other(probe, tracing):
    inner, outer = Tool(), Tool()

    async def execute() -> Any:
        return await inner.execute()

    outer.execute = execute  # type: ignore[method-assign]
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
    assert tracing.measured == [(names.EXECUTE_TOOL_DURATION, {names.TOOL_NAME: "echo"})]


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
    ((_, attributes),) = tracing.measured
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
    assert tracing.measured[0][1][names.ERROR_TYPE] == "ConnectionError"
    assert rows(probe) == {"server.remote": (1, 1)}
    assert current_outcome() is None


def test_the_lookup_tells_the_source_file_from_the_hosts_folder_on(probe, tracing, tmp_path):
    namespace: dict[str, Any] = {"Tool": Tool}
    source = tmp_path / "tools" / "own.py"
    code = "class Own(Tool):\n    async def execute(self): ...\n"
    exec(compile(code, str(source), "exec"), namespace)
    probe.root = str(tmp_path)
    lookup(probe, None)(lambda *a: namespace["Own"](), None, ("own",), {})
    ((_, attributes),) = tracing.recorded
    assert attributes[names.SOURCE_FILE] == "tools/own.py"
