"""Reading the local store for people: traces newest first or by id, their spans, their processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.insight.facts.recorder import recorder
from autoperf.insight.processes import ended_by_exec, runs
from autoperf.insight.traces.summary import Summary, summarise
from autoperf.telemetry import names
from autoperf.telemetry.redaction import homeless
from autoperf.telemetry.store import records, tables
from autoperf.telemetry.store.sqlite import sqlite3
from autoperf.telemetry.store.store import FILE_NAME, open_reading
from autoperf.telemetry.store.tables import SpanRow

# Of one trace; more would be no trace that a person reads.
SPANS_READ: Final = 20_000
_BATCH: Final = 100
_MARKED: Final = (names.MESSAGE, names.INVOKE_AGENT, names.EXECUTE_TOOL, names.CHAT)
_NEWEST: Final = (
    "SELECT * FROM traces WHERE (start_ns, trace_id) < (?, ?) ORDER BY start_ns DESC, trace_id DESC LIMIT ?"
)
# SQLite keeps a text where the table says INTEGER: a row that says no time or no name is passed over.
_WHOLE: Final = (
    "typeof(start_ns) = 'integer' AND typeof(end_ns) = 'integer' AND typeof(name) = 'text' "
    "AND typeof(span_id) = 'text' AND typeof(pid) = 'integer'"
)
_MEASURED: Final = (
    "SELECT name, start_ns, end_ns, status, pid, attributes FROM spans "
    f"WHERE {_WHOLE} AND start_ns >= ? AND start_ns < ? "
    "AND (? IS NULL OR name = ?) ORDER BY start_ns"
)
_LAST_NS: Final = 2**63 - 1
_MARKS: Final = (
    "SELECT name, attributes, pid, parent_id, status FROM spans "
    f"WHERE {_WHOLE} AND trace_id = ? AND (parent_id IS NULL OR "
    + " OR ".join(f"name GLOB '{name}*'" for name in _MARKED)
    + ") ORDER BY start_ns"
)


class History:
    """The store in ``directory``, for reading alone; `AutoperfError` when there is none or it is damaged."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self._running: set[int] | None = None
        self._known: Callable[[Any, float], Any] = recorder(())
        if not self.path.is_file():
            raise AutoperfError(
                f"no traces in {homeless(str(directory))}; record some: autoperf run python run_ui.py"
            )
        with self._readable():
            self._connection = open_reading(self.path)
            found = tables.schema_of(self._connection)
        if not found:
            self.close()
            raise AutoperfError(f"{homeless(str(self.path))} holds no trace yet")
        if found > tables.SCHEMA_VERSION:
            self.close()
            raise AutoperfError(
                f"{homeless(str(self.path))} was written by a newer autoperf: update this one"
            )

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def traces(self) -> Iterator[Summary]:
        """Every trace, newest first, read in batches as they are asked for."""
        last = (_LAST_NS, "~")
        while True:
            batch = self._rows(_NEWEST, *last, _BATCH)
            for trace in batch:
                yield self._summary(dict(trace))
            if len(batch) < _BATCH:
                return
            last = (batch[-1]["start_ns"], batch[-1]["trace_id"])

    def find(self, prefix: str | None) -> Summary:
        """The one trace whose id begins with ``prefix``; without: the newest user message, else the newest.

        An `AutoperfError` says when there is none, or more than one.
        """
        if prefix is None:
            return self._newest()
        wanted = prefix.strip().lower()
        if not wanted or not set(wanted) <= set("0123456789abcdef") or len(wanted) > 32:
            raise AutoperfError(
                f"{prefix!a} is no trace id: up to 32 hex digits, as `autoperf traces` lists them"
            )
        rows = self._rows(
            "SELECT * FROM traces WHERE substr(trace_id, 1, ?) = ? ORDER BY start_ns DESC LIMIT 4",
            len(wanted), wanted,
        )  # fmt: skip
        if not rows:
            raise AutoperfError(f"no trace {wanted} in {homeless(str(self.path))}; see autoperf traces")
        if len(rows) > 1:
            several = ", ".join(row["trace_id"][: len(wanted) + 4] for row in rows[:3])
            raise AutoperfError(f"{wanted} fits more than one trace: {several}{', ...' * (len(rows) > 3)}")
        return self._summary(dict(rows[0]))

    def _newest(self) -> Summary:
        rows = self._rows(
            "SELECT * FROM traces ORDER BY name IS NOT ?, start_ns DESC LIMIT 1", names.MESSAGE
        ) or self._rows("SELECT * FROM traces LIMIT 1")
        if not rows:
            raise AutoperfError(f"{homeless(str(self.path))} holds no trace yet")
        return self._summary(dict(rows[0]))

    def spans(self, trace_id: str, limit: int = SPANS_READ) -> list[SpanRow]:
        """The spans of one trace by start time, ``limit`` at most."""
        rows = self._rows(
            f"SELECT * FROM spans WHERE trace_id = ? AND {_WHOLE} ORDER BY start_ns, end_ns DESC LIMIT ?",
            trace_id,
            limit,
        )
        found = (
            SpanRow._make((*values[:9], _object(values[9]), _pairs(values[10])))
            for values in map(tuple, rows)
        )
        return [self._ended(row) if row.status == tables.OPEN else row for row in found]

    def _ended(self, row: SpanRow) -> SpanRow:
        """A span of which no end was stored: it goes on, or was cut off with its process."""
        mark = names.OPEN if self._runs(row.pid, row.start_ns) else names.CUT_OFF
        return row._replace(status="unset", attributes={**row.attributes, mark: True})

    def _runs(self, pid: int, start_ns: int) -> bool:
        """Whether the process that recorded a span runs: a pid is used again."""
        if self._running is None:
            records = ended_by_exec(self.processes())
            self._running = {id(record) for record in records if runs(record)}
            self._known = recorder(records)
        return id(self._known(pid, start_ns / 1e9)) in self._running

    def measured(
        self, since: float, until: float, name: str | None = None
    ) -> Iterator[tuple[str, int, int, str, int, dict[str, Any]]]:
        """Name, start, end (ns), status, pid and attributes of the spans begun then (s), oldest first.

        Of those whose end was not stored the status is `tables.OPEN`.

        With ``name`` only those of exactly this name.
        """
        values = (int(since * 1e9), int(min(until * 1e9, _LAST_NS)), name, name)
        with self._readable():
            for row in self._connection.execute(_MEASURED, values):
                yield (*tuple(row)[:5], _object(row[5]))

    def processes(self) -> list[dict[str, Any]]:
        """The records of all processes, the most recently updated first."""
        rows = self._rows("SELECT record FROM processes ORDER BY updated DESC")
        return [record for row in rows if (record := records.decoded(row["record"])) is not None]

    def _summary(self, trace: dict[str, Any]) -> Summary:
        marks = self._rows(_MARKS, trace["trace_id"])
        root = next((row for row in marks if row["parent_id"] is None), None)
        goes_on = bool(marks) and self._runs(marks[0]["pid"], trace["start_ns"])
        is_open = root is None or root["status"] == tables.OPEN
        if is_open and goes_on:
            trace["name"] = None
        return summarise(
            trace,
            [(row["name"], _object(row["attributes"])) for row in marks],
            marks[0]["pid"] if marks else None,
            cut_off=is_open and not goes_on,
        )

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._readable():
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise AutoperfError(f"{homeless(str(self.path))} cannot be read: {error}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _pairs(text: str) -> list[list[str]]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return []
    pairs = found if isinstance(found, list) else []
    return [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
