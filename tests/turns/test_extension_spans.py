"""Extensions told apart, their share of a step, and what failing ones leave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extension_spans as points
from autoperf.instrumentation.agentzero.tracing import memory, turn, turns
from autoperf.telemetry import names
from autoperf.telemetry.tracing import Telemetry
from tests.telemetry_process import stored
from tests.turns.host import Host, nothing, sleeping


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


def short(tmp_path: Path) -> list[dict[str, tuple[int, float]]]:
    """For each step, by name: how many pieces were too short for spans, and their seconds."""
    keys = (names.SHORT_NAMES, names.SHORT_COUNTS, names.SHORT_SECONDS)
    steps = [s["attributes"] for s in stored(tmp_path) if s["name"] == "step"]
    rows = [zip(*(step.get(key, ()) for key in keys), strict=True) for step in steps]
    return [{name: (count, seconds) for name, count, seconds in row} for row in rows]


def short_of(tmp_path: Path, name: str) -> dict[str, int]:
    """By name, how many pieces too short for spans the one span ``name`` tells of."""
    (span,) = (s["attributes"] for s in stored(tmp_path) if s["name"] == name)
    return dict(zip(span.get(names.SHORT_NAMES, ()), span.get(names.SHORT_COUNTS, ()), strict=True))


def aged(host: Host, seconds: float) -> None:
    """The message has gone on for so long already."""
    turn = host.probe.turn.get()
    assert turn is not None
    turn._begun -= seconds


def test_a_step_has_a_share_of_short_spans_and_adds_up_the_others_by_name(
    host: Host, told: Any, tmp_path: Path
) -> None:
    host.extend("point", "Slow", sleeping(0.0011))

    async def step() -> None:
        aged(host, 100.0)
        for _ in range(25):
            await host.call("point")

    asyncio.run(host.monologue(step, nothing))
    # A point and its extension may both begin while there is one left.
    spans = [path for path in told() if "extension" in path]
    assert len(spans) in (20, 21)
    points = sum(path.endswith("extensions point") for path in spans)
    first, second = sorted(short(tmp_path), key=len, reverse=True)
    assert second == {}, "a step that leaves nothing out says nothing"
    count, seconds = first["extensions point"]
    assert count == 25 - points, "with a span below it, it is one"
    assert seconds >= count * 0.0011


def test_calls_of_a_frequent_point_under_a_millisecond_are_added_up_too(
    host: Host, told: Any, tmp_path: Path
) -> None:
    host.extend("response_stream", "Quick", sleeping(0))

    async def step() -> None:
        aged(host, 100.0)
        for _ in range(7):
            await host.call("response_stream")
            await host.call("reasoning_stream")  # without extensions

    asyncio.run(host.monologue(step))
    told()
    ((name, (count, seconds)),) = short(tmp_path)[0].items()
    assert (name, count) == ("extensions response_stream", 7)
    assert seconds > 0


def test_an_extension_without_a_span_is_added_up_by_name_and_one_with_a_span_never(
    host: Host, told: Any, tmp_path: Path
) -> None:
    host.extend("point", "Quick", sleeping(0))
    host.extend("point", "Long", sleeping(0.055))

    async def step() -> None:
        aged(host, 100.0)
        host.probe.turn.get()._left = 0  # type: ignore[union-attr]
        for _ in range(3):
            await host.call("point")

    asyncio.run(host.monologue(step))
    assert sum(path.endswith("extensions point > extension Long") for path in told()) == 3
    assert {name: count for name, (count, _) in short(tmp_path)[0].items()} == {"extension Quick": 3}


def test_what_became_a_span_for_the_one_below_it_is_not_added_up_beside(
    host: Host, told: Any, tmp_path: Path
) -> None:
    host.extend("point", "Slow", sleeping(0.0025))

    async def step() -> None:
        aged(host, 100.0)
        host.probe.turn.get()._left = 1  # type: ignore[union-attr]
        await host.call("point")

    asyncio.run(host.monologue(step))
    assert any(path.endswith("extensions point > extension Slow") for path in told())
    assert short(tmp_path) == [{}]


def test_a_history_that_was_only_counted_is_added_up(host: Host, told: Any, tmp_path: Path) -> None:
    async def step() -> None:
        aged(host, 100.0)
        for _ in range(2):
            await memory.compression(host.probe)(nothing, None, (), {})

    asyncio.run(host.monologue(step))
    assert not any("compress" in path for path in told())
    assert {name: count for name, (count, _) in short(tmp_path)[0].items()} == {names.COMPRESS_HISTORY: 2}


def test_what_is_short_outside_of_steps_is_added_up_on_the_monologue_and_on_the_message(
    host: Host, told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (turn, "SHORT_NS"),
        (turn, "_LONG_NS"),
        (points, "_CALL_NS"),
        (points, "_EXTENSION_NS"),
    ):
        monkeypatch.setattr(module, name, 60 * 10**9)  # on a busy machine too
    for point in ("monologue_start", "point", "monologue_end", "process_chain_end"):
        host.extend(point, "Quick", sleeping(0))

    async def step() -> None:
        aged(host, 100.0)
        await host.call("point")

    async def chain(agent: Any) -> None:
        aged(host, 100.0)
        await host.monologue(step, step)
        await host.call("process_chain_end")

    agent = SimpleNamespace(agent_name="A0", context=SimpleNamespace(id="chat-1"))
    asyncio.run(turns.message(host.probe)(chain, None, (agent,), {}))
    told()
    label, quick = "extensions {}".format, "extension Quick"
    assert [{name: n for name, (n, _) in one.items()} for one in short(tmp_path)] == 2 * [
        {quick: 1, label("point"): 1}
    ]
    assert short_of(tmp_path, "invoke_agent A0") == {
        quick: 2, label("monologue_start"): 1, label("monologue_end"): 1,
    }  # fmt: skip
    assert short_of(tmp_path, names.MESSAGE) == {quick: 1, label("process_chain_end"): 1}


@pytest.mark.parametrize("point", ["late", "response_stream"])
def test_what_took_fifty_milliseconds_has_a_span_however_late_in_the_step_it_comes(
    host: Host, told: Any, point: str
) -> None:
    host.extend("point", "Slow", sleeping(0.0011))
    host.extend(point, "Long", sleeping(0.055))

    async def step() -> None:
        aged(host, 100.0)
        for _ in range(25):
            await host.call("point")
        await host.call(point)

    asyncio.run(host.monologue(step))
    assert f"invoke_agent A0 > step > extensions {point}" in told()


def test_what_took_one_percent_of_its_message_has_one_too(host: Host, told: Any) -> None:
    host.extend("point", "Slow", sleeping(0.0011))
    host.extend("late", "Long", sleeping(0.012))

    async def step() -> None:
        for _ in range(25):
            await host.call("point")
        aged(host, 0.5)
        await host.call("late")

    asyncio.run(host.monologue(step))
    assert "invoke_agent A0 > step > extensions late > extension Long" in told()


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


def test_and_nothing_is_said_to_be_left_out(telemetry: Telemetry, told: Any, tmp_path: Path) -> None:
    host = Host(Probe(telemetry, "all"))
    host.extend("point", "Slow", sleeping(0.0011))

    async def step() -> None:
        for _ in range(25):
            await host.call("point")

    asyncio.run(host.monologue(step))
    assert told().count("invoke_agent A0 > step > extensions point") == 25
    assert short(tmp_path) == [{}]


@pytest.mark.parametrize("detail", ["step", "all"])
def test_slow_callbacks_are_no_span_for_every_chunk(
    telemetry: Telemetry, told: Any, tmp_path: Path, detail: str
) -> None:
    host = Host(Probe(telemetry, detail))
    host.extend("response_stream", "Slow", sleeping(0.011))

    async def step() -> None:
        aged(host, 100.0)
        for _ in range(25):
            await host.call("response_stream")

    asyncio.run(host.monologue(step))
    spans = told().count("invoke_agent A0 > step > extensions response_stream")
    (inside,) = short(tmp_path)
    assert spans + inside["extensions response_stream"][0] == 25
    assert spans < 5, "only where the machine made 50 ms of 11"


def test_outside_of_a_turn_they_are_no_traces(telemetry: Telemetry, told: Any) -> None:
    host = Host(Probe(telemetry, "all"))
    host.extend("_functions/models/get_api_key/end", "Slow", sleeping(0.011))
    asyncio.run(host.call("_functions/models/get_api_key/end"))
    assert told() == []


def test_failures_that_the_host_swallows_for_every_chunk_are_no_span_for_every_chunk(
    host: Host, told: Any, tmp_path: Path
) -> None:
    async def failing(self: Any) -> None:
        raise KeyError("secret")

    host.extend("response_stream", "Failing", failing)

    async def step() -> None:
        aged(host, 100.0)
        for _ in range(100):
            with contextlib.suppress(KeyError):
                await host.call("response_stream")

    asyncio.run(host.monologue(step))
    assert told().count("invoke_agent A0 > step > extensions response_stream") == 20
    # Those that took less than a millisecond are added up as well.
    (inside,) = short(tmp_path)
    assert inside["extensions response_stream"][0] == 80
    failed = [s for s in stored(tmp_path) if s["name"] == "extensions response_stream"]
    assert {s["status"] for s in failed} == {"error"}


def test_what_is_loaded_after_a_call_by_what_it_left_behind_is_not_kept(host: Host) -> None:
    async def step() -> None:
        with host.calling("prompts"):
            lookup = host.probe.point.get()
            assert lookup is not None
            lookup.found([int])
        lookup.found([str])
        assert lookup._classes == [int]

    asyncio.run(host.monologue(step))


def test_what_ran_counts_also_where_nobody_told_what_would_run(host: Host, told: Any) -> None:
    async def step() -> None:
        with host.calling("response_stream"):  # nothing is patched that finds the classes
            await host.extensions["response_stream"][0](agent=None).execute()

    host.extend("response_stream", "Slow", sleeping(0.011))
    asyncio.run(host.monologue(step))
    assert host.probe.points.of("response_stream").series.count == 1
    assert told()[-1] == "invoke_agent A0 > step > extensions response_stream"


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


def test_an_extension_that_makes_another_for_itself_is_still_the_one_that_runs(host: Host, told: Any) -> None:
    inner = type("Inner", (host.base,), {})

    async def execute(self: Any) -> None:
        inner(agent=None)
        with host.span("inside"):
            pass

    host.extend("prompts", "Outer", execute)

    async def step() -> None:
        await host.call("prompts")

    asyncio.run(host.monologue(step))
    assert told()[-1].endswith("extensions prompts > extension Outer > inside")
