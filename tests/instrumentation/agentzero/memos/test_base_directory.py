"""The host's folder: where it is, whatever the process does meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.memos import base_directory
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

HOST = """
import os
asked = []

def get_base_dir():
    asked.append(os.getcwd())
    return os.path.dirname(os.path.abspath(os.path.join(__file__, "../../")))

def get_abs_path(*parts):
    return os.path.join(get_base_dir(), *parts)
"""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = module_of("basedir_host", HOST, __file__="/somewhere/python/helpers/files.py")
    monkeypatch.setattr(base_directory, "KNOWN", {digest(module.get_base_dir)})
    return module


def test_it_is_worked_out_once(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = host.get_base_dir()
    assert expected == "/somewhere"
    with patched(host, "get_base_dir", base_directory.keeping):
        host.asked.clear()
        monkeypatch.chdir(tmp_path)
        assert [host.get_abs_path("a", "b") for _ in range(3)] == [os.path.join(expected, "a", "b")] * 3
        assert host.asked == []


def test_the_module_s_file_is_another_one(host: Any) -> None:
    with patched(host, "get_base_dir", base_directory.keeping):
        host.__file__ = "/elsewhere/python/helpers/files.py"
        assert host.get_base_dir() == "/elsewhere"


@pytest.mark.parametrize("file", ["python/helpers/files.py", None])
def test_where_it_depends_on_the_process_it_is_left_alone(host: Any, file: str | None) -> None:
    host.__file__ = file
    original = host.get_base_dir
    with patched(host, "get_base_dir", base_directory.keeping) as patches:
        assert host.get_base_dir is original
        assert [row.state for row in patches.rows] == ["unrecognised"]


def test_another_version_is_left_alone(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_directory, "KNOWN", set())
    original = host.get_base_dir
    with patched(host, "get_base_dir", base_directory.keeping):
        assert host.get_base_dir is original
