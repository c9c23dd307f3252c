"""The local store on real files: several processes, damage, locks, limits."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from autoperf.errors import AutoperfError
from autoperf.mounts import file_system, is_remote
from autoperf.store import FILE_NAME, SpanRow, Store


def row(trace: int, span: int = 1, *, at: int = 0, parent: str | None = None, size: int = 10) -> SpanRow:
    return SpanRow(
        f"{trace:032x}", f"{span:016x}", parent, f"span {span}", "internal", at or trace, (at or trace) + 5,
        "unset", os.getpid(), {"text": "x" * size},
    )  # fmt: skip


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    prelude = (
        "import os, sys, time, sqlite3\nfrom pathlib import Path\nfrom autoperf.store import Store, SpanRow\n"
        "home = Path(sys.argv[1])\n"
        "def row(trace, span=1):\n"
        "    return SpanRow(f'{trace:032x}', f'{span:016x}', None, 'n', 'internal', trace, trace + 5,\n"
        "                   'unset', os.getpid(), {})\n"
    )
    command = [sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def files(directory: Path) -> dict[str, os.stat_result]:
    return {entry.name: entry.stat() for entry in directory.iterdir()}


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, lines: list[str]):
    with Store.open(tmp_path / "state", report=lines.append) as opened:
        yield opened


def test_what_was_written_is_read_back(store: Store) -> None:
    child = row(7, 2, at=20, parent=f"{1:016x}")
    root = row(7, 1, at=10)._replace(status="error", links=[["a", "b"]], attributes={"n": 1, "ok": True})
    assert store.add_spans([child]) == 1
    assert store.traces()[0]["name"] is None, "the root has not ended yet"
    store.add_spans([root])
    assert store.traces() == [
        {"trace_id": f"{7:032x}", "name": "span 1", "start_ns": 10, "end_ns": 25, "spans": 2, "errors": 1}
    ]
    first, second = store.spans(f"{7:032x}")
    assert first == root._asdict()
    assert second["parent_id"] == f"{1:016x}"


def test_a_span_stored_twice_counts_once(store: Store) -> None:
    store.add_spans([row(1), row(1)])
    store.add_spans([row(1)])
    assert store.traces()[0]["spans"] == 1


def test_newest_traces_come_first_and_limit_holds(store: Store) -> None:
    store.add_spans(row(n) for n in (3, 9, 5))
    assert [int(trace["trace_id"], 16) for trace in store.traces(2)] == [9, 5]


def test_latest_record_of_a_process_wins(store: Store) -> None:
    store.save_process({"pid": 1, "started": 1.0, "updated": 1.0, "n": 1})
    store.save_process({"pid": 2, "started": 1.0, "updated": 2.0})
    store.save_process({"pid": 1, "started": 1.0, "updated": 3.0, "n": 2})
    assert [(record["pid"], record.get("n")) for record in store.processes()] == [(1, 2), (2, None)]


def test_old_process_records_are_forgotten(store: Store) -> None:
    for number in range(1, 120):
        store.save_process({"pid": number, "started": 1.0, "updated": float(number)})
    kept = store.processes(1000)
    assert kept[0]["pid"] == 119
    assert len(kept) < 119


def test_reading_alone_creates_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "none")
    assert store.traces() == []
    assert store.processes() == []
    assert not Store.exists(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(tmp_path / "state") as store:
            store.add_spans([row(1)])
            found = files(tmp_path / "state")
            assert {oct(stat.st_mode & 0o777) for stat in found.values()} == {"0o600"}
            assert set(found) == {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"}
            assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_two_processes_write_at_once_and_a_third_reads(tmp_path: Path) -> None:
    code = """
        base = int(sys.argv[2])
        with Store.open(home) as store:
            for n in range(100):
                store.add_spans([row(base + n)])
            print(store.dropped)
    """
    writers = [python(code, tmp_path, base) for base in (1000, 2000)]
    reader = Store.open(tmp_path)
    for writer in writers:
        reader.traces(5)
        assert writer.communicate(timeout=60)[0].strip() == "0"
    assert len(reader.traces(1000)) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    code = """
        store = Store.open(home)
        store.add_spans([row(1)])
        if os.fork() == 0:
            store.add_spans([row(2)])
            store.close()
            os._exit(0)
        os.wait()
        store.add_spans([row(3)])
        print(store.dropped, len(store.traces()))
    """
    assert python(code, tmp_path).communicate(timeout=60)[0].split() == ["0", "3"]


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    code = """
        store = Store.open(home)
        store.add_spans([row(1), row(2)])
        print("ready", flush=True)
        time.sleep(60)
    """
    process = python(code, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with Store.open(tmp_path) as store:
        assert len(store.traces()) == 2
        assert store.add_spans([row(3)]) == 1


@pytest.mark.parametrize(
    "damage", [b"this is no database at all, only text", b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_corrupt_file_is_kept_aside_and_a_new_one_begun(
    store: Store, lines: list[str], damage: bytes
) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(damage)
    assert store.add_spans([row(1)]) == 1
    assert len(store.traces()) == 1
    aside = [path for path in store.path.parent.iterdir() if ".corrupt-" in path.name]
    assert [path.read_bytes() for path in aside] == [damage]
    assert len(lines) == 1
    assert str(aside[0]) in lines[0]


def test_damage_in_mid_run_is_survived(store: Store, lines: list[str]) -> None:
    store.add_spans(row(n, size=2000) for n in range(1, 50))
    store.close()
    content = bytearray(store.path.read_bytes())
    content[4096:] = b"\xee" * (len(content) - 4096)
    store.path.write_bytes(content)
    assert store.add_spans([row(60)]) == 1
    assert [int(trace["trace_id"], 16) for trace in store.traces()] == [60]
    assert len(lines) == 1


def test_reading_a_corrupt_file_says_so_and_leaves_it(store: Store) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database " * 100)
    with pytest.raises(AutoperfError, match="cannot be read"):
        store.traces()
    assert [path.name for path in store.path.parent.iterdir()] == [FILE_NAME]


def test_a_newer_schema_is_left_untouched(store: Store, lines: list[str]) -> None:
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as future:
        future.execute("PRAGMA user_version = 99")
    future.close()
    before = store.path.read_bytes()
    assert store.add_spans([row(1)]) == 0
    assert store.add_spans([row(2)]) == 0
    assert store.path.read_bytes() == before
    assert store.dropped == 2
    assert len(lines) == 1
    with pytest.raises(AutoperfError, match="newer autoperf"):
        store.traces()


def test_a_store_locked_by_another_process_drops_and_recovers(store: Store, lines: list[str]) -> None:
    store.add_spans([row(1)])
    code = """
        held = sqlite3.connect(home / "autoperf.db", isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        print("held", flush=True)
        sys.stdin.readline()
        held.execute("COMMIT")
    """
    holder = python(code, store.path.parent, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert store.add_spans([row(2)]) == 0
    assert store.add_spans([row(3)]) == 0
    assert store.dropped == 2
    assert len(lines) == 1
    assert "locked" in str(store.problem)
    holder.communicate("go\n", timeout=60)
    assert store.add_spans([row(4)]) == 1
    assert store.problem is None


def test_a_directory_that_cannot_be_made_is_no_error(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store.open(tmp_path / "file" / "state", report=lines.append)
    assert store.add_spans([row(1), row(2)]) == 0
    assert store.save_process({"pid": 1, "started": 1.0}) is False
    assert store.dropped == 2
    assert len(lines) == 1
    assert store.traces() == []


def test_a_full_disk_drops_and_keeps_what_is_there(tmp_path: Path) -> None:
    code = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        lines = []
        store = Store.open(home, report=lines.append)
        store.add_spans([row(1)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
        stored = store.add_spans(row(n) for n in range(2, 3000))
        print(store.dropped == 2998 - stored > 0, len(lines), len(store.traces(1)))
    """
    assert python(code, tmp_path).communicate(timeout=60)[0].split() == ["True", "1", "1"]


@pytest.mark.parametrize("spans_per_trace", [1, 40])
def test_the_size_bound_holds_and_the_newest_trace_survives(tmp_path: Path, spans_per_trace: int) -> None:
    limit = 1 << 20
    with Store.open(tmp_path, max_bytes=limit) as store:
        largest = 0
        for trace in range(1, 4000 // spans_per_trace):
            store.add_spans(row(trace, span, size=1000) for span in range(1, spans_per_trace + 1))
            largest = max(
                largest, sum(stat.st_size for name, stat in files(tmp_path).items() if "-shm" not in name)
            )
        kept = [int(found["trace_id"], 16) for found in store.traces(10_000)]
        assert largest <= limit
        assert store.dropped == 0
        assert kept == list(range(trace, trace - len(kept), -1)), "a gap: not the oldest went first"
        assert len(kept) * spans_per_trace > 200, "far more was evicted than the limit asks for"
        assert store.traces(1)[0]["spans"] == len(store.spans(f"{trace:032x}")) == spans_per_trace


def test_one_endless_trace_is_cut_not_deleted(tmp_path: Path, lines: list[str]) -> None:
    with Store.open(tmp_path, max_bytes=1 << 20, report=lines.append) as store:
        stored = sum(store.add_spans([row(1, span, size=5000)]) for span in range(1, 600))
        assert store.dropped == 599 - stored > 0
        assert len(store.spans(f"{1:032x}")) == stored > 50
        assert sum(stat.st_size for stat in files(tmp_path).values()) <= 1 << 20
        assert len(lines) == 1


def test_a_deleted_store_is_begun_again(store: Store) -> None:
    store.add_spans([row(1)])
    for path in store.path.parent.iterdir():
        path.unlink()
    assert store.add_spans([row(2)]) == 1
    assert [int(trace["trace_id"], 16) for trace in store.traces()] == [2]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_reads_from_a_directory_it_cannot_write(tmp_path: Path) -> None:
    home = Path("/tmp") / f"autoperf-test-{os.getpid()}"
    try:
        with Store.open(home) as store:
            store.add_spans([row(1)])
        home.chmod(0o755)
        (home / FILE_NAME).chmod(0o644)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            readable = len(Store.open(home).traces()) == 1
            os._exit(0 if readable else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert set(files(home)) == {FILE_NAME}
    finally:
        for path in home.iterdir():
            path.unlink()
        home.rmdir()


def test_network_file_systems_get_no_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr("autoperf.store.file_system", lambda path: "nfs4")
    with Store.open(tmp_path, report=lines.append) as store:
        assert store.add_spans([row(1)]) == 1
        assert set(files(tmp_path)) == {FILE_NAME}
        store.close()
        store.add_spans([row(2)])
    assert len(lines) == 1
    assert "nfs4" in lines[0]


def test_the_innermost_mount_decides(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "/dev/sda / ext4 rw 0 0\nhost:/x /home nfs4 rw 0 0\nx /home/my\\040dir fuse.sshfs rw 0 0\n"
    )
    assert file_system(Path("/homework/a"), table) == "ext4"
    assert file_system(Path("/home/a"), table) == "nfs4"
    assert file_system(Path("/home/my dir/b"), table) == "fuse.sshfs"
    assert file_system(Path("/home"), tmp_path / "absent") == ""
    assert [is_remote(kind) for kind in ("ext4", "nfs4", "fuse.sshfs", "fuse.fuse-overlayfs", "")] == [
        False, True, True, False, False,
    ]  # fmt: skip
