"""The mini agent in place of a checkout: measured for real, and what is said where it is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.benchmark.host import mini
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.measure import rounds
from autoperf.benchmark.measure.noise import Noise
from autoperf.benchmark.measure.rounds import BARE
from autoperf.benchmark.measure.samples import LAST_CPU, OWN, OWN_START, PEAK, START_CPU, START_WALL

pytestmark = pytest.mark.slow


def test_the_mini_agent_bare_and_under_autoperf(tmp_path: Path) -> None:
    noise = Noise(timed=lambda: 0.01)
    found = rounds.measure(
        "short",
        rounds.compared(["tools,extensions"]),
        lambda variant: mini.hold(tmp_path, variant),
        rounds=1,
        noise=noise,
        progress=str,
    )
    assert found.differences == {}
    bare, ours = found.samples["bare"][0], found.samples["autoperf"][0]
    assert bare.counts == ours.counts
    assert bare.counts["steps"] >= 40
    assert not bare.hit_rates
    assert ours.hit_rates["tools"] > 0.5
    assert ours.failures == []
    # What it says of itself is a part of what it takes: of the start, and of the messages.
    assert 0 < ours.values[OWN] < ours.values["CPU"] + ours.values[START_CPU]
    assert 0 < ours.values[OWN_START] < ours.values[START_CPU]
    assert OWN not in bare.values
    for sample in (bare, ours):
        assert sample.values["CPU"] > 0
        assert sample.values["wall"] > 0
        assert sample.values[PEAK] > 5_000
        assert 0 < sample.values[START_CPU] < sample.values[START_WALL]
        assert 0 < sample.values[LAST_CPU] < sample.values["CPU"]
        assert sample.values["CPU a step"] == pytest.approx(sample.values["CPU"] / sample.counts["steps"])


def test_an_agent_that_asks_its_model_nothing_is_no_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run_ui.py").write_text(
        "import sys\nopen(sys.argv[sys.argv.index('--transcript') + 1], 'w').write('{\"prompts\": []}')\n"
    )
    monkeypatch.setattr(mini, "folder", lambda: tmp_path)
    assert cli.main(["benchmark", "--scenario", "short", "--rounds", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "asked its model 0 times: nothing was compared" in shown.err


def test_a_difference_in_one_tool_result_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real one, in real processes: the agent's tool looks whether autoperf is there."""
    agent = tmp_path / "agent"
    shutil.copytree(str(mini.folder()), agent)
    tool = agent / "tools" / "calculator.py"
    source = tool.read_text()
    told = source.replace("{expression} = {value}", "{expression} = {value}, {'autoperf' in sys.modules}")
    assert told != source
    tool.write_text(told.replace("import ast\n", "import ast\nimport sys\n"))
    monkeypatch.setattr(mini, "folder", lambda: agent)
    assert cli.main(["benchmark", "--scenario", "short", "--rounds", "1"]) == 1
    shown = capsys.readouterr().out
    assert "transcripts differ, bare (1) and autoperf (2):" in shown
    assert "transcripts equal" not in shown
    assert any(line.strip().startswith("-") and ", False" in line for line in shown.splitlines())
    assert any(line.strip().startswith("+") and ", True" in line for line in shown.splitlines())


def test_a_mini_agent_that_fails_is_no_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mini, "_OPTIONS", {"--messages": 0})
    with pytest.raises(HostError, match="ended with status 2"):
        mini.hold(tmp_path, BARE)


def test_an_installation_without_the_examples_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mini, "_REPOSITORY", tmp_path)
    with pytest.raises(HostError, match="has no examples/mini_agent"):
        mini.hold(tmp_path, BARE)
