"""Single seams are timed three ways: bare, under autoperf, and under autoperf where there is no inotify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.benchmark.parts import seams
from autoperf.process.config import Config
from tests import stub_host

TIMES = {"bare": 20_000.0, "autoperf": 2_000.0, "without inotify": 5_000.0}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose calls take what `TIMES` says, by how its process was started."""

    def timed(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, float]:
        way = "bare"
        if "run" in command:
            way = "autoperf" if Config.from_environ(environment).inotify else "without inotify"
        return {"get_tool": TIMES[way]}

    monkeypatch.setattr(seams, "_run", timed)
    made = stub_host.make(tmp_path / "host")
    (made / "python" / "extensions").mkdir()
    return made


def test_each_way_has_its_time_and_ratio(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["benchmark", str(host), "--only", "seams", "--rounds", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].split() == [
        *("get_tool", "20.00"),
        *("2.00", "10.00x", "10..10"),
        *("5.00", "4.00x", "4..4"),
    ]
    rounds = [line for line in shown.err.splitlines() if "round 2 of 2" in line]
    assert [line.rpartition(", ")[2] for line in rounds] == ["bare", "autoperf", "without inotify"]


def test_as_json_every_round_is_there(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["benchmark", str(host), "--only", "seams", "--rounds", "2", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["seams"]["get_tool"]
    assert found == {
        "bare_ns": [20_000.0] * 2,
        "autoperf_ns": [2_000.0] * 2,
        "without_inotify_ns": [5_000.0] * 2,
        "ratio": 10.0,
        "ratio_without_inotify": 4.0,
    }
