"""Each function of a real checkout that autoperf knows, with a comment more in it: the loss is told."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.process import HostProcess
from autoperf.benchmark.host.run import run
from autoperf.benchmark.parts.instrumented import SETTLED_SECONDS, prefix, status
from autoperf.benchmark.scenarios.conversation import tools
from autoperf.instrumentation.agentzero import detect, survey
from tests.e2e.test_real_hosts import CHECKOUTS
from tests.known_functions import change, known_functions

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)
every_checkout = pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)


def copied(checkout: Path, folder: Path) -> Path:
    left_out = shutil.ignore_patterns(".git", "__pycache__")
    shutil.copytree(checkout.resolve(), folder, symlinks=True, ignore=left_out)
    return folder


def lost_by_source(root: Path) -> dict[str, tuple[str, ...]]:
    """Each target that `autoperf doctor` says to be lost without a run, and the features that it is for."""
    layout = detect(root)
    assert layout is not None
    return {seam.target: seam.features for seam in survey(root, layout) if seam.lost}


@every_checkout
def test_nothing_of_a_release_is_lost_by_its_source(checkout: Path) -> None:
    assert lost_by_source(checkout) == {}


@every_checkout
def test_each_known_function_that_was_changed_is_told(checkout: Path, tmp_path: Path) -> None:
    folder = copied(checkout, tmp_path / checkout.name)
    assert sum(change(folder, one) for one in known_functions(folder)) > 30
    words = prefix(folder, tmp_path)

    def observe(process: HostProcess) -> Any:
        time.sleep(SETTLED_SECONDS)
        return status(words[0], tmp_path / "state", process.pid)

    found = run(folder, tools(count=3, rounds=1), tmp_path / "work", prefix=words, observe=observe)
    record = [row for row in found.observed if isinstance(row, dict)][-1]
    lost = {loss["target"] for loss in record["facts"]["patches"]["losses"]}
    on = set(record["features"])
    assert lost == {target for target, features in lost_by_source(folder).items() if on & set(features)}
    assert record["failures"] == []


@every_checkout
def test_each_known_function_alone_is_told_by_the_source(checkout: Path, tmp_path: Path) -> None:
    folder = copied(checkout, tmp_path / checkout.name)
    for one in known_functions(folder):
        path = folder.joinpath(*one.module.split(".")).with_suffix(".py")
        text = path.read_text("utf-8")
        if change(folder, one):
            lost = lost_by_source(folder)
            assert lost, f"{one.text} has other code than is known, and nothing is told"
            path.write_text(text, "utf-8")
