"""Telemetry end to end: spans into a real store and a real collector, and every way a process can end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.config import Config
from autoperf.store import Store
from autoperf.telemetry import Telemetry, names
from autoperf.telemetry.otlp import Target, targets
from autoperf.telemetry.pipeline import Pipeline
from tests.collector import GrpcCollector, HangingCollector, HttpCollector, refused_endpoint

PRELUDE = """
import os, sys, time, signal
from pathlib import Path
from autoperf.config import Config
from autoperf.telemetry import Telemetry
telemetry = Telemetry.start(Config(), resource={"service.version": "v9"}, snapshot=lambda: {"tools": 3},
                            store_dir=Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    started = begin(tmp_path)
    yield started
    started.shutdown()


def begin(home: Path, **snapshot: Any) -> Telemetry:
    return Telemetry.start(Config(), resource={}, snapshot=lambda: snapshot, store_dir=home)


def stored(home: Path) -> list[dict[str, Any]]:
    store = Store.open(home)
    return [span for trace in store.traces(1000) for span in store.spans(trace["trace_id"])]


def run(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    process = spawn(code, home, **variables)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def spawn(code: str, home: Path, **variables: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + textwrap.dedent(code), str(home)],
        env=clean | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- spans


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
    telemetry = begin(tmp_path, tools=3)
    with telemetry.span("open"):
        assert telemetry.flush()
        (record,) = Store.open(tmp_path).processes()
        assert (record["pid"], record["tools"], record["ended"]) == (os.getpid(), 3, None)
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


# -- exporters


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, [Target("otlp-http", "http://c:1/v1/traces")]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/x"}, [Target("otlp-http", "http://c:1/x")]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            [Target("otlp-grpc", "http://c:1")],
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, [Target("otlp-http", "http://localhost:4318/v1/traces")]),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, []),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, []),
        ({"OTEL_TRACES_EXPORTER": "console"}, [Target("console", "stdout")]),
    ],
)
def test_the_standard_variables_choose_the_exporters(variables: dict[str, str], found: list[Target]) -> None:
    assert targets(variables) == (found, [])


def test_unknown_exporters_and_protocols_are_named() -> None:
    found, problems = targets(
        {"OTEL_TRACES_EXPORTER": "zipkin,otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    )
    assert [target.kind for target in found] == ["otlp-http"]
    assert [word in line for word, line in zip(("zipkin", "http/json"), problems, strict=True)] == [
        True,
        True,
    ]


SOME_WORK = """
    with telemetry.span("invoke_agent A0", {"gen_ai.operation.name": "invoke_agent"}):
        try:
            with telemetry.span("execute_tool x"):
                raise OSError("private")
        except OSError:
            pass
"""


@pytest.mark.parametrize(("protocol", "make"), [("http/protobuf", HttpCollector), ("grpc", GrpcCollector)])
def test_a_collector_receives_what_happened(tmp_path: Path, protocol: str, make: Any) -> None:
    with make() as collector:
        result = run(
            SOME_WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_RESOURCE_ATTRIBUTES="service.version=v10,team=a",
        )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    tool, root = collector.spans
    assert (root["name"], root["parent_id"], root["scope"]) == ("invoke_agent A0", None, "autoperf")
    assert root["attributes"] == {"gen_ai.operation.name": "invoke_agent"}
    assert (tool["parent_id"], tool["status"], tool["events"]) == (root["span_id"], 2, 0)
    assert tool["attributes"] == {"error.type": "OSError"}
    resource = collector.resources[0]
    assert resource["service.name"] == "agent-zero"
    assert (resource["service.version"], resource["team"]) == ("v10", "a"), "the variables win"
    assert len(resource["service.instance.id"]) == 36
    assert len(stored(tmp_path)) == 2


def test_a_collector_that_comes_back_gets_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpCollector(status=400) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        telemetry = begin(tmp_path)
        with telemetry.span("early"):
            pass
        telemetry.flush(20)
        assert telemetry.counts()["exporters"][0]["problem"]
        collector.status = 200
        with telemetry.span("late"):
            pass
        telemetry.shutdown(20)
    assert collector.names == ["early", "late"]
    assert collector.resources[0]["service.name"] == "mine"
    (exporter,) = telemetry.counts()["exporters"]
    assert (exporter["sent"], exporter["dropped"], exporter["problem"]) == (2, 0, None)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("trouble", ["refused", "hanging", "nowhere"])
def test_a_dead_collector_delays_the_exit_a_little_and_prints_a_line_at_most(
    tmp_path: Path, protocol: str, trouble: str
) -> None:
    with HangingCollector() as hanging:
        endpoints = {
            "refused": refused_endpoint(),
            "hanging": hanging.endpoint,
            "nowhere": "http://no-such-host.invalid:4318",
        }
        begun = time.monotonic()
        result = run(
            SOME_WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoints[trouble],
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        # The bound is 2 s plus the start of a Python; the SDK by itself would take 7 to 30 s.
        assert time.monotonic() - begun < 10
    assert result.returncode == 0
    assert result.stdout == ""
    assert [
        line for line in result.stderr.splitlines() if not line.startswith("autoperf: no traces reach")
    ] == []
    assert result.stderr.count("\n") <= 1
    assert len(stored(tmp_path)) == 2
    assert Store.open(tmp_path).processes()[0]["ended"]


def test_a_hanging_collector_does_not_hold_up_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HangingCollector() as hanging:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.endpoint)
        telemetry = begin(tmp_path)
        with telemetry.span("first"):
            pass
        assert telemetry.flush(0.5) is False
        with telemetry.span("second"):
            pass
        telemetry.flush(0.5)
        assert [span["name"] for span in stored(tmp_path)] == ["second", "first"]
        telemetry.shutdown(0.1)


def test_the_sdk_switched_off_records_nothing_but_the_process(tmp_path: Path) -> None:
    assert run(SOME_WORK, tmp_path, OTEL_SDK_DISABLED="true").returncode == 0
    assert stored(tmp_path) == []
    assert Store.open(tmp_path).processes()[0]["tools"] == 3


def test_the_console_exporter_prints_spans(tmp_path: Path) -> None:
    assert '"name": "invoke_agent A0"' in run(SOME_WORK, tmp_path, OTEL_TRACES_EXPORTER="console").stdout


# -- ends and forks


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_sigterm_flushes_and_still_kills(tmp_path: Path) -> None:
    code = """
        with telemetry.span("turn"):
            with telemetry.span("done"): pass
            print("ready", flush=True)
            time.sleep(60)
    """
    process = spawn(code, tmp_path)
    ready(process)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (-signal.SIGTERM, "")
    spans = {span["name"]: span["attributes"] for span in stored(tmp_path)}
    assert spans == {"turn": {names.CUT_OFF: True}, "done": {}}
    assert Store.open(tmp_path).processes()[0]["ended"]


def test_a_sigterm_handler_of_the_hosts_is_left_in_place(tmp_path: Path) -> None:
    code = """
        telemetry.shutdown()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        mine = lambda *_: None
        signal.signal(signal.SIGTERM, mine)
        again = Telemetry.start(Config(), resource={}, snapshot=dict, store_dir=Path(sys.argv[1]))
        print(signal.getsignal(signal.SIGTERM) is mine)
        again.shutdown()
        print(signal.getsignal(signal.SIGTERM) is mine)
    """
    assert run(code, tmp_path).stdout.split() == ["True"] * 3


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    code = """
        with telemetry.span("done"): pass
        telemetry.flush()
        print("ready", flush=True)
        time.sleep(60)
    """
    process = spawn(code, tmp_path)
    ready(process)
    process.kill()
    process.communicate(timeout=60)
    assert [span["name"] for span in stored(tmp_path)] == ["done"]
    assert Store.open(tmp_path).processes()[0]["ended"] is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_its_own_record_and_repeats_nothing(tmp_path: Path) -> None:
    code = """
        with telemetry.span("before"): pass
        with telemetry.span("turn"):
            child = os.fork()
            if child == 0:
                with telemetry.span("in child"): pass
            else:
                os.waitpid(child, 0)
        with telemetry.span(f"after {child == 0}"): pass
    """
    assert run(code, tmp_path).returncode == 0
    spans = stored(tmp_path)
    assert sorted(span["name"] for span in spans) == [
        "after False",
        "after True",
        "before",
        "in child",
        "turn",
    ]
    by_name = {span["name"]: span for span in spans}
    assert by_name["in child"]["parent_id"] == by_name["turn"]["span_id"]
    assert by_name["in child"]["pid"] != by_name["turn"]["pid"] == by_name["before"]["pid"]
    records = Store.open(tmp_path).processes()
    assert {record["pid"] for record in records} == {span["pid"] for span in spans}
    assert all(record["ended"] for record in records)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_short_multiprocessing_children_lose_nothing(tmp_path: Path, method: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        + PRELUDE
        + "def work():\n    with telemetry.span('in child'): pass\n"
        + "if __name__ == '__main__':\n"
        + f"    child = multiprocessing.get_context('{method}').Process(target=work)\n"
        + "    child.start(); child.join(); print(child.exitcode)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", script, tmp_path / "state"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")
    assert [span["name"] for span in stored(tmp_path / "state")] == ["in child"]


def test_a_store_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run(SOME_WORK, tmp_path / "file" / "state")
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert "traces are not kept" in result.stderr
