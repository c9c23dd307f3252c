"""`autoperf benchmark`: what it prints was measured, and a checkout that is none is one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.benchmark.host import mini
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.inside import seam_times
from autoperf.benchmark.measure.rounds import Variant
from autoperf.benchmark.measure.samples import Sample
from autoperf.benchmark.measure.transcript import Transcript
from autoperf.benchmark.parts import launcher
from autoperf.benchmark.parts.benchmark import Benchmark
from autoperf.features import FEATURES

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_launcher_is_timed_against_a_plain_exec(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "ROUNDS", 2)
    assert cli.main(["benchmark", "--only", "launcher", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["launcher"]
    assert shown["rounds"] == 2
    assert shown["added_ms"] == pytest.approx(shown["autoperf_ms"] - shown["plain_ms"])
    assert shown["ratio_to_python"] == pytest.approx(shown["autoperf_ms"] / shown["python_ms"])
    assert min(shown["bystander"].values()) > 0


@pytest.mark.parametrize("what", ["no/such/folder", "tests"])
def test_a_folder_that_is_no_checkout_is_one_line(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["benchmark", str(REPOSITORY / what), "--only", "seams"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("...")]
    assert len(lines) == 1
    assert "not an Agent Zero checkout" in lines[0]


WRONG = [
    (["--rounds", "0"], 2, "'0' is no whole number of at least 1"),
    (["--rounds", "many"], 2, "'many' is no whole number"),
    (["--scenario", "shrot"], 2, "invalid choice"),
    (["--features", "tols"], 2, "no feature 'tols'"),
    (["--only", "seams"], 1, "seams: the mini agent has only short; name a checkout"),
    (["--scenario", "long", "--scenario", "start"], 1, "long, start: the mini agent has only short"),
    (["--only", "launcher", "--plot", "x.svg"], 1, "--plot draws scenarios"),
    (["--plot", "no/such/folder/x.svg"], 1, "--plot: there is no folder"),
    (["--plot", "x.png"], 2, "'x.png': the picture is SVG, so name a file that ends in .svg"),
    (["--start-timeout", "0"], 2, "'0' is no number of seconds"),
    (["--python", sys.executable], 1, "--python names the interpreter of a checkout; name that too"),
    (["tests", "--python", "/bin/true"], 1, "/bin/true is not a Python 3 that runs: exit code 0"),
    (["tests", "--python", "no-such-python"], 1, "no-such-python: no such Python"),
    (["--feature-matrix", "--features", "tools"], 1, "--feature-matrix takes every feature alone"),
    (["/no/such/checkout"], 1, "not an Agent Zero checkout"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=lambda part: str(part)[:40])
def test_a_line_that_makes_no_sense_is_one_line_and_measures_nothing(
    line: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Benchmark, "scenarios", None)
    assert cli.main(["benchmark", *line]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


def test_an_installation_without_the_mini_agent_says_so_and_measures_the_launcher(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mini, "_REPOSITORY", tmp_path)
    monkeypatch.setattr(launcher, "ROUNDS", 1)
    assert cli.main(["benchmark", "--json"]) == 0
    shown = capsys.readouterr()
    assert list(json.loads(shown.out)) == ["launcher"]
    assert "this installation has no examples/mini_agent" in shown.err
    assert cli.main(["benchmark", "--scenario", "short"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def samples(seconds: float, text: str) -> Sample:
    sample = Sample({"CPU": seconds}, {"steps": 2})
    sample.transcript = Transcript({"chat": (text,)})
    return sample


@pytest.mark.parametrize("same", [True, False])
def test_scenarios_come_as_text_as_json_and_as_a_picture(
    same: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def hold(workdir: Path, variant: Variant) -> Sample:
        return samples(3.0, "hello") if variant.features is None else samples(1.5, "hello" if same else "bye")

    monkeypatch.setattr(mini, "hold", hold)
    line = ["benchmark", "--scenario", "short", "--rounds", "2"]
    assert cli.main([*line, "--plot", str(tmp_path / "x.svg")]) == (0 if same else 1)
    shown = capsys.readouterr()
    assert ("transcripts equal" in shown.out) is same
    assert ("+bye" in shown.out) is not same
    assert ["CPU", "3.00", "s", "1.50", "s", "2.00", "2.00..2.00"] in [
        row.split() for row in shown.out.splitlines()
    ]
    assert "machine: the same fixed work" in shown.out
    assert shown.err.count("... short, round") == 8
    assert "2.00x" in (tmp_path / "x.svg").read_text()
    assert cli.main([*line, "--json"]) == (0 if same else 1)
    report = json.loads(capsys.readouterr().out)
    assert report["scenarios"][0]["rows"][0]["variants"]["autoperf"]["ratio"]["each"] == [2.0, 2.0]
    assert len(report["noise"]["readings_seconds"]) == 6


def test_what_was_measured_before_a_failure_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(self: Benchmark) -> dict[str, Any]:
        raise HostError("the host ended with status 3")

    monkeypatch.setattr(Benchmark, "launcher", fail)
    monkeypatch.setattr(mini, "hold", lambda workdir, variant: samples(1.0, "hello"))
    assert cli.main(["benchmark", "--rounds", "1"]) == 1
    shown = capsys.readouterr()
    assert "transcripts equal" in shown.out
    assert shown.err.splitlines()[-1] == "autoperf: the host ended with status 3"


def test_the_matrix_shows_every_feature(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mini, "hold", lambda workdir, variant: samples(len(variant.features or "xx"), "hello")
    )
    assert cli.main(["benchmark", "--feature-matrix", "--rounds", "1"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    for name in (*FEATURES, "all"):
        ratio = f"{2 / len(name):.2f}"
        assert [name, f"{len(name)}.00", "s", ratio, f"{ratio}..{ratio}"] in rows


def test_seams_are_timed_inside_the_host_with_and_without_autoperf(tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(REPOSITORY / "examples" / "mini_agent", host)
    for point in (seam_times.EMPTY, seam_times.POINT):
        (host / "extensions" / "python" / point).mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "PYTEST_", "PYTHONPATH"))}
    path = os.pathsep.join([str(REPOSITORY / "sitecustomize_template"), str(REPOSITORY)])
    ours = {"PYTHONPATH": path, "AUTOPERF_HOME": str(tmp_path / "state"), "AUTOPERF_QUIET": "1"}
    script = [sys.executable, str(REPOSITORY / "autoperf" / "benchmark" / "inside" / "seam_times.py")]
    times = []
    for environment in (clean, clean | ours):
        done = subprocess.run(script, cwd=host, env=environment, capture_output=True, check=True, timeout=120)
        times.append(json.loads(done.stdout))
    assert times[0].keys() == times[1].keys() >= {"handle_intervention, idle", "get_tool response"}
    assert min(*times[0].values(), *times[1].values()) > 0
    assert (tmp_path / "state").is_dir(), "the second run was instrumented"
