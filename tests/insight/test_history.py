"""Reading the store for people: a file that is empty, newer, damaged in a row, or written meanwhile."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from autoperf.errors import AutoperfError
from autoperf.insight.history import History
from autoperf.telemetry import names
from autoperf.telemetry.store import tables
from autoperf.telemetry.store.store import FILE_NAME, Store
from tests.trace_rows import Trace, keep, process, turn


def test_what_was_stored_is_read_back(tmp_path: Path) -> None:
    trace = turn(7)
    trace.rows[0] = trace.rows[0]._replace(links=[["ab" * 16, "cd" * 8]])
    with History(keep(tmp_path, trace, processes=[process(1, features=[])])) as history:
        found = history.spans(trace.trace_id)
        expected = [row._replace(links=list(row.links)) for row in trace.rows]
        assert sorted(found, key=lambda row: row.span_id) == expected
        assert history.spans(trace.trace_id, 3) == found[:3]
        (summary,) = history.traces()
        assert (summary.pid, summary.spans, summary.errors) == (100, len(trace.rows), 1)
        assert history.find("0" * 20) == summary
        assert [one["pid"] for one in history.processes()] == [1]


def test_a_scheduled_task_is_neither_a_message_nor_background_work(tmp_path: Path) -> None:
    traces = [Trace(number, at_ms=number) for number in (1, 2, 3)]
    for trace, name in zip(traces, ("user_message", "scheduled_task", "background memorize"), strict=True):
        trace.span(name, 0, 1)
    with History(keep(tmp_path, *traces)) as history:
        kinds = [(one.name, one.by_user, one.in_background) for one in history.traces()]
    assert kinds == [
        ("background memorize", False, True),
        ("scheduled_task", False, False),
        ("user_message", True, False),
    ]


def test_the_newest_message_comes_before_newer_background_work(tmp_path: Path) -> None:
    later = Trace(2, at_ms=50_000)
    later.span("background memorize", 0, 1)
    with History(keep(tmp_path / "a", turn(1), later)) as history:
        assert history.find(None).trace_id == f"{1:032x}"
    with History(keep(tmp_path / "b", later)) as history:
        assert history.find(None).trace_id == f"{2:032x}"


def test_an_empty_file_holds_no_trace(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(AutoperfError, match="holds no trace yet"):
        History(tmp_path)
    with Store.open(tmp_path / "b") as store:
        store.save_process({"pid": 1, "started": 1.0})
    with History(tmp_path / "b") as history, pytest.raises(AutoperfError, match="holds no trace yet"):
        history.find(None)


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    keep(tmp_path, turn(1))
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"PRAGMA user_version = {tables.SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(AutoperfError, match="newer autoperf"):
        History(tmp_path)


def test_a_damaged_row_costs_its_attributes_only(tmp_path: Path) -> None:
    keep(tmp_path, turn(1))
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("UPDATE spans SET attributes = '{broken', links = '7' WHERE name GLOB 'chat*'")
    connection.commit()
    connection.close()
    with History(tmp_path) as history:
        rows = history.spans(f"{1:032x}")
        assert [row.attributes for row in rows if row.name.startswith("chat")] == [{}] * 5
        assert all(row.links == [] for row in rows)
        (summary,) = history.traces()
        assert (summary.model_calls, summary.input_tokens, summary.tool_calls) == (5, None, 6)


def test_a_reader_does_not_keep_a_writer_out(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.add_spans(turn(1).rows)
        with History(tmp_path) as history:
            listing = history.traces()
            next(listing)
            assert store.add_spans(turn(2, at_ms=9000).rows)
            assert history.find(f"{2:032x}").name == names.MESSAGE
            assert store.dropped == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    keep(tmp_path, turn(1))
    tmp_path.chmod(0o500)
    try:
        with History(tmp_path) as history:
            assert len(list(history.traces())) == 1
    finally:
        tmp_path.chmod(0o700)
