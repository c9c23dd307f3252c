"""What the kernel tells of folders: no thread misses what matters, and nothing else is heard."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from autoperf.memo import inotify as watching
from autoperf.memo.inotify import FolderWatch
from tests.interpreters import REPOSITORY

HOSTS = REPOSITORY / "tests" / "hosts"


@pytest.fixture
def watch(tmp_path):
    made = FolderWatch()
    if not made.watch([str(tmp_path)]):
        pytest.skip("the kernel tells nothing here")
    yield made
    made.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a/b/c.py").write_text(""),
        lambda root: (root / "a/b/c.py").mkdir(),
        lambda root: (root / "a/b/c.py").symlink_to(root),
        lambda root: (root / "a/b").rename(root / "a/d"),
        lambda root: (root / "a").rename(root / "d"),
        lambda root: (root / "a/b").rmdir(),
        lambda root: (root / "a/b").chmod(0o500),
    ],
)
def test_a_change_on_the_way_to_a_path_is_heard(watch, tmp_path, change):
    (tmp_path / "a/b").mkdir(parents=True)
    assert watch.watch([str(tmp_path / "a/b/c.py")])
    before = watch.generation()
    assert watch.generation() == before
    change(tmp_path)
    assert watch.generation() != before


def test_names_in_folders_that_have_gone_count_no_more(watch, tmp_path, monkeypatch):
    before = watch._interests
    for _ in range(3):
        (tmp_path / "chat").mkdir()
        assert watch.watch([str(tmp_path / "chat/a"), str(tmp_path / "chat/b")])
        (tmp_path / "chat").rmdir()
        watch.generation()
    monkeypatch.setattr(watching, "_NAMES_KEPT", before + 3)  # with "chat" itself
    (tmp_path / "chat").mkdir()
    watch.generation()
    assert watch.watch([str(tmp_path / "chat/a"), str(tmp_path / "chat/b")])
    assert not watch.watch([str(tmp_path / "chat/c")])


def test_other_names_are_not(watch, tmp_path):
    (tmp_path / "a").mkdir()
    assert watch.watch([str(tmp_path / "a/b.py")])
    before = watch.generation()
    (tmp_path / "a/c.py").write_text("")
    (tmp_path / "d").mkdir()
    (tmp_path / "a/c.py").write_text("more")
    assert watch.generation() == before


def test_a_folder_that_was_away_is_watched_where_it_is_now(watch, tmp_path):
    (tmp_path / "a").mkdir()
    path = str(tmp_path / "a/b.py")
    assert watch.watch([path])
    (tmp_path / "a").rename(tmp_path / "x")
    (tmp_path / "a").mkdir()
    watch.generation()
    assert watch.watch([path])
    before = watch.generation()
    (tmp_path / "a/b.py").write_text("")
    assert watch.generation() != before


@pytest.mark.parametrize("path", ["relative/x", "/a/../b", "/\ud83d", "/" + "x" * 5000, "/nul\0"])
def test_what_cannot_be_watched_is_refused(watch, path):
    assert not watch.watch([path])


def test_a_link_on_the_way_is_refused(watch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert not watch.watch([str(tmp_path / "link/x")])


def test_a_file_system_that_changes_behind_the_kernel_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "file_system", lambda path: "nfs4")
    watch = FolderWatch()
    assert not watch.watch([str(tmp_path / "x")])
    watch.close()


def test_no_thread_sees_the_time_before_while_another_reads_the_events(watch, tmp_path):
    assert watch.watch([str(tmp_path / "x")])
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            watch.generation()

    others = [threading.Thread(target=look) for _ in range(3)]
    for other in others:
        other.start()
    try:
        for number in range(300):
            before = watch.generation()
            os.mkdir(tmp_path / "x") if number % 2 == 0 else os.rmdir(tmp_path / "x")
            assert watch.generation() != before
    finally:
        stop.set()
        for other in others:
            other.join()


def test_more_events_than_the_queue_holds_count_as_a_change(watch, tmp_path):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip("a queue too long to fill")
    assert watch.watch([str(tmp_path / "x")])
    before = watch.generation()
    for number in range(limit // 2 + 10):
        os.mkdir(tmp_path / f"n{number % 2}")
        os.rmdir(tmp_path / f"n{number % 2}")
    assert watch.generation() != before


@pytest.mark.parametrize("end", ["forgotten", "closed", "forked"])
def test_an_instance_is_given_back_once(tmp_path, end):
    def held() -> int:
        links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        return sum("inotify" in os.readlink(link) for link in links if os.path.islink(link))

    gc.collect()
    before = held()
    watch = FolderWatch()
    if not watch.watch([str(tmp_path)]):
        pytest.skip("the kernel tells nothing here")
    assert held() == before + 1
    if end == "closed":
        watch.close()
        assert not watch.watch([str(tmp_path)])
    elif end == "forked":
        watch.forked()
        assert held() == before
        assert watch.watch([str(tmp_path)])
        assert held() == before + 1
    del watch
    gc.collect()
    assert held() == before


def test_what_cannot_be_set_up_completely_is_not_set_up_at_all(tmp_path, monkeypatch):
    watch = FolderWatch()
    before = sorted(os.listdir("/proc/self/fd"))

    def no_folder(*_args, **_kwargs):
        raise FileNotFoundError("no usable temporary directory")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryDirectory", no_folder)
        assert not watch.watch([str(tmp_path / "x")])
    assert watch.deaf_to([str(tmp_path / "x")]) == [str(tmp_path / "x")]
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_descriptors_do_not_grow_with_the_threads_that_look(watch, tmp_path):
    assert watch.watch([str(tmp_path / "x")])
    watch.generation()
    before = len(os.listdir("/proc/self/fd"))
    looked, leave = threading.Barrier(41), threading.Event()

    def look() -> None:
        watch.generation()
        looked.wait()
        leave.wait()

    threads = [threading.Thread(target=look) for _ in range(40)]
    for thread in threads:
        thread.start()
    looked.wait()
    held = len(os.listdir("/proc/self/fd"))
    leave.set()
    for thread in threads:
        thread.join()
    assert held == before


def test_a_queue_that_somebody_has_closed_is_given_up(watch, tmp_path):
    assert watch.watch([str(tmp_path / "x")])
    before = watch.generation()
    os.close(watch._queue.fd)
    assert watch.generation() != before
    assert not watch.watch([str(tmp_path / "x")])


def test_a_failure_among_the_events_counts_as_a_change(watch, tmp_path, monkeypatch):
    assert watch.watch([str(tmp_path / "x")])
    before = watch.generation()
    (tmp_path / "x").mkdir()

    def fails(_data: bytes) -> bool:
        raise RuntimeError("ours")

    with monkeypatch.context() as patch:
        patch.setattr(watch, "_interesting", fails)
        with pytest.raises(RuntimeError):
            watch.generation()
    assert watch.generation() != before


COUNTED = """
import runpy, sys
from autoperf.memo import inotify as watching
opened = []
class Counted(watching._Queue):
    def __init__(self):
        opened.append(self)
        super().__init__()
watching._Queue = Counted
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("instances", len(opened))
"""


@pytest.mark.parametrize("inotify", [True, False])
def test_switched_off_no_instance_is_opened(inotify: bool, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "PYTHON"))}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            COUNTED,
            *map(str, (HOSTS / "drive.py", HOSTS / "v2", tmp_path / "out")),
            "edited_tool",
        ],
        env=environment
        | {
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "sitecustomize_template"), str(REPOSITORY)]),
            "AUTOPERF_HOME": str(tmp_path / "state"),
            "AUTOPERF_INOTIFY": str(int(inotify)),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "patches" in done.stderr
    assert (done.stdout.splitlines()[-1] != "instances 0") is inotify
