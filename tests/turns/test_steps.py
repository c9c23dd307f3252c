"""Steps, subordinates and several chats; how long a monologue took."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import turns
from autoperf.telemetry import names
from tests.telemetry_process import stored
from tests.turns.host import Host, nothing


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


def test_a_message_has_the_sums_of_its_model_calls_and_of_its_subordinates(
    host: Host, told: Any, tmp_path: Path
) -> None:
    def called(seconds: float) -> None:
        host.probe.turn.get().called(  # type: ignore[union-attr]
            {names.PROVIDER_SECONDS: seconds, names.CLIENT_CPU: 2 * seconds, names.CHUNKS: 3}
        )

    async def below() -> None:
        called(0.5)

    async def step() -> None:
        called(1.0)
        await host.monologue(below, name="A1")

    async def chain(agent: Any) -> Any:
        return await host.monologue(step, step)

    agent = SimpleNamespace(agent_name="A0", context=SimpleNamespace(id="chat-1"))
    asyncio.run(turns.message(host.probe)(chain, None, (agent,), {}))
    asyncio.run(host.monologue(below))
    told()
    sums = {
        span["name"]: {
            key: span["attributes"][key] for key in names.LAYERS_OF_A_CALL if key in span["attributes"]
        }
        for span in stored(tmp_path)
        if span["parent_id"] is None
    }
    assert sums == {
        names.MESSAGE: {names.PROVIDER_SECONDS: 3.0, names.CLIENT_CPU: 6.0},
        "invoke_agent A0": {names.PROVIDER_SECONDS: 0.5, names.CLIENT_CPU: 1.0},
    }, "also a monologue without a message is a root"
    assert not any(
        names.PROVIDER_SECONDS in s["attributes"] for s in stored(tmp_path) if s["parent_id"] is not None
    )


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


def test_the_wait_before_a_failed_step_is_tried_again_is_shown(host: Host, told: Any, tmp_path: Path) -> None:
    async def retry(error: Exception, retries: int) -> int:
        return retries + 1

    async def step() -> None:
        wait = turns.retry(host.probe)
        assert await wait(retry, None, (KeyError("secret"), 0), {}) == 1

    asyncio.run(host.monologue(step))
    assert told()[-1] == "invoke_agent A0 > step > retry"
    (found,) = (span for span in stored(tmp_path) if span["name"] == names.RETRY)
    assert (found["status"], found["attributes"]) == ("error", {names.ERROR_TYPE: "KeyError"})


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


def test_durations_of_monologues_name_the_agent_but_not_any_number_of_them() -> None:
    from tests.recording import Recording

    tracing = Recording()
    host = Host(Probe(tracing))

    async def failing() -> None:
        raise json.JSONDecodeError("secret", "", 0)

    with pytest.raises(ValueError, match="secret"):
        asyncio.run(host.monologue(failing))
    for number in range(100):
        asyncio.run(host.monologue(nothing, name=f"agent {number % 50}"))
    found = [attributes for _, _, attributes in tracing.measured]
    assert found[0] == {
        names.OPERATION_NAME: names.INVOKE_AGENT,
        names.AGENT_NAME: "A0",
        names.ERROR_TYPE: "json.decoder.JSONDecodeError",
    }
    told = [attributes[names.AGENT_NAME] for attributes in found]
    assert told[1:32] == [f"agent {number}" for number in range(31)]
    assert set(told[32:51]) == set(told[82:]) == {"(other)"}
    assert told[51:82] == told[1:32]
