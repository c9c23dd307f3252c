"""SECURITY.md goes with the source, and says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from autoperf.process.optimizer import Optimizer, allowance, monitor, profile
from tests.process.optimizer.test_optimizer import made

ROOT = Path(__file__).resolve().parents[3]
TEXT = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())


def test_it_is_in_the_source_distribution() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (included,) = re.findall(r"targets\.sdist\]\ninclude = \[(.*)\]", project)
    assert '"SECURITY.md"' in included


def test_its_limits_are_those_of_the_code() -> None:
    assert f"{allowance.CALLS} calls, {allowance.SECONDS:g} s of the tool's own time" in TEXT
    assert f"and `profile` {allowance.OF_ONE} times" in TEXT
    assert f"off for {monitor.STOPPED_S / 60:g} min" in TEXT
    assert f"another interval for {monitor.STARTED_S / 60:g} min" in TEXT
    assert f"a profile of {profile.MOST_SECONDS:g} s" in TEXT


def test_what_read_only_refuses_is_what_changes_something(tmp_path: Path) -> None:
    actions = Optimizer(made("v0_9_8", tmp_path)).actions
    (told,) = re.findall(r"`AUTOPERF_TOOL=read-only` refuses (.*?); `AUTOPERF_TOOL=off`", TEXT)
    assert re.findall(r"`(\w+)`", told) == [name for name, action in actions.items() if action.changes]
    (bounded,) = re.findall(r"each of (.*?) 6 times", TEXT)
    wanted = [name for name, action in actions.items() if action.changes or action.goes_on]
    assert re.findall(r"`(\w+)`", bounded) == wanted
