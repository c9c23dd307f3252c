"""Spans from the host's code into a real store, and nothing of ours back into the host."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.pipeline import Pipeline
from autoperf.telemetry.recording import RecordingSpan
from autoperf.telemetry.store.store import Store
from autoperf.telemetry.tracing import Telemetry
from autoperf.telemetry.variables import Variables
from tests.telemetry_process import begin, run, stored


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    started = begin(tmp_path)
    yield started
    started.shutdown()


def test_nested_spans_reach_the_store_with_parents_and_attributes(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    with telemetry.span("invoke_agent A0", {names.OPERATION_NAME: "invoke_agent"}) as outer:
        trace_id = telemetry.current_trace_id()
        with telemetry.span("chat m", kind=names.CLIENT):
            pass
        start = time.time_ns()
        telemetry.record("tool_lookup", start, start + 1000, {names.CACHE_HIT: True})
        outer.set(names.AGENT_NAME, "A0")
    telemetry.shutdown()
    assert telemetry.current_trace_id() is None
    spans = {span["name"]: span for span in stored(tmp_path)}
    root = spans["invoke_agent A0"]
    assert root["attributes"] == {names.OPERATION_NAME: "invoke_agent", names.AGENT_NAME: "A0"}
    assert {span["trace_id"] for span in spans.values()} == {trace_id}
    assert [spans[name]["parent_id"] for name in ("chat m", "tool_lookup")] == [root["span_id"]] * 2
    assert spans["chat m"]["kind"] == "client"
    assert spans["tool_lookup"]["end_ns"] - spans["tool_lookup"]["start_ns"] == 1000


@pytest.mark.parametrize("limit", ["128", "2"])
def test_a_span_of_ours_is_as_the_sdk_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limit)
    telemetry = begin(tmp_path)
    attributes = {
        "n": 1,
        "none": None,
        "t": "x" * 5_000,
        "l": ["a", "b"],
        names.ERROR_TYPE: "E",
        "o": object(),
    }
    from autoperf.telemetry import provider

    assert telemetry._source is not None
    sdk = provider.make_provider(provider.make_resource({}, Variables()), Variables())
    sdk.add_span_processor(telemetry._processors[0])
    by_the_sdk = provider.source(sdk, shared=False)

    with telemetry.span("a message", new_trace=True) as message, telemetry.span("short", from_ns=10**12):
        assert type(message._span) is RecordingSpan  # type: ignore[union-attr]
        telemetry.record("ours", 10, 20, attributes, names.CLIENT)
        telemetry._source = by_the_sdk
        telemetry.record("by the SDK", 10, 20, attributes, names.CLIENT)
    telemetry.shutdown()
    found = {span.pop("name"): span for span in stored(tmp_path)}
    assert len({found[name].pop("span_id") for name in ("ours", "by the SDK")}) == 2
    assert found["ours"] == found["by the SDK"]
    assert found["ours"]["parent_id"] == found["short"]["span_id"]
    assert found["ours"]["status"] == "error"
    assert len(found["ours"]["attributes"]) == min(5, int(limit))


def test_a_host_exception_passes_unchanged_and_leaves_only_its_class(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    error = ValueError("the user's secret")

    def host() -> None:
        with telemetry.span("execute_tool x"):
            raise error

    with pytest.raises(ValueError, match="the user's secret") as caught:
        host()
    assert caught.value is error
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][1:] == ["host"]
    telemetry.shutdown()
    (span,) = stored(tmp_path)
    assert span["status"] == "error"
    assert span["attributes"] == {names.ERROR_TYPE: "ValueError"}
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_cancellation_is_no_error(telemetry: Telemetry, tmp_path: Path) -> None:
    async def main() -> None:
        async def work() -> None:
            with telemetry.span("execute_tool slow"):
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    telemetry.shutdown()
    (span,) = stored(tmp_path)
    assert span["status"] == "unset"
    assert span["attributes"] == {names.INTERRUPTED: "asyncio.exceptions.CancelledError"}


def test_tasks_at_once_keep_their_own_parents(telemetry: Telemetry, tmp_path: Path) -> None:
    async def turn(number: int) -> None:
        with telemetry.span(f"turn {number}"):
            await asyncio.sleep(0)
            with telemetry.span(f"tool {number}"):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(turn(number) for number in range(5)))

    asyncio.run(main())
    telemetry.shutdown()
    spans = {span["name"]: span for span in stored(tmp_path)}
    for number in range(5):
        assert spans[f"tool {number}"]["parent_id"] == spans[f"turn {number}"]["span_id"]
        assert spans[f"turn {number}"]["parent_id"] is None


def test_a_trace_of_its_own_is_linked_to_what_caused_it(telemetry: Telemetry, tmp_path: Path) -> None:
    with telemetry.span("turn"), telemetry.span("memorise", new_trace=True):
        pass
    telemetry.shutdown()
    spans = {span["name"]: span for span in stored(tmp_path)}
    assert spans["memorise"]["parent_id"] is None
    assert spans["memorise"]["trace_id"] != spans["turn"]["trace_id"]
    assert spans["memorise"]["links"] == [[spans["turn"]["trace_id"], spans["turn"]["span_id"]]]


def test_a_span_left_in_another_context_is_no_error(
    telemetry: Telemetry, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def stream() -> Any:
        with telemetry.span("stream"):
            yield 1

    async def main() -> None:
        generator = stream()
        await asyncio.create_task(generator.__anext__())
        await asyncio.create_task(generator.aclose())

    asyncio.run(main())
    telemetry.shutdown()
    assert [span["name"] for span in stored(tmp_path)] == ["stream"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 5000, "x" * 999 + "…"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        (2**70, "int"),
        (object(), "object"),
        ({"text": "private"}, "dict"),
        ([1, "b"], ["1", "b"]),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_any_value_becomes_one_that_exporters_can_encode(
    telemetry: Telemetry, tmp_path: Path, value: Any, kept: Any
) -> None:
    with telemetry.span("execute_tool " + "/\ud800" * 5000, {"at_start": value, "none": None}) as span:
        span.set("later", value)
    telemetry.shutdown()
    (found,) = stored(tmp_path)
    assert found["attributes"] == {"at_start": kept, "later": kept}
    assert len(found["name"]) == 200


def test_a_failure_of_ours_stays_with_us(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monkeypatch.setattr("autoperf.telemetry.spans.clean", lambda *_: 1 / 0)
    ran = []
    with telemetry.span("execute_tool x") as span:
        span.set("key", "value")
        ran.append(True)
    telemetry.record("late", 1, 2)
    assert ran == [True]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_after_shutdown_spans_cost_nothing_and_do_nothing(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry.shutdown()
    with telemetry.span("late") as span:
        span.set("key", 1)
    telemetry.record("late", 1, 2)
    telemetry.shutdown()
    assert stored(tmp_path) == []


def test_the_process_record_is_saved_while_running_and_when_ended(tmp_path: Path) -> None:
    telemetry = begin(tmp_path, local=3)
    with telemetry.span("open"):
        assert telemetry.flush()
        (record,) = Store.open(tmp_path).processes()
        assert (record["pid"], record["local"], record["ended"]) == (os.getpid(), 3, None)
        telemetry.shutdown()
    (record,) = Store.open(tmp_path).processes()
    assert record["ended"] >= record["started"]
    assert record["telemetry"]["spans"] == 1
    (span,) = stored(tmp_path)
    assert span["attributes"] == {names.CUT_OFF: True}


def test_a_provider_of_the_hosts_is_used_and_its_spans_are_left_alone(tmp_path: Path) -> None:
    code = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        seen = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(seen))
        with telemetry.span("early"):
            pass
        trace.set_tracer_provider(provider)
        while not telemetry.counts()["host_provider"]:
            time.sleep(0.05)
        with trace.get_tracer("host").start_as_current_span("host's own"), telemetry.span("ours"):
            pass
        print(sorted(span.name for span in seen.get_finished_spans()))
    """
    result = run(code, tmp_path)
    assert result.stdout.strip() == "[\"host's own\", 'ours']"
    assert sorted(span["name"] for span in stored(tmp_path)) == ["early", "ours"]


def test_no_provider_is_made_global_and_nothing_is_imported_early(tmp_path: Path) -> None:
    code = "import sys, autoperf.telemetry; print(sorted({'opentelemetry', 'sqlite3'} & {*sys.modules}))"
    early = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert early.stdout.strip() == "[]"
    code = """
        from opentelemetry import trace
        with telemetry.span("x"): pass
        telemetry.flush()
        print(trace._TRACER_PROVIDER, [m for m in sys.modules if m.startswith(("requests", "grpc"))])
    """
    assert run(code, tmp_path).stdout.strip() == "None []"


# -- the pipeline


def test_a_full_queue_drops_and_counts() -> None:
    taken: list[int] = []
    pipeline = Pipeline[int]("test", lambda items: not taken.extend(items), capacity=10)
    for number in range(25):
        pipeline.put(number)
    assert pipeline.ask(1, stop=True)
    assert taken == list(range(10))
    assert (pipeline.dropped, pipeline.delivered) == (15, 10)


def test_a_batch_that_fails_is_tried_again_in_order() -> None:
    answers, taken = [False, True, True], []

    def deliver(items: list[int]) -> bool:
        accepted = answers.pop(0)
        taken.extend(items if accepted else [])
        return accepted

    pipeline = Pipeline[int]("test", deliver, batch=2)
    for number in range(4):
        pipeline.put(number)
    pipeline.ask(1)
    assert taken == []
    pipeline.ask(1, stop=True)
    assert taken == [0, 1, 2, 3]
    assert pipeline.dropped == 0


def test_a_batch_that_nobody_takes_is_given_up_after_four_attempts() -> None:
    pipeline: Pipeline[int] = Pipeline("test", lambda _: False)
    pipeline.put(1)
    seen = []
    for _ in range(4):
        pipeline.ask(1)
        seen.append((pipeline.waiting, pipeline.dropped))
    assert seen == [(1, 0), (1, 0), (1, 0), (0, 1)]


def test_what_may_block_is_never_delivered_by_the_caller_but_counted() -> None:
    delivered: list[list[int]] = []
    pipeline: Pipeline[int] = Pipeline("test", lambda items: bool(delivered.append(items)), may_block=True)
    pipeline.put(1)
    assert pipeline.ask(1)
    assert (delivered, pipeline.waiting, pipeline.dropped) == ([], 0, 1)
