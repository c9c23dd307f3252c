"""One tool object's execution: run once, as the host made the object, and counted as what it was."""

from __future__ import annotations

import asyncio
import inspect
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe, Step
from autoperf.instrumentation.agentzero.tracing.tool_execution import watch
from autoperf.instrumentation.agentzero.tracing.tool_lookup import lookup, step
from autoperf.patching.patch import Switch, replacement
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


def test_what_opening_its_span_takes_is_not_the_tools_time(probe, monkeypatch):
    now = [1.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("autoperf.instrumentation.agentzero.tracing.tool_execution.time", clock)
    opened = probe.span

    def slowly(*args: Any) -> Any:
        now[0] += 5.0
        return opened(*args)

    monkeypatch.setattr(probe, "span", slowly)
    tool = Tool()
    watch(probe, tool, "echo", kind="function")
    asyncio.run(tool.execute())
    assert probe.tools.as_rows()[0]["total_ms"] == 0.0


def test_an_agent_that_cannot_be_asked_stops_no_tool(tracing, monkeypatch):
    class Agent:
        @property
        def context(self) -> Any:
            raise RuntimeError("gone")

    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    probe = Probe(None)
    tool = Tool()
    tool.agent = Agent()
    watch(probe, tool, "echo", kind="function")
    assert asyncio.run(tool.execute()) == ((), {})
    assert rows(probe) == {"echo": (1, 0)}
    assert probe.underway.as_rows() == []


def test_who_looks_at_it_before_it_runs_sees_the_tools_own(probe):
    class Typed(Tool):
        async def execute(self, text: str, times: int = 1, **kwargs: Any) -> Any:
            """Echo."""

    told = []
    for watched in (False, True):
        tool = Typed()
        if watched:
            watch(probe, tool, "typed", kind="function")
        run = tool.execute
        told.append((inspect.signature(run), run.__name__, run.__qualname__, run.__doc__))
        if sys.version_info >= (3, 12):
            assert inspect.iscoroutinefunction(run)
    assert told[0] == told[1]


def test_what_an_extension_puts_in_its_place_stays_there(probe):
    tool = Tool()
    calls: list[str] = []
    watch(probe, tool, "echo", kind="function")
    inner = tool.execute

    async def execute(**kwargs: Any) -> Any:
        calls.append("before")
        return await inner(**kwargs)

    tool.execute = execute  # type: ignore[method-assign]
    for _ in range(2):
        asyncio.run(tool.execute())
    assert (calls, tool.runs, rows(probe)) == (["before"] * 2, 2, {"echo": (2, 0)})
    assert "execute" in tool.seen, "also while it runs"
    assert tool.execute is execute


def test_an_execute_of_the_object_itself_stays_the_objects(probe):
    class Own(Tool):
        def __init__(self) -> None:
            super().__init__()
            self.execute = self.really  # type: ignore[method-assign]

        async def execute(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def really(self, left: int = 1, **kwargs: Any) -> Any:
            return await self.execute(left=left - 1) if left else "done"

    tool = Own()
    watch(probe, tool, "own", kind="function")
    assert tool.execute is vars(tool)["execute"]
    assert [asyncio.run(tool.execute()) for _ in range(2)] == ["done"] * 2
    assert rows(probe) == {}, "nothing stands on the object, which would have to be seen to be counted"


def test_an_object_that_is_handed_out_again_and_again_counts_once(probe):
    tool = Tool()
    for _ in range(2000):
        watch(probe, tool, "echo", kind="function")
    asyncio.run(tool.execute())
    assert (tool.runs, rows(probe)) == (1, {"echo": (1, 0)})


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


class Agent:
    agent_name = "A0"

    def get_tool(self, name="", *rest, **options):
        if name == "fails":
            raise LookupError("bare")
        return Tool()


def test_the_lookup_finds_the_name_however_it_was_given(probe, tracing):
    get_tool = replacement(Agent.get_tool, lookup(probe, None), Switch())
    for args, kwargs in ((("a", 1), {}), ((), {"name": "b"}), ((), {})):
        tool = get_tool(Agent(), *args, **kwargs)
        asyncio.run(tool.execute())
    assert set(rows(probe)) == {"a", "b", ""}
    assert [name for name, _ in tracing.recorded] == [names.TOOL_LOOKUP] * 3


def test_a_lookup_that_is_switched_off_is_the_hosts_alone(probe, tracing):
    switch = Switch()
    get_tool = replacement(Agent.get_tool, lookup(probe, None), switch)
    switch.on = False
    asyncio.run(get_tool(Agent(), "a").execute())
    assert rows(probe) == {}
    assert tracing.recorded == []


def test_a_lookup_that_is_no_method_is_left_alone(probe):
    with pytest.raises(AutoperfError):
        lookup(probe, None)(lambda name: Tool(), Switch())


def test_without_spans_a_tool_is_counted_all_the_same():
    probe = Probe(None)
    tool = replacement(Agent.get_tool, lookup(probe, None), Switch())(Agent(), "a")
    asyncio.run(tool.execute())
    asyncio.run(tool.execute())
    assert rows(probe) == {"a": (2, 0)}


def test_a_lookup_that_raises_passes(probe, tracing):
    with pytest.raises(LookupError, match="bare"):
        replacement(Agent.get_tool, lookup(probe, None), Switch())(Agent(), "fails")
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
