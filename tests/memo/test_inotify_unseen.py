"""Changes that the kernel tells of late, or tells somebody else of."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.memo.inotify import FolderWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")

_MOUNTING = """
import subprocess, sys, threading
from autoperf.memo.inotify import FolderWatch
folder = sys.argv[1]
watch = FolderWatch()
assert watch.watch([folder + "/name"])
before, seen = watch.generation(), []
if subprocess.call(["mount", "-t", "tmpfs", "none", folder], stderr=subprocess.DEVNULL):
    sys.exit(77)
thread = threading.Thread(target=lambda: seen.append(watch.generation()))
thread.start()
thread.join()
sys.exit(seen[0] == before)
"""


def test_thread_that_looks_for_the_first_time_knows_of_a_mount_before(tmp_path: Path) -> None:
    command = ["unshare", "-Urm", sys.executable, "-c", _MOUNTING, str(tmp_path)]
    try:
        code = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if code.returncode == 77 or b"unshare" in code.stderr:
        pytest.skip("nothing may be mounted here")
    assert code.returncode == 0, code.stderr.decode()


def test_file_written_through_memory_shows_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcd")
    watch = FolderWatch()
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 4) as memory:
        assert watch.deaf_to([str(path)]) == []
        before = watch.generation()
        memory[0] = ord("X")
    assert watch.generation() != before
