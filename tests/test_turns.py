"""The tree of a turn: steps, prompts, single extensions, subordinates, and what goes on beside it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.agentzero import extensions, turns
from autoperf.agentzero.points import Points
from autoperf.agentzero.probe import Probe, Step
from autoperf.agentzero.streams import Stream
from autoperf.patching import Switch
from autoperf.telemetry import Telemetry, names
from tests.telemetry_process import begin, stored

Body = Callable[[], Awaitable[Any]]


class Host:
    """A monologue whose loop calls extension points around each step, as every generation does."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.points = Points(probe)
        self.extensions: dict[str, list[type]] = {}
        self._monologue = turns.monologue(probe)

        class Extension:
            def __init__(self, agent: Any) -> None:
                self.agent = agent

        Extension.__init__ = extensions.instances(probe)(Extension.__init__, Switch())  # type: ignore[method-assign]
        self.base: Any = Extension

    def extend(self, point: str, name: str, execute: Callable[[Any], Awaitable[Any]]) -> None:
        self.extensions.setdefault(point, []).append(type(name, (self.base,), {"execute": execute}))

    async def call(self, point: str) -> None:
        classes = self.extensions.get(point, [])
        with self.points.call(point, classes):
            for cls in classes:
                await cls(agent=None).execute()

    async def monologue(self, *steps: Body, name: str = "A0") -> Any:
        agent = SimpleNamespace(agent_name=name, context=SimpleNamespace(id="chat-1"))

        async def body() -> str:
            await self.call("monologue_start")
            for step in steps:
                await self.call("message_loop_start")
                try:
                    await step()
                finally:
                    await self.call("message_loop_end")
            await self.call("monologue_end")
            return "done"

        return await self._monologue(body, agent, (), {})

    def span(self, name: str, **more: Any) -> Any:
        return self.probe.span(name, **more)


@pytest.fixture
def telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    started = begin(tmp_path)
    yield started
    started.shutdown()


@pytest.fixture
def host(telemetry: Telemetry) -> Host:
    return Host(Probe(telemetry))


@pytest.fixture
def told(telemetry: Telemetry, tmp_path: Path) -> Callable[[], list[str]]:
    """Every span as ``root > ... > name``, in order of start; traces in order of start."""

    def read() -> list[str]:
        telemetry.shutdown()
        spans = {span["span_id"]: span for span in stored(tmp_path)}

        def path(span: dict[str, Any]) -> str:
            above = spans.get(span["parent_id"] or "")
            return f"{path(above)} > {span['name']}" if above else str(span["name"])

        return [path(span) for span in sorted(spans.values(), key=lambda span: span["start_ns"])]

    return read


async def nothing() -> None:
    """A step in which nothing happens."""


def sleeping(seconds: float) -> Callable[[Any], Awaitable[Any]]:
    async def execute(self: Any) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - as slow extensions do

    return execute


def test_each_step_is_a_span_that_holds_what_happens_in_it(host: Host, told: Any, tmp_path: Path) -> None:
    async def step() -> None:
        with host.span("prepare_prompt"):
            pass

    assert asyncio.run(host.monologue(step, nothing, step)) == "done"
    top = "invoke_agent A0"
    assert told() == [
        top,
        f"{top} > step",
        f"{top} > step > prepare_prompt",
        f"{top} > step",
        f"{top} > step",
        f"{top} > step > prepare_prompt",
    ]
    steps = sorted((s for s in stored(tmp_path) if s["name"] == "step"), key=lambda s: s["start_ns"])
    assert [s["attributes"][names.STEP_NUMBER] for s in steps] == [0, 1, 2]
    assert all(s["attributes"][names.CONVERSATION_ID] == "chat-1" for s in steps)
    assert all(a["end_ns"] <= b["start_ns"] for a, b in itertools.pairwise(steps))


def test_a_monologue_stopped_in_mid_step_ends_the_step(host: Host, told: Any, tmp_path: Path) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        # As later hosts do: after a cancellation no end of the step is called.
        host.extensions["message_loop_end"] = []
        task = asyncio.create_task(host.monologue(nothing, hang))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    original = host.call

    async def call(point: str) -> None:
        if point != "message_loop_end":
            await original(point)

    host.call = call  # type: ignore[method-assign]
    asyncio.run(cancelled())
    assert told() == ["invoke_agent A0", "invoke_agent A0 > step", "invoke_agent A0 > step"]
    assert not any(names.CUT_OFF in s["attributes"] for s in stored(tmp_path))
    assert host.probe.turn.get() is None


def test_a_subordinate_has_steps_of_its_own_below_the_tool_that_started_it(host: Host, told: Any) -> None:
    async def tool() -> None:
        with host.span("execute_tool call_subordinate"):
            await host.monologue(nothing, name="A1")
        with host.span("after"):
            pass

    asyncio.run(host.monologue(tool))
    step = "invoke_agent A0 > step"
    below = f"{step} > execute_tool call_subordinate"
    assert told() == [
        "invoke_agent A0",
        step,
        below,
        f"{below} > invoke_agent A1",
        f"{below} > invoke_agent A1 > step",
        f"{step} > after",
    ]


def test_two_chats_at_once_keep_their_steps_apart(host: Host, told: Any) -> None:
    async def wait() -> None:
        await asyncio.sleep(0.005)
        with host.span("inside"):
            await asyncio.sleep(0.005)

    async def both() -> None:
        await asyncio.gather(host.monologue(wait, wait, name="A"), host.monologue(wait, name="B"))

    asyncio.run(both())
    found = told()
    assert found.count("invoke_agent A > step > inside") == 2
    assert found.count("invoke_agent B > step > inside") == 1


def test_extensions_that_take_time_are_told_apart_and_hold_what_they_call(host: Host, told: Any) -> None:
    async def calling(self: Any) -> None:
        with host.span("memory_recall"):
            pass

    host.extend("prompts", "Slow", sleeping(0.004))
    host.extend("prompts", "Recall", calling)

    async def step() -> None:
        await host.call("prompts")

    asyncio.run(host.monologue(step))
    point = "invoke_agent A0 > step > extensions prompts"
    assert [path for path in told() if path.startswith(point)] == [
        point,
        f"{point} > extension Slow",
        f"{point} > extension Recall",
        f"{point} > extension Recall > memory_recall",
    ]


def test_the_extension_that_fails_is_the_one_marked(host: Host, told: Any, tmp_path: Path) -> None:
    async def failing(self: Any) -> None:
        raise KeyError("secret")

    host.extend("prompts", "Fine", sleeping(0))
    host.extend("prompts", "Failing", failing)

    async def step() -> None:
        with pytest.raises(KeyError):
            await host.call("prompts")

    asyncio.run(host.monologue(step))
    told()
    failed = {s["name"] for s in stored(tmp_path) if s["status"] == "error"}
    assert failed == {"extensions prompts", "extension Failing"}


def test_a_step_has_a_share_of_short_spans_and_says_how_many_it_left_out(
    host: Host, told: Any, tmp_path: Path
) -> None:
    host.extend("point", "Slow", sleeping(0.0011))

    async def step() -> None:
        for _ in range(25):
            await host.call("point")

    asyncio.run(host.monologue(step, nothing))
    # A point and its extension may both begin while there is one left.
    assert sum("extension" in path for path in told()) in (20, 21)
    omitted = [s["attributes"].get(names.SPANS_OMITTED, 0) for s in stored(tmp_path) if s["name"] == "step"]
    assert min(omitted) == 0, "a step that leaves nothing out says nothing"
    assert max(omitted) >= 4


def test_with_all_details_every_call_that_ran_is_a_span_and_none_is_left_out(
    telemetry: Telemetry, told: Any
) -> None:
    host = Host(Probe(telemetry, "all"))
    host.extend("point", "Quick", sleeping(0))

    async def step() -> None:
        for _ in range(50):
            await host.call("point")

    asyncio.run(host.monologue(step))
    found = told()
    assert found.count("invoke_agent A0 > step > extensions point") == 50
    assert found.count("invoke_agent A0 > step > extensions point > extension Quick") == 50


def test_with_the_least_detail_there_are_agents_models_and_tools(telemetry: Telemetry, told: Any) -> None:
    host = Host(Probe(telemetry, "turn"))
    host.extend("point", "Slow", sleeping(0.002))

    async def step() -> None:
        await host.call("point")
        with host.span("prepare_prompt"):
            pass
        with host.span("chat some-model"), host.span("execute_tool echo"):
            host.probe.record("tool_lookup", time.time_ns(), time.time_ns(), {})

    asyncio.run(host.monologue(step))
    top = "invoke_agent A0"
    assert told() == [top, f"{top} > chat some-model", f"{top} > chat some-model > execute_tool echo"]


# -- beside the turn


def spawning(host: Host, tasks: list[Any], error: BaseException | None = None) -> Any:
    async def memorize() -> None:
        await asyncio.sleep(0.002)
        with host.span("chat utility"):
            await asyncio.sleep(0)
        with host.span("second"):
            pass
        if error is not None:
            raise error

    async def execute(self: Any) -> None:
        tasks.append(asyncio.create_task(memorize()))

    return execute


@pytest.mark.parametrize("point", ["monologue_start", "message_loop_end", "monologue_end"])
def test_a_task_an_extension_leaves_behind_is_a_trace_of_its_own_linked_to_the_turn(
    host: Host, told: Any, tmp_path: Path, point: str
) -> None:
    tasks: list[Any] = []
    host.extend(point, "Memorize", spawning(host, tasks))

    async def step() -> None:
        await asyncio.sleep(0.01)  # the task begins and ends while the turn still goes on

    async def run() -> None:
        await host.monologue(step)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    root = "background Memorize"
    assert [path for path in told() if path.startswith(root)] == [
        root,
        f"{root} > chat utility",
        f"{root} > second",
    ]
    spans = {span["name"]: span for span in stored(tmp_path)}
    (link,) = spans[root]["links"]
    assert link[0] == spans["invoke_agent A0"]["trace_id"] != spans[root]["trace_id"]
    assert spans[root]["attributes"][names.CONVERSATION_ID] == "chat-1"
    assert spans[root]["end_ns"] >= spans["second"]["end_ns"]


def test_so_is_one_in_another_threads_loop(host: Host, told: Any) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def compress() -> None:
        with host.span("compress_history"):
            pass

    futures: list[Any] = []

    async def execute(self: Any) -> None:
        futures.append(asyncio.run_coroutine_threadsafe(compress(), loop))

    host.extend("message_loop_end", "OrganizeHistory", execute)
    asyncio.run(host.monologue(nothing))
    futures[0].result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    assert "background OrganizeHistory > compress_history" in told()


def test_what_such_an_extension_does_itself_stays_in_the_turn(host: Host, told: Any) -> None:
    async def execute(self: Any) -> None:
        with host.span("saved"):
            pass

    host.extend("message_loop_end", "SaveChat", execute)
    asyncio.run(host.monologue(nothing))
    point = "invoke_agent A0 > step > extensions message_loop_end"
    assert told()[-1] == f"{point} > extension SaveChat > saved"


def test_a_task_of_another_point_is_part_of_the_turn(host: Host, told: Any) -> None:
    tasks: list[Any] = []
    host.extend("message_loop_prompts_after", "RecallMemories", spawning(host, tasks))

    async def step() -> None:
        await host.call("message_loop_prompts_after")
        await tasks[0]

    asyncio.run(host.monologue(step))
    assert "invoke_agent A0 > step > chat utility" in told()


def test_a_failed_task_is_marked_and_still_reported_by_asyncio(host: Host, told: Any, tmp_path: Path) -> None:
    tasks: list[Any] = []
    reported: list[Any] = []
    host.extend("monologue_end", "Memorize", spawning(host, tasks, ValueError("secret")))

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        await host.monologue(nothing)
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        tasks.clear()

    asyncio.run(run())
    told()
    (root,) = [span for span in stored(tmp_path) if span["name"] == "background Memorize"]
    assert (root["status"], root["attributes"][names.ERROR_TYPE]) == ("error", "ValueError")
    assert [type(context["exception"]) for context in reported] == [ValueError]


def test_a_task_of_the_scheduler_has_a_trace_of_its_own(host: Host, told: Any, tmp_path: Path) -> None:
    tasks: list[Any] = []
    original = host.call

    async def call(point: str) -> None:
        if point != "message_loop_end":  # not called for a chat without a task of its own
            await original(point)

    host.call = call  # type: ignore[method-assign]

    async def run_task() -> None:
        tasks.append(asyncio.create_task(host.monologue(nothing, name="A7")))

    async def tool() -> None:
        with host.span("execute_tool scheduler"):
            await turns.scheduled(host.probe)(run_task, None, (), {})

    async def run() -> None:
        await host.monologue(tool)
        await tasks[0]

    asyncio.run(run())
    assert [path for path in told() if path.startswith("scheduled_task")] == [
        "scheduled_task",
        "scheduled_task > invoke_agent A7",
        "scheduled_task > invoke_agent A7 > step",
    ]
    spans = stored(tmp_path)
    assert not any(names.CUT_OFF in span["attributes"] for span in spans)
    (root,) = (span for span in spans if span["name"] == "scheduled_task")
    assert root["attributes"] == {}, "it is not of the chat that set it going"
    (inner,) = (span for span in spans if span["name"] == "invoke_agent A7")
    assert root["end_ns"] >= inner["end_ns"]


def test_what_goes_on_beside_the_turn_counts_into_nothing_of_the_turn(
    host: Host, telemetry: Telemetry
) -> None:
    tasks: list[Any] = []
    seen: list[Any] = []
    probe = host.probe

    async def beside() -> None:
        with host.span("chat utility"):
            seen.extend(variable.get() for variable in (probe.caller, probe.stream, probe.step, probe.point))
            seen.append(probe.turn.get() is turn[0])

    async def execute(self: Any) -> None:
        probe.stream.set(Stream())
        probe.step.set(Step())
        turn.append(probe.turn.get())
        tasks.append(asyncio.create_task(beside()))

    turn: list[Any] = []
    host.extend("monologue_end", "Memorize", execute)

    async def run() -> None:
        await host.monologue(nothing)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert seen == [None, None, None, None, False]


def test_a_task_in_which_nothing_is_traced_leaves_no_empty_trace(host: Host, told: Any) -> None:
    tasks: list[Any] = []

    async def notify() -> None:
        with host.span("short", from_ns=1 << 62):
            pass

    async def execute(self: Any) -> None:
        tasks.append(asyncio.create_task(notify()))

    host.extend("monologue_end", "Notify", execute)

    async def run() -> None:
        await host.monologue(nothing)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert not [path for path in told() if path.startswith("background")]


def test_durations_of_monologues_are_measured_with_their_error() -> None:
    from tests.recording import Recording

    tracing = Recording()
    host = Host(Probe(tracing))

    async def failing() -> None:
        raise KeyError("secret")

    asyncio.run(host.monologue(nothing))
    with pytest.raises(KeyError):
        asyncio.run(host.monologue(failing))
    assert [(name, attributes.get(names.ERROR_TYPE)) for name, _, attributes in tracing.measured] == [
        (names.INVOKE_AGENT_DURATION, None),
        (names.INVOKE_AGENT_DURATION, "KeyError"),
    ]
    assert all(0 < value < 60 for _, value, _ in tracing.measured)
