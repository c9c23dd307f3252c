"""File texts: the same as reading the file each time, whatever happens to it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import files as filetexts
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

pytestmark = pytest.mark.usefixtures("both_ways")

SOURCE = """
opened = []

def get_abs_path(name):
    return name

def read_file(relative_path, encoding="utf-8"):
    place = get_abs_path(relative_path)
    opened.append(place)
    with open(place, encoding=encoding) as file:
        return file.read()
"""
OLD = 1_700_000_000_123_456_789


@pytest.fixture
def probe() -> Probe:
    return Probe(None)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, probe: Probe) -> Iterator[ModuleType]:
    module = module_of("filetexts_host", SOURCE)
    monkeypatch.setattr(filetexts, "KNOWN", {digest(module.read_file)})
    # Inodes are changed now, whatever time is written into them: as if it were a second later.
    monkeypatch.setattr(filetexts.time, "time_ns", lambda: int(time.time() * 1e9) + 1_000_000_000)
    with patched(module, "read_file", filetexts.reading(probe)):
        yield module


def write(path: Path, text: str) -> str:
    path.write_text(text)
    os.utime(path, ns=(OLD, OLD))
    return str(path)


def test_an_unchanged_file_is_opened_once(files: ModuleType, probe: Probe, tmp_path: Path) -> None:
    name = write(tmp_path / "a", "text")
    assert [files.read_file(name) for _ in range(5)] == ["text"] * 5
    assert len(files.opened) == 1
    assert probe.memos["files"].as_row()["hits"] == 4


def test_an_edit_shows_though_size_and_time_stay(files: ModuleType, tmp_path: Path) -> None:
    name = write(tmp_path / "a", "one")
    assert files.read_file(name) == "one"
    write(tmp_path / "a", "two")
    assert files.read_file(name) == "two"


def test_a_file_put_in_its_place_shows(files: ModuleType, tmp_path: Path) -> None:
    name = write(tmp_path / "a", "one")
    assert files.read_file(name) == "one"
    os.replace(write(tmp_path / "b", "two"), name)
    assert files.read_file(name) == "two"


def test_a_deleted_file_raises_as_it_does_bare_and_may_come_back(files: ModuleType, tmp_path: Path) -> None:
    name = write(tmp_path / "a", "one")
    files.read_file(name)
    os.remove(name)
    with pytest.raises(FileNotFoundError) as caught:
        files.read_file(name)
    assert caught.value.filename == name
    write(tmp_path / "a", "again")
    assert files.read_file(name) == "again"


def test_encodings_are_kept_apart(files: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("é".encode())
    name = str(tmp_path / "a")
    for _ in range(2):
        assert files.read_file(name) == "é"
        assert files.read_file(name, "latin-1") == "Ã©"
        assert files.read_file(relative_path=name, encoding="utf-8") == "é"
    assert len(files.opened) == 2


def test_a_file_written_a_moment_ago_is_read_again(
    files: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    now = time.time_ns()
    path = tmp_path / "a"
    path.write_text("one")
    os.utime(path, ns=(now + 10**12, now + 10**12))
    assert files.read_file(str(path)) == files.read_file(str(path)) == "one"
    assert len(files.opened) == 2


def test_empty_files_folders_and_odd_names_go_to_the_host(files: ModuleType, tmp_path: Path) -> None:
    name = write(tmp_path / "empty", "")
    assert [files.read_file(name) for _ in range(2)] == ["", ""]
    assert len(files.opened) == 2
    with pytest.raises(IsADirectoryError):
        files.read_file(str(tmp_path))
    with pytest.raises(ValueError, match="null"):
        files.read_file("a\0b")
    with pytest.raises(FileNotFoundError):
        files.read_file("x" * 200)


def test_long_texts_are_not_kept(files: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(filetexts, "_LONGEST", 3)
    name = write(tmp_path / "a", "four")
    assert files.read_file(name) == files.read_file(name) == "four"
    assert len(files.opened) == 2


def test_another_reader_than_the_known_one_is_left_alone(probe: Probe) -> None:
    module = module_of("filetexts_other", SOURCE)
    with patched(module, "read_file", filetexts.reading(probe)) as patches:
        assert patches.rows[0].state == "unrecognised"
