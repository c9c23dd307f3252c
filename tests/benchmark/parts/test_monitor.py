"""What the monitor costs, from samples: its thread's own clock by the time that passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.parts import monitor
from autoperf.cli.views import measurements
from autoperf.monitor.samples import Archive
from autoperf.telemetry.store.store import Store
from tests.trace_rows import T0, Trace, keep

S0 = T0 / 1e9


def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clocks: dict[float, float]) -> None:
    """A host that rested from second 30 to 90; ``clocks`` is the thread's clock at moments of the run."""
    trace = Trace(1)
    trace.span("user_message", 0, 95_000)
    trace.span(f"execute_tool {monitor.RESTING}", 30_000, 90_000, attributes={
        "gen_ai.tool.name": monitor.RESTING,
    })  # fmt: skip

    def run(*_: Any, **__: Any) -> None:
        keep(tmp_path, trace, processes=[])
        with Store.open(tmp_path) as store:
            rows = [{"at": S0 + at, "monitor_cpu": cpu} for at, cpu in clocks.items()]
            assert Archive(store, clock=lambda: S0 + 100).keep(rows, [])

    monkeypatch.setattr(monitor.checkouts, "run", run)


def test_work_and_rest_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {0: 0.01, 10: 0.03, 20: 0.05, 40: 0.1, 60: 0.101, 80: 0.104, 92: 0.3}
    hosted(tmp_path, monkeypatch, clocks)
    found = monitor.measure(tmp_path, tmp_path, [], tmp_path)
    assert found["work"].share == pytest.approx(0.04 / 20)
    assert found["work"].seconds == pytest.approx(20)
    assert found["rest"].share == pytest.approx(0.004 / 40)
    shown = measurements.monitor({name: vars(one) for name, one in found.items()})
    assert shown == ["the monitor's thread takes of one core: 0.200 % at work (20 s), 0.010 % at rest (40 s)"]


def test_one_sample_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosted(tmp_path, monkeypatch, {0: 0.1, 10: 0.2, 40: 0.3})
    with pytest.raises(HostError, match="1 samples are too few"):
        monitor.measure(tmp_path, tmp_path, [], tmp_path)
