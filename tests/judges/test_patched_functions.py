"""Every patch of every generation: the patched function looks to `inspect` as the original does."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judges.patched_functions import differences

HERE = Path(__file__).resolve().parent
HOSTS = ("v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2")
# Of each look-alike; more where packages such as pydantic are installed that have patches too.
LEAST = 20

pytestmark = pytest.mark.judge


def told(host: str) -> dict[str, list[str]]:
    """The differences by patched function."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOPERF_", "OTEL_"))}
    command = [sys.executable, str(HERE / "patched_functions.py"), str(HERE.parent / "hosts" / host)]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_a_patched_function_is_seen_as_the_original(host: str) -> None:
    found = told(host)
    assert len(found) >= LEAST
    assert {target: lines for target, lines in found.items() if lines} == {}


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="openai is not installed")
def test_the_clients_functions_are_among_them() -> None:
    assert any(target.startswith("openai.") for target in told("v2"))


def test_what_a_wrapper_loses_is_told() -> None:
    async def original(word: str) -> str:
        """Say it."""
        return word

    def bare(word: str) -> object:
        return original(word)

    functools.update_wrapper(bare, original)
    assert differences(original, original) == []
    assert differences(original, bare) == [
        "inspect.iscoroutinefunction: True -> False",
        "asyncio.iscoroutinefunction: True -> False",
    ]
    assert differences(staticmethod(original), classmethod(original)) == ["kind: staticmethod -> classmethod"]
