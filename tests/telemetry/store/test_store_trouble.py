"""The local store when the disk, another process or the file itself is in the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from autoperf.errors import AutoperfError
from autoperf.memo.filesystems import file_system, is_remote
from autoperf.telemetry.store import databases
from autoperf.telemetry.store.store import FILE_NAME, Store
from tests.store_rows import files, python, row

pytestmark = pytest.mark.slow


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, lines: list[str]):
    with Store.open(tmp_path / "state", report=lines.append) as opened:
        yield opened


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
    assert store.dropped == 49
    assert len(lines) == 2, "the damage, and what was lost by it"


def test_a_table_whose_definition_is_damaged_costs_no_other(store: Store, lines: list[str]) -> None:
    store.add_spans(row(n) for n in range(1, 50))
    store.close()
    content, whole = store.path.read_bytes(), b"sample TEXT NOT NULL"
    assert content.count(whole) == 1
    # SQLite quotes it, and that is no UTF-8.
    store.path.write_bytes(content.replace(whole, b"sample TEXT NOT NU\x8fL"))
    with pytest.raises(AutoperfError, match="malformed"):
        store.traces()
    assert store.add_spans([row(60)]) == 1
    assert len(store.traces(100)) == 50
    assert (store.dropped, store.problem, len(lines)) == (0, None, 1)


def test_a_text_that_is_no_text_costs_no_other(store: Store) -> None:
    store.add_spans([row(1), row(2)])
    store.close()
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        for table in ("traces", "spans"):
            connection.execute(f"UPDATE {table} SET name = CAST(x'61ff62' AS TEXT) WHERE start_ns = 1")
        connection.commit()
    assert [trace["name"] for trace in store.traces()] == ["span 1", "a\ufffdb"]
    assert [span["name"] for span in store.spans(f"{1:032x}")] == ["a\ufffdb"]


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
        assert set(files(home)) == {FILE_NAME, "store.lock", "store.lock-turn"}
    finally:
        for path in home.iterdir():
            path.unlink()
        home.rmdir()


def test_network_file_systems_get_no_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr("autoperf.telemetry.store.store.file_system", lambda path: "nfs4")
    with Store.open(tmp_path, report=lines.append) as store:
        assert store.add_spans([row(1)]) == 1
        assert set(files(tmp_path)) == {FILE_NAME, "store.lock", "store.lock-turn"}
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


@pytest.mark.parametrize("reads", [True, False])
def test_a_new_database_is_complete_without_its_log_or_is_not_there(tmp_path: Path, reads: bool) -> None:
    beside: list[sqlite3.Connection] = []

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = WAL")
        # Closing leaves the log as it is while another has the file open, as it does on a full disk.
        beside.append(sqlite3.connect(connection.execute("PRAGMA database_list").fetchone()[2]))
        if reads:
            beside[0].execute("BEGIN")
            beside[0].execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("CREATE TABLE whole(a)")

    path = tmp_path / "state" / FILE_NAME
    if reads:
        with pytest.raises(sqlite3.OperationalError, match="cannot be completed"):
            databases.make(path, prepare)
        assert [file.name for file in path.parent.iterdir()] == []
    else:
        databases.make(path, prepare)
        with contextlib.closing(sqlite3.connect(path)) as made:
            assert made.execute("SELECT count(*) FROM whole").fetchone() == (0,)
    beside[0].close()
