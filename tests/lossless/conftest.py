"""Whole conversations are slow; the newest look-alike, with every feature, stays in the quick suite."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
QUICK = ("test_transcripts_are_equal[v2-all-step]", "test_mini_agent.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder but the quick ones."""
    for item in items:
        if HERE in item.path.parents and not any(name in item.nodeid for name in QUICK):
            item.add_marker(pytest.mark.slow)
