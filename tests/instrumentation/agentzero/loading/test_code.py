"""Whether a start of the host finds its modules compiled: what was done about it already is seen."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from autoperf.instrumentation.agentzero.activity import host_facts


def test_a_folder_that_can_be_written_or_was_compiled_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert host_facts.finds_compiled(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not host_facts.finds_compiled(tmp_path)
    compiled = Path(importlib.util.cache_from_source(str(tmp_path / "agent.py")))
    compiled.parent.mkdir(parents=True)
    compiled.touch()
    assert host_facts.finds_compiled(tmp_path)
