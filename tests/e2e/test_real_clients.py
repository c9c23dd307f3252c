"""The litellm and openai of every checkout take the corpus in as without us; see `test_real_hosts`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.run import interpreter
from tests.clients.corpus import ANSWERS

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []
REPLAY = Path(__file__).parents[1] / "clients" / "replay.py"

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


def has_client(python: str) -> bool:
    """Whether litellm is installed there: to v0.9.1 it is not."""
    words = [python, "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('litellm'))"]
    return subprocess.run(words, check=False).returncode == 0


def replayed(python: str, *options: str) -> dict[str, Any]:
    """What the replay saw, and what autoperf counted."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOPERF_")}
    done = subprocess.run(
        [python, str(REPLAY), *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def differing(bare: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The names of what was not seen alike."""
    return [name for name, seen in bare["found"].items() if seen != ours["found"].get(name)]


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_the_corpus_is_taken_in_alike(checkout: Path) -> None:
    python = interpreter(checkout, None)
    if not has_client(python):
        pytest.skip("this generation's client is not litellm")
    bare, ours = replayed(python), replayed(python, "--instrumented")
    different = differing(bare, ours)
    if different:
        # Two bare runs differ now and then too, by threads of litellm: what is ours comes again.
        again = differing(replayed(python), replayed(python, "--instrumented"))
        different = [name for name in different if name in again]
    assert different == []
    assert len(bare["found"]) > len(ANSWERS)
    applied = [row["target"] for row in ours["counted"]["patches"] if row["state"] == "applied"]
    # A version that is not known is left alone; of one that is known most chunks are made here.
    for count in ("client events", "client chunks"):
        assert bool(ours["counted"][count]["hits"]) is bool(applied), count
