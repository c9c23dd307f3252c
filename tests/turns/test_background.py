"""What goes on beside a turn, and what only seems to."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Step
from autoperf.instrumentation.agentzero.tracing import model_calls, turns
from autoperf.instrumentation.agentzero.tracing.stream_stats import Stream
from autoperf.telemetry import names
from autoperf.telemetry.tracing import Telemetry
from tests.telemetry_process import stored
from tests.turns.host import Host, nothing, sleeping


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


def test_its_root_has_the_sums_of_its_own_model_calls(host: Host, told: Any, tmp_path: Path) -> None:
    tasks: list[Any] = []

    async def compress() -> None:
        await asyncio.sleep(0)
        with host.span("chat m"):
            host.probe.turn.get().called({names.CLIENT_SECONDS: 2.0})  # type: ignore[union-attr]

    async def execute(self: Any) -> None:
        tasks.append(asyncio.ensure_future(compress()))

    host.extend("message_loop_end", "OrganizeHistory", execute)

    async def both() -> None:
        await host.monologue(nothing)
        await asyncio.gather(*tasks)

    asyncio.run(both())
    told()
    found = {s["name"]: s["attributes"].get(names.CLIENT_SECONDS) for s in stored(tmp_path)}
    assert found["background OrganizeHistory"] == 2.0
    assert found["invoke_agent A0"] is None


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


def test_so_does_what_it_waits_for(host: Host, told: Any) -> None:
    async def save() -> None:
        with host.span("saved"):
            pass

    async def execute(self: Any) -> None:
        await asyncio.gather(save())

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


def test_so_is_one_left_behind_by_an_extension_with_a_constructor_of_its_own(host: Host, told: Any) -> None:
    tasks: list[Any] = []
    host.extend("monologue_end", "Memorize", spawning(host, tasks))
    (cls,) = host.extensions["monologue_end"]
    cls.__init__ = lambda self, agent: None  # type: ignore[misc]

    async def run() -> None:
        await host.monologue(nothing)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    root = "background monologue_end"
    assert told()[-3:] == [root, f"{root} > chat utility", f"{root} > second"]


def test_it_has_begun_when_what_is_recorded_of_it_first_began(host: Host, told: Any, tmp_path: Path) -> None:
    tasks: list[Any] = []

    async def wait() -> None:
        started = time.time_ns()
        await asyncio.sleep(0.005)
        host.probe.record("intervention", started, time.time_ns(), {})

    async def execute(self: Any) -> None:
        tasks.append(asyncio.create_task(wait()))

    host.extend("monologue_end", "Memorize", execute)

    async def run() -> None:
        await host.monologue(nothing)
        await tasks[0]

    asyncio.run(run())
    assert told()[-1] == "background Memorize > intervention"
    spans = {span["name"]: span for span in stored(tmp_path)}
    assert spans["background Memorize"]["start_ns"] <= spans["intervention"]["start_ns"]


def test_the_first_thing_such_a_task_does_knows_who_does_it(host: Host, told: Any) -> None:
    tasks: list[Any] = []
    callers: list[Any] = []
    host.extend("util_model_call_before", "Mask", sleeping(0.003))

    async def utility() -> None:
        await host.call("util_model_call_before")
        callers.append(host.probe.caller.get())

    async def execute(self: Any) -> None:
        tasks.append(asyncio.create_task(model_calls.calling(host.probe, "utility")(utility, None, (), {})))

    host.extend("monologue_end", "Memorize", execute)

    async def run() -> None:
        await host.monologue(nothing)
        await tasks[0]

    asyncio.run(run())
    assert [caller.role for caller in callers] == ["utility"]
    assert host.probe.points.of("util_model_call_before").series.count == 1


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
        tasks.append(asyncio.create_task(host.monologue(asks, name="A7")))

    async def asks() -> None:
        host.probe.turn.get().called({names.CLIENT_SECONDS: 2.0})  # type: ignore[union-attr]

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
    assert root["attributes"] == {names.CLIENT_SECONDS: 2.0}, "it is not of the chat that set it going"
    (inner,) = (span for span in spans if span["name"] == "invoke_agent A7")
    assert names.CLIENT_SECONDS not in inner["attributes"], "sums are told at the root"
    assert root["end_ns"] >= inner["end_ns"]


def test_what_goes_on_beside_the_turn_counts_into_nothing_of_the_turn(
    host: Host, telemetry: Telemetry
) -> None:
    tasks: list[Any] = []
    seen: list[Any] = []
    probe, stream, step = host.probe, Stream(), Step()

    async def beside() -> None:
        with host.span("chat utility"):
            seen.extend(variable.get() for variable in (probe.caller, probe.stream, probe.step, probe.point))
            seen.append(probe.turn.get() is turn[0])

    async def execute(self: Any) -> None:
        probe.stream.set(stream)
        probe.step.set(step)
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


def test_short_work_in_the_background_is_added_up_on_its_root_and_is_no_trace_by_itself(
    host: Host, told: Any, tmp_path: Path
) -> None:
    tasks: list[Any] = []

    async def beside(traced: bool) -> None:
        if traced:
            with host.span("chat utility"):
                pass
        else:
            host.probe.arrive()
        await host.call("point")

    async def execute(self: Any) -> None:
        tasks.extend(asyncio.create_task(beside(traced)) for traced in (True, False))

    host.extend("monologue_end", "Memorize", execute)
    host.extend("point", "Quick", nothing_by)

    async def run() -> None:
        await host.monologue(nothing)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    told()
    roots = [s for s in stored(tmp_path) if s["name"].startswith("background")]
    assert [root["attributes"].get(names.SHORT_NAMES) for root in roots] == [
        ["extension Quick", "extensions point"]
    ]


async def nothing_by(self: Any) -> None:
    """An extension that does nothing."""
