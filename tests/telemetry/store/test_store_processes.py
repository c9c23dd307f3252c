"""One store for several processes: what was said to be stored is there, whoever ends, dies or reads."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from autoperf.insight.history import History
from autoperf.telemetry import names
from autoperf.telemetry.store.store import FILE_NAME, Store
from autoperf.telemetry.store.use_lock import UseLock
from tests.store_rows import python, row

pytestmark = pytest.mark.slow

WRITER = """
first, count, size = map(int, sys.argv[2:5])
store = Store.open(home, max_bytes=size)
stored = 0
for n in range(first, first + count, 10):
    stored += store.add_spans([row(i)._replace(attributes={'text': 'x' * 200}) for i in range(n, n + 10)])
print(stored, store.dropped)
store.close()
"""
SERVER = """
store = Store.open(home)
said = store.save_process({'pid': os.getpid(), 'started': time.time()})
print(int(said), store.add_spans([row(os.getpid())]))
store.close()
"""
TURN = """
from autoperf.process.config import Config
from autoperf.telemetry.tracing import Telemetry
telemetry = Telemetry.start(Config(), resource={}, snapshot=lambda: {}, store_dir=home)
with telemetry.span('message', new_trace=True):
    with telemetry.span('step'):
        for n in range(int(sys.argv[2])):
            with telemetry.span(f'tool {n}'):
                pass
        print('begun', flush=True)
        time.sleep(60)
"""


def ended(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out.split()


def writers(home: Path, *counts: int, size: int = 64 << 20) -> list[list[str]]:
    begun = [
        python(WRITER, home, number * 1_000_000, count, size, stderr=subprocess.PIPE)
        for number, count in enumerate(counts, 1)
    ]
    return [ended(process) for process in begun]


def rows_in(home: Path) -> int:
    with contextlib.closing(sqlite3.connect(home / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])


def test_a_process_that_ends_first_leaves_the_log_to_those_that_go_on(tmp_path: Path) -> None:
    first, second = Store.open(tmp_path), Store.open(tmp_path)
    with first, second:
        assert first.add_spans([row(1)]) == 1
        assert second.add_spans([row(2)]) == 1, "as a process does that opens the store twice"
        log = (tmp_path / f"{FILE_NAME}-wal").stat().st_ino
        other = python("with Store.open(home) as store: print(store.add_spans([row(3)]))", tmp_path)
        assert other.communicate(timeout=60)[0].strip() == "1"
        assert (tmp_path / f"{FILE_NAME}-wal").stat().st_ino == log
        assert first.add_spans([row(4)]) == second.add_spans([row(5)]) == 1
    assert len(Store.open(tmp_path).traces()) == 5


def test_what_overlapping_processes_say_they_stored_is_there(tmp_path: Path) -> None:
    told = writers(tmp_path, 100, 1500, 3000)
    assert sum(int(stored) for stored, _ in told) == rows_in(tmp_path) == 4600
    assert [dropped for _, dropped in told] == ["0"] * 3


def test_servers_that_start_at_once_are_all_recorded(tmp_path: Path) -> None:
    begun = [python(SERVER, tmp_path, stderr=subprocess.PIPE) for _ in range(50)]
    assert [ended(process) for process in begun] == [["1", "1"]] * 50
    store = Store.open(tmp_path)
    assert {record["pid"] for record in store.processes(100)} == {process.pid for process in begun}
    assert rows_in(tmp_path) == 50
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_at_its_limit_the_oldest_go_and_nobody_gives_up_because_somebody_reads(tmp_path: Path) -> None:
    size = 1 << 20
    with Store.open(tmp_path, max_bytes=size) as store:
        store.add_spans([row(1)])
    begun = [
        python(WRITER, tmp_path, number * 1_000_000, 1000, size, stderr=subprocess.PIPE)
        for number in range(1, 9)
    ]
    reads = biggest = 0
    while any(process.poll() is None for process in begun):
        taken = [path.stat().st_size for path in tmp_path.iterdir() if path.name.startswith(FILE_NAME)]
        biggest = max(biggest, sum(taken))
        with History(tmp_path) as history:
            reads += len(list(history.traces())) > 0
    assert [ended(process) for process in begun] == [["1000", "0"]] * 8
    assert reads > 0
    assert 0 < rows_in(tmp_path) < 8000
    assert (tmp_path / FILE_NAME).stat().st_size <= size
    assert biggest <= 3 * size, "with the log, while somebody reads all the time"
    assert 1 not in {int(trace["trace_id"], 16) for trace in Store.open(tmp_path).traces(10_000)}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_killed_in_mid_turn_leaves_no_orphan(tmp_path: Path) -> None:
    turn = python(TURN, tmp_path, 30)
    assert turn.stdout is not None
    assert turn.stdout.readline() == "begun\n"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not _stored(tmp_path, 32):
        time.sleep(0.05)
    with History(tmp_path) as history:
        (summary,) = history.traces()
        assert (summary.name, summary.spans) == (None, 32), "it goes on"
        marks = {span.name: span.attributes.get(names.OPEN) for span in history.spans(summary.trace_id)}
        assert (marks["message"], marks["step"], marks["tool 0"]) == (True, True, None)
    turn.send_signal(signal.SIGKILL)
    turn.wait(30)
    with History(tmp_path) as history:
        (summary,) = history.traces()
        spans = history.spans(summary.trace_id)
    assert summary.name == "message"
    ids = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent_id not in ids] == ["message"]
    assert [span.name for span in spans if span.attributes.get(names.CUT_OFF)] == ["message", "step"]
    assert all(span.end_ns > span.start_ns for span in spans)


def _stored(home: Path, count: int) -> bool:
    return Store.exists(home) and sum(trace["spans"] for trace in Store.open(home).traces()) >= count


def test_a_span_that_ends_takes_the_place_of_itself_while_it_was_open(tmp_path: Path) -> None:
    begun = row(1)._replace(status="open", end_ns=2)
    with Store.open(tmp_path) as store:
        store.note_open([begun])
        store.note_open([begun._replace(end_ns=3)])
        assert store.traces()[0]["end_ns"] == 3
        store.add_spans([begun._replace(status="error", end_ns=9)])
        store.note_open([begun._replace(end_ns=10)])
        (span,) = store.spans(f"{1:032x}")
        (trace,) = store.traces()
    assert (span["status"], span["end_ns"]) == ("error", 9)
    assert (trace["spans"], trace["errors"], trace["end_ns"]) == (1, 1, 9)


def test_a_damaged_store_waits_until_others_let_go_and_is_taken_over(tmp_path: Path) -> None:
    lines: list[str] = []
    # Nobody in this process may close a descriptor of it: what others hold is in a process of its own.
    other = python(
        """
        store = Store.open(home)
        store.add_spans([row(n) for n in range(1, 200)])
        print('begun', flush=True)
        sys.stdin.readline()
        store.rest()
        print('rested', flush=True)
        sys.stdin.readline()
        store.close()
        """,
        tmp_path,
        stdin=subprocess.PIPE,
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "begun\n"
    store = Store.open(tmp_path, report=lines.append)
    assert store.add_spans([row(500)]) == 1
    damage = sqlite3.DatabaseError("database disk image is malformed")
    assert store._set_aside(damage) is False, "the other has it open"
    assert lines == []
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "rested\n"
    assert store.add_spans([row(501)]) == 1
    assert store._set_aside(damage) is True
    assert store.add_spans([row(502)]) == 1
    store.close()
    assert rows_in(tmp_path) == 202
    assert store.dropped == 0
    assert len(lines) == 1
    aside = {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.glob("*.corrupt-*")}
    assert len(aside) == 1, "with its logs"
    other.communicate("\n", timeout=30)


def test_what_can_be_read_of_a_damaged_store_is_taken_over(tmp_path: Path) -> None:
    lines: list[str] = []
    store = Store.open(tmp_path, report=lines.append)
    for n in range(1, 300):
        store.add_spans([row(n, size=1000)])
    store.save_process({"pid": 1, "started": 1.0})
    store.close()
    content = bytearray(store.path.read_bytes())
    middle = len(content) // 4096 // 2 * 4096
    content[middle : middle + 4096] = b"\xee" * 4096
    store.path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError):  # noqa: SIM117
        with contextlib.closing(sqlite3.connect(store.path)) as connection:
            connection.execute("SELECT attributes FROM spans").fetchall()
    assert store._set_aside(sqlite3.DatabaseError("malformed")) is True
    assert store.add_spans([row(300)]) == 1
    store.close()
    there = rows_in(tmp_path)
    assert 150 < there <= 300
    assert [record["pid"] for record in store.processes()] == [1]
    assert store.dropped == 300 - there
    assert len(lines) == 1 + (there < 300)


def test_what_somebody_deleted_with_the_file_is_counted(tmp_path: Path) -> None:
    lines: list[str] = []
    store = Store.open(tmp_path, report=lines.append)
    store.add_spans([row(1), row(2)])
    for path in tmp_path.iterdir():
        if path.name != "store.lock":
            path.unlink()
    assert store.add_spans([row(3)]) == 1
    assert store.dropped == 2
    assert len(lines) == 1
    assert "2 spans" in lines[0]


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_file_in_use_is_not_set_aside_and_a_child_keeps_no_lock(tmp_path: Path) -> None:
    user, other = UseLock(tmp_path), UseLock(tmp_path)
    user.share()
    assert not other.take_alone()
    other.ask_for()
    assert user.wanted()
    user.release()
    assert other.take_alone()
    other.ask_no_more()
    assert not user.wanted()
    child = os.fork()
    if child == 0:
        other.forked()
        time.sleep(5)
        os._exit(0)
    time.sleep(0.2)
    other.release()
    assert user.take_alone()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    user.release()


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be deleted")
def test_a_database_deleted_without_its_log_is_not_paired_with_it(tmp_path: Path) -> None:
    lines: list[str] = []
    store = Store.open(tmp_path, report=lines.append)
    for n in range(1, 40):
        store.add_spans([row(n, size=5000)])
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size > 0
    (tmp_path / FILE_NAME).unlink()
    other = python("with Store.open(home) as store: print(store.add_spans([row(100)]))", tmp_path)
    assert other.communicate(timeout=60)[0].strip() == "1"
    assert rows_in(tmp_path) == 1
    assert store.add_spans([row(101)]) == 1
    store.close()
    assert rows_in(tmp_path) == 2
    assert store.dropped == 39
    assert not [path for path in tmp_path.iterdir() if ".corrupt-" in path.name]


def test_a_reader_that_stays_delays_nobody(tmp_path: Path) -> None:
    size = 1 << 20
    with Store.open(tmp_path, max_bytes=size) as store:
        store.add_spans([row(n, size=1000) for n in range(1, 200)])
        with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as reader:
            cursor = reader.execute("SELECT * FROM spans")
            cursor.fetchone()
            for n in range(200, 600, 20):
                assert store.add_spans([row(i, size=1000) for i in range(n, n + 20)]) == 20
            assert store.dropped == 0


def test_a_child_whose_parent_ends_first_keeps_what_it_stored(tmp_path: Path) -> None:
    daemon = python(
        """
        store = Store.open(home)
        store.add_spans([row(1)])
        if os.fork():
            store.add_spans([row(2)])
            os._exit(0)
        time.sleep(0.5)
        stored = sum(store.add_spans([row(n)]) for n in range(10, 60))
        other = Store.open(home)
        print(stored, store.dropped, other.add_spans([row(100)]), flush=True)
        os._exit(0)
        """,
        tmp_path,
        stderr=subprocess.PIPE,
    )
    out, err = daemon.communicate(timeout=60)
    assert (out.split(), err) == (["50", "0", "1"], "")
    assert rows_in(tmp_path) == 53


def test_a_take_over_that_fails_leaves_the_damaged_store_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    store = Store.open(tmp_path, report=lines.append)
    store.add_spans([row(n) for n in range(1, 100)])
    store.close()
    content = bytearray(store.path.read_bytes())
    content[4096:] = b"\xee" * (len(content) - 4096)
    store.path.write_bytes(content)

    def full(*_: object) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("autoperf.telemetry.store.tables.take_over", full)
    assert store.add_spans([row(200)]) == 0
    assert store.dropped == 1
    assert store.problem
    assert len(lines) == 1
    assert not list(tmp_path.glob("*.corrupt-*"))
    assert store.path.read_bytes()[4096 : len(content)] == content[4096:]


def test_a_table_that_is_gone_is_made_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.add_spans([row(1)])
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute("DROP TABLE traces")
        connection.commit()
    assert store.add_spans([row(2)]) == 1
    assert store.dropped == 0
