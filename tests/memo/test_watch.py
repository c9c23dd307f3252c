"""A watched snapshot is intact until something about it changes."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from autoperf.memo import inotify
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.watch import Snapshot, Watch


def of(*paths: Path) -> Snapshot:
    """These paths as they look now."""
    inputs = Inputs(Watch(inotify=False))
    for path in paths:
        inputs.file(str(path))
    return Snapshot(inputs.looks)


@pytest.fixture
def watch():
    made = Watch()
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a/names").mkdir(parents=True)
    (tmp_path / "a/file").write_text("text")
    (tmp_path / "a/names/one").write_text("1")
    return tmp_path


@pytest.fixture
def seen(root: Path) -> Snapshot:
    return of(root / "a/file", root / "a/names", root / "a/absent/file")


def look_free(watch: Watch, seen: Snapshot, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether it holds without a look at a single path."""
    with monkeypatch.context() as patch:
        patch.setattr("autoperf.memo.watch.unchanged", lambda _looks: pytest.fail("it looked"))
        return watch.intact(seen)


LOOKS = 5  # so many and one more, and it is watched


def settled(watch: Watch, seen: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is watched over; elsewhere there is nothing to test."""
    for _ in range(LOOKS):
        assert watch.intact(seen)
    if seen.generation < 0:
        pytest.skip("the kernel tells nothing here")
    assert look_free(watch, seen, monkeypatch)


def mapped(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4) as memory:
        memory[:4] = b"else"
        memory.flush()
    os.utime(path)


def through_a_link(path: Path) -> None:
    other = path.parent.parent / "hard"
    os.link(path, other)
    other.write_text("else")


def swapped(root: Path) -> None:
    # The folder above is another one, with the very same files in it.
    (root / "b").mkdir()
    (root / "a/names").rename(root / "b/names")
    (root / "a").rename(root / "old")
    (root / "b").rename(root / "a")


def test_without_inotify_every_path_is_looked_at_each_time(
    root: Path, seen: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = Watch(inotify=False)
    for _ in range(LOOKS):
        assert without.intact(seen)
        without.forked()  # a child has no more of it
    looked = []
    monkeypatch.setattr("autoperf.memo.watch.unchanged", lambda looks: looked.append(set(looks)) or True)
    assert without.intact(seen)
    assert looked == [set(seen.looks)]
    with pytest.raises(UnkeptError):  # the time of a folder is not trusted either
        Inputs(without).names(str(root / "a/names"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda root: (root / "a/file").write_text("else"),
    "written, times set back": lambda root: back(root / "a/file"),
    "appended": lambda root: (root / "a/file").open("a").write("more"),
    "replaced": lambda root: os.replace(new(root), root / "a/file"),
    "deleted": lambda root: (root / "a/file").unlink(),
    "touched": lambda root: os.utime(root / "a/file", ns=(1, 1)),
    "mode": lambda root: (root / "a/file").chmod(0o600),
    "through a link": lambda root: through_a_link(root / "a/file"),
    "mapped": lambda root: mapped(root / "a/file"),
    "link instead": lambda root: linked(root),
    "name came": lambda root: (root / "a/names/two").write_text(""),
    "name went": lambda root: (root / "a/names/one").unlink(),
    "folder away": lambda root: (root / "a").rename(root / "b"),
    "folder swapped": swapped,
    "appears": lambda root: appear(root),
    "by another process": lambda root: subprocess.run(["sh", "-c", f"echo x >> {root}/a/file"], check=True),
}


def back(path: Path) -> None:
    before = path.stat()
    path.write_text("else")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def new(root: Path) -> Path:
    (root / "new").write_text("text")
    return root / "new"


def linked(root: Path) -> None:
    (root / "a/file").rename(root / "real")
    (root / "a/file").symlink_to(root / "real")


def appear(root: Path) -> None:
    (root / "a/absent").mkdir()
    (root / "a/absent/file").write_text("")


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(watch, seen, root, monkeypatch, name):
    settled(watch, seen, monkeypatch)
    CHANGES[name](root)
    assert not watch.intact(seen)
    assert not watch.intact(seen)


@pytest.mark.parametrize("name", ["written", "name came", "appears"])
def test_a_second_change_is_seen_after_a_first_one_beside_it(watch, seen, root, monkeypatch, name):
    settled(watch, seen, monkeypatch)
    beside = of(root / "a/names/one")
    settled(watch, beside, monkeypatch)
    (root / "a/names/one").write_text("another")
    assert not watch.intact(beside)
    settled(watch, seen, monkeypatch)
    CHANGES[name](root)
    assert not watch.intact(seen)


def test_what_was_put_back_is_watched_again(watch, root, monkeypatch):
    seen = of(root / "a/file")
    settled(watch, seen, monkeypatch)
    (root / "g").mkdir()
    (root / "a").rename(root / "g/a")
    assert not watch.intact(seen)
    (root / "g/a").rename(root / "a")
    settled(watch, seen, monkeypatch)
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_other_files_are_no_matter(watch, seen, root, monkeypatch):
    settled(watch, seen, monkeypatch)
    (root / "a/beside").write_text("")
    (root / "a/names/one").write_text("what is in it is not looked at")
    assert look_free(watch, seen, monkeypatch)


def test_through_a_symbolic_link_it_looks_every_time(watch, root):
    (root / "link").symlink_to(root / "a")
    seen = of(root / "link/file", root / "a/names")
    assert all(watch.intact(seen) for _ in range(LOOKS))
    (root / "link").unlink()
    (root / "link").symlink_to(root)
    assert not watch.intact(seen)


def test_a_file_that_is_written_all_the_time_is_not_watched(watch, seen, root, monkeypatch):
    settled(watch, seen, monkeypatch)
    for number in range(5):
        (root / "a/busy").write_text(str(number))
        assert watch.intact(of(root / "a/busy"))
        assert look_free(watch, seen, monkeypatch)


def test_without_a_kernel_that_tells_it_looks_every_time(watch, seen, root, monkeypatch):
    monkeypatch.setattr(inotify._Queue, "_works", lambda _self: False)
    assert all(watch.intact(seen) for _ in range(LOOKS))
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_beyond_so_many_files_it_looks_every_time(watch, seen, root, monkeypatch):
    monkeypatch.setattr(inotify, "_FILES_WATCHED", 0)
    assert all(watch.intact(seen) for _ in range(LOOKS))
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_every_thread_sees_it(watch, seen, root, monkeypatch):
    settled(watch, seen, monkeypatch)
    ready, go, found = threading.Barrier(5), threading.Barrier(5), []

    def look() -> None:
        assert watch.intact(seen)
        ready.wait()
        go.wait()
        found.append(watch.intact(seen))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    (root / "a/file").write_text("else")
    go.wait()
    for thread in threads:
        thread.join()
    assert found == [False] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_it_looks_again(watch, seen, root, monkeypatch):
    settled(watch, seen, monkeypatch)
    pid = os.fork()
    if not pid:
        watch.forked()
        held = watch.intact(seen)
        (root / "a/file").write_text("else")
        os._exit(0 if held and not watch.intact(seen) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not watch.intact(seen)


def test_closed_it_looks_every_time(watch, seen, root, monkeypatch):
    settled(watch, seen, monkeypatch)
    watch.close()
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


@pytest.mark.parametrize("part", ["generation", "deaf_to"])
def test_where_the_watch_fails_it_looks_every_time(watch, seen, root, monkeypatch, part):
    def fails(*_args: object) -> None:
        raise RuntimeError("ours")

    settled(watch, seen, monkeypatch)
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    with monkeypatch.context() as patch:
        patch.setattr(inotify.FolderWatch, part, fails)
        beside = of(root / "a/names")
        assert all(watch.intact(beside) for _ in range(LOOKS))
        assert watch.intact(seen)
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_the_very_call_at_which_the_watch_fails_looks(watch, seen, root, monkeypatch):
    def fails(*_args: object) -> None:
        raise RuntimeError("ours")

    settled(watch, seen, monkeypatch)
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monkeypatch.setattr(inotify.FolderWatch, "generation", fails)
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_without_ctypes_it_looks_every_time(watch, seen, root, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert all(watch.intact(seen) for _ in range(LOOKS))
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)


def test_without_a_temporary_folder_it_looks_every_time(watch, seen, root, monkeypatch):
    def no_folder(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.TemporaryDirectory", no_folder)
    assert all(watch.intact(seen) for _ in range(LOOKS))
    (root / "a/file").write_text("else")
    assert not watch.intact(seen)
