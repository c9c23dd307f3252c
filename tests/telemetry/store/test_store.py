"""The local store on real files: several processes, limits, privacy."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from autoperf.telemetry.store.store import FILE_NAME, Store
from tests.store_rows import files, python, row


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
            assert set(found) == {
                FILE_NAME,
                f"{FILE_NAME}-wal",
                f"{FILE_NAME}-shm",
                "store.lock",
                "store.lock-turn",
            }
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_store_that_cannot_be_closed_before_a_fork_is_left_alone_by_the_child(tmp_path: Path) -> None:
    code = """
        import sys, threading
        from autoperf.errors import failures
        os.environ["AUTOPERF_FAIL_OPEN"] = "1"
        failures.quiet = True
        store = Store.open(home)
        store.add_spans([row(1)])
        leave = Store.leave
        Store.leave = lambda self: 1 / 0
        child = os.fork()
        Store.leave = leave
        if child == 0:
            print(store.add_spans([row(2)]), store.problem, failures.of("telemetry:fork"), flush=True)
            os._exit(0)
        os.wait()
        other = threading.Thread(target=lambda: store.add_spans([row(3)]))
        other.start()
        other.join(10)
        print(other.is_alive(), len(store.traces()), failures.of("telemetry:fork"), flush=True)
        os._exit(0)
    """
    process = python(code, tmp_path, stderr=subprocess.PIPE)
    told, noise = process.communicate(timeout=60)
    assert told.splitlines() == [
        "0 the process was forked while the store was written to 1",
        "False 2 1",
    ]
    assert noise == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_fails_after_a_fork_is_tried_once_more(tmp_path: Path) -> None:
    code = """
        import threading
        from autoperf.errors import failures
        from autoperf.telemetry.store import databases
        os.environ["AUTOPERF_FAIL_OPEN"] = "1"
        failures.quiet = True
        store = Store.open(home)
        store.add_spans([row(1)])

        class Failing(dict):
            def pop(self, *given):
                databases._closed = {}
                raise RuntimeError

        databases._closed = Failing()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        other = threading.Thread(target=lambda: store.add_spans([row(2)]))
        other.start()
        other.join(10)
        print(other.is_alive(), failures.of("telemetry:fork"), len(store.traces()), flush=True)
        os._exit(0)
    """
    process = python(code, tmp_path, stderr=subprocess.PIPE)
    assert process.communicate(timeout=60) == ("False 1 2\n", "")


from_3_12 = pytest.mark.skipif(
    not hasattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE"), reason="Python 3.12 or newer"
)


@from_3_12
def test_before_a_fork_the_log_is_left_as_it_is(store: Store) -> None:
    log = Path(f"{store.path}-wal")
    store.add_spans([row(1)])
    store.leave()
    assert log.stat().st_size > 0, "the host would wait until the disk has it"
    assert store.add_spans([row(2)]) == 1
    assert len(store.traces()) == 2
    store.close()
    assert not log.exists()


@from_3_12
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_store_that_is_deleted_again_and_again_costs_no_descriptors(store: Store) -> None:
    for number in range(1, 10):
        assert store.add_spans([row(number)]) == 1
        assert [trace["spans"] for trace in store.traces()] == [1]
        for path in store.path.parent.glob("autoperf.db*"):
            path.unlink()
    store.add_spans([row(10)])
    held = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert not [name for name in held if name.startswith(str(store.path)) and name.endswith("(deleted)")]


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
