"""The failure matrix: whatever a collector does, the host exits soon, prints a line at most, keeps all."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.export.exporters import Hush
from autoperf.telemetry.store.store import Store
from tests.collector import GrpcCollector, HangingCollector, HttpCollector, refused_endpoint
from tests.telemetry_process import begin, run, stored

pytestmark = pytest.mark.slow

# The bound is 2 s, measured within the process; the slack is for a machine that is busy with other things.
LONGEST_EXIT = 2.0 + 6.0
WORK = """
    for number in range(3):
        with telemetry.span(f"span {number}"):
            telemetry.measure("gen_ai.execute_tool.duration", 0.5)
    begun = time.monotonic()
    telemetry.shutdown()
    print(time.monotonic() - begun)
"""


class Elsewhere(AbstractContextManager["Elsewhere"]):
    """An endpoint without a collector of ours."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def __exit__(self, *_: object) -> None:
        return None


TROUBLES: dict[str, Callable[[], Any]] = {
    "refused http": lambda: Elsewhere(refused_endpoint()),
    "refused grpc": lambda: Elsewhere(refused_endpoint()),
    "hanging http": HangingCollector,
    "hanging grpc": HangingCollector,
    "503 http": lambda: HttpCollector(503, metrics_status=503),
    "unavailable grpc": lambda: GrpcCollector("UNAVAILABLE"),
    "500 http": lambda: HttpCollector(500, metrics_status=500),
    "internal grpc": lambda: GrpcCollector("INTERNAL"),
    "401 http": lambda: HttpCollector(401, metrics_status=401),
    "slow http": lambda: HttpCollector(delay=30),
    "slow grpc": lambda: GrpcCollector(delay=5),
    "http spoken to grpc": HttpCollector,
    "no such host http": lambda: Elsewhere("http://no-such-host.invalid:4318"),
    "no such host grpc": lambda: Elsewhere("http://no-such-host.invalid:4317"),
    "no TLS there http": lambda: Tls(HttpCollector()),
    "no TLS there grpc": lambda: Tls(GrpcCollector()),
    "no URL at all http": lambda: Elsewhere("rubbish"),
}


class Tls(AbstractContextManager["Tls"]):
    """A collector that speaks no TLS, under an address that says it does."""

    def __init__(self, collector: HttpCollector | GrpcCollector) -> None:
        self._collector = collector
        self.endpoint = collector.endpoint.replace("http:", "https:")

    def __enter__(self) -> Tls:
        self._collector.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._collector.__exit__()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_collector_costs_little_at_exit_and_one_line_at_most(tmp_path: Path, trouble: str) -> None:
    with TROUBLES[trouble]() as collector:
        result = run(
            WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc" if trouble.endswith("grpc") else "http/protobuf",
        )
    assert result.returncode == 0
    assert float(result.stdout) < LONGEST_EXIT, "and nothing else is on stdout"
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"autoperf: no traces reach {collector.endpoint}")
    assert sorted(span["name"] for span in stored(tmp_path)) == ["span 0", "span 1", "span 2"]
    (record,) = Store.open(tmp_path).processes()
    assert record["ended"]
    telemetry = record["telemetry"]
    assert (telemetry["spans"], telemetry["dropped"]) == (3, 0)
    (exporter,) = telemetry["exporters"]
    lost = (exporter["sent"], exporter["waiting"], exporter["dropped"])
    assert lost == (0, 0, 3), "every span is accounted for"
    assert exporter["problem"]


@pytest.mark.parametrize("garbage", [True, False])
def test_an_answer_that_makes_no_sense_is_an_answer(tmp_path: Path, garbage: bool) -> None:
    with HttpCollector(garbage=garbage) as collector:
        result = run(WORK, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert (result.returncode, result.stderr) == (0, "")
    assert collector.names == ["span 0", "span 1", "span 2"]
    assert len(stored(tmp_path)) == 3


@pytest.mark.parametrize("make", [HttpCollector, GrpcCollector])
def test_a_collector_restarted_in_mid_run_gets_what_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], make: Any
) -> None:
    with make() as first:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", first.endpoint)
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        if make is GrpcCollector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        # The exporters try again by themselves for as long as this says.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        telemetry = begin(tmp_path)
        with telemetry.span("before"):
            pass
        assert telemetry.flush(20)
    with telemetry.span("meanwhile"):
        pass
    given_up = telemetry.flush(5)  # before 1.30 or so, gRPC goes on trying for a minute
    (exporter,) = telemetry.counts()["exporters"]
    assert (exporter["sent"], exporter["waiting"], exporter["dropped"]) == (1, 1, 0)
    assert bool(exporter["problem"]) == given_up
    with make(port=first.port) as second:
        with telemetry.span("after"):
            pass
        deadline = time.monotonic() + 30
        while len(second.spans) < 2 and time.monotonic() < deadline:
            telemetry.flush(10)
        telemetry.shutdown(20)
    assert (first.names, second.names) == (["before"], ["meanwhile", "after"])
    (exporter,) = telemetry.counts()["exporters"]
    assert (exporter["sent"], exporter["dropped"], exporter["problem"]) == (3, 0, None)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", int(given_up))


def test_more_than_fits_is_dropped_for_the_exporter_and_counted_but_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with HangingCollector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        telemetry = begin(tmp_path)
        for number in range(50):
            with telemetry.span(f"{number}"):
                pass
        telemetry.shutdown(0.1)
    (exporter,) = telemetry.counts()["exporters"]
    assert (exporter["sent"], exporter["waiting"], exporter["dropped"]) == (0, 0, 50)
    assert len(stored(tmp_path)) == 50


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_is_checked_against_the_one_given(
    tmp_path: Path, certificate: tuple[Path, Path], trusted: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with HttpCollector(tls=context) as collector:
        result = run(
            WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            REQUESTS_CA_BUNDLE="",  # this and the next would win over the variable
            CURL_CA_BUNDLE="",
            **({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate[0])} if trusted else {}),
        )
    assert result.returncode == 0
    assert len(collector.names) == (3 if trusted else 0)
    assert result.stderr.count("\n") == (0 if trusted else 1)
    assert len(stored(tmp_path)) == 3


def test_why_an_exporter_gave_up_is_what_it_said_before() -> None:
    logger = logging.getLogger("opentelemetry.exporter.test")
    logger.addFilter(lambda record: False)  # as those of the SDK that swallow repetitions
    hush = Hush()
    hush.install(threading.get_ident())
    logger.warning("Transient error %s encountered, retrying in 1s.", "certificate verify failed")
    logger.error("Failed to export spans batch due to timeout, max retries or shutdown.")
    hush.remove()
    assert "certificate verify failed" in hush.last


def test_an_exporter_that_goes_on_trying_after_the_end_says_nothing_of_it(tmp_path: Path) -> None:
    code = WORK.replace("telemetry.shutdown()", "telemetry.shutdown(0.2)") + "    time.sleep(3)\n"
    with HttpCollector(503, metrics_status=503) as collector:
        result = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("autoperf: no traces reach")


def test_what_the_host_logs_through_the_same_loggers_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    hush = Hush()
    hush.install(threading.get_ident())
    host = threading.Thread(target=lambda: logger.warning("the host's own"))
    host.start()
    host.join()
    logger.warning("the exporter's")
    hush.remove()
    assert ([record.getMessage() for record in caplog.records], hush.last) == (
        ["the host's own"],
        "the exporter's",
    )


# -- the standard variables that our private provider and exporters follow


@pytest.mark.parametrize(("protocol", "make"), [("http/protobuf", HttpCollector), ("grpc", GrpcCollector)])
def test_headers_and_compression_are_those_of_the_variables(tmp_path: Path, protocol: str, make: Any) -> None:
    with make() as collector:
        run(
            WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_HEADERS="api-key=secret%20one",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        )
    given = {name.lower(): value for name, value in collector.headers.items()}
    assert given["api-key"] == "secret one"
    assert protocol == "grpc" or given["content-encoding"] == "gzip"
    assert len(collector.spans) == 3


def test_the_sampler_is_that_of_the_variables(tmp_path: Path) -> None:
    with HttpCollector() as collector:
        run(WORK, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_TRACES_SAMPLER="always_off")
    assert collector.spans == []
    assert stored(tmp_path) == []
    (point,) = collector.metrics[-1][names.EXECUTE_TOOL_DURATION].histogram.data_points
    assert (point.count, len(point.exemplars)) == (3, 0), "metrics are not sampled"


# -- when exporters are imported


def test_exporters_are_not_imported_while_the_host_still_imports(tmp_path: Path) -> None:
    (tmp_path / "slow_host.py").write_text(
        "import sys, time\n"
        "from __main__ import telemetry\n"
        "with telemetry.span('while importing'):\n"
        "    telemetry.measure('gen_ai.execute_tool.duration', 0.5)\n"
        "time.sleep(3.5)\n"  # three times as long as an exporter would wait
        "EARLY = [name for name in sys.modules if name.startswith('opentelemetry.exporter')]\n"
    )
    code = f"""
        sys.path.insert(0, {str(tmp_path)!r})
        import slow_host
        print(slow_host.EARLY)
        deadline = time.monotonic() + 30
        while not telemetry.counts()["exporters"][0]["sent"] and time.monotonic() < deadline:
            time.sleep(0.1)
        print(telemetry.counts()["exporters"][0]["sent"])
    """
    with HttpCollector() as collector:
        result = run(
            code,
            tmp_path / "state",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_METRIC_EXPORT_INTERVAL="200",
        )
    assert (result.stdout, result.stderr) == ("[]\n1\n", "")
    assert collector.names == ["while importing"]
