"""Records of any shape: every verb that reads them ends as it should, and what is right of them is kept."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.monitor.samples import samples, stalls, thin
from autoperf.process.installation import doctor
from autoperf.telemetry.store import records
from autoperf.telemetry.store.store import FILE_NAME, Store
from tests.cli.test_cli import RECORD
from tests.trace_rows import before_and_after

STALL = {"at": 1.0, "loop": "chats", "stack": ["a.py:1 f"], "inside": "", "chat": "c", "tool": "t"}
EXPORTER = {
    "kind": "otlp-http",
    "endpoint": "http://x",
    "sent": 1,
    "waiting": 0,
    "dropped": 1,
    "problem": "p",
}
# All that a record may hold.
FULL: dict[str, Any] = {
    **RECORD,
    "pid": 1,
    "instance": "i",
    "ended": None,
    "resource": {"service.name": "n", "service.version": "v1.7"},
    "options": {"tool_cache_size": 100, "quiet": False, "detail": "step"},
    "changed": {"tools": {"hits": 3}},
    "lookups": {**RECORD["lookups"], "git": {"lookups": 2, "hits": 0, "misses": 2, "why": {"w": 2}}},
    "inherited": {"lookups": {"tools": {"lookups": 1, "hits": 1}}, "caches": {"tools": {"loads": 1}}},
    "replies": {"resumed": 1},
    "mcp": {"lookups": 1, "found": 1},
    "host": {**RECORD["host"], "chats": 2, "torch_loaded": False, "bytecode": True},
    "monitor": {
        "running": True,
        "interval": 5.0,
        "stalls": 1,
        "lasting": [STALL],
        "last_stall": {**STALL, "seconds": 2.0},
        "sample": {"cpu": 1.0, "memory": 5, "lag": {"chats": 0.1}, "children": {"node": [1, 2]}, "at": 1.0},
    },
    "underway": [{"kind": "agent", "chat": "c", "agent": "A0", "since": 1.0, "step": 1}],
    "telemetry": {
        "spans": 3,
        "dropped": 0,
        "store": {"path": "/x", "problem": None},
        "exporters": [EXPORTER],
        "metrics": {"host_provider": False, "dropped": 0, "exporters": [EXPORTER]},
    },
    "failures": [{"seam": "x", "reason": "y", "count": 3}],
}
HOSTILE: tuple[Any, ...] = (
    "a\0b", "\ud800", "\x1b[31m", None, [], {}, -1, 1e308, float("nan"), float("inf"), True, 10**400, [None],
    {"a\0": None}, [[]],
)  # fmt: skip
VERBS = ("status", "status --json", "doctor", "top --once", "report", "history", "advise", "traces")


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    record = copy.deepcopy(FULL)
    node: Any = record
    for key in place[:-1]:
        node = node[key]
    if value is ...:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return record


CASES = [(place, value) for place in places(FULL) for value in (*HOSTILE, ...)]


def test_a_record_as_it_should_be_stays_as_it_is() -> None:
    assert records.decoded(json.dumps(FULL)) == FULL


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", "[" * 100_000, "9" * 5000, b"{}x", None])
def test_what_is_no_record_is_none(text: Any) -> None:
    assert records.decoded(text) is None


@pytest.mark.parametrize(
    ("place", "value", "left"),
    [
        (("host", "root"), "a\0b", "a\\x00b"),
        (("host", "root"), "a\udcffb", "a\udcffb"),
        (("host", "root"), "a\ud800b", "a\\ud800b"),
        (("host",), 3, ...),
        (("host", "chats"), None, None),
        (("ended",), "late", ...),
        (("monitor", "last_stall"), None, ...),
        (("features",), [1, "tools"], ["tools"]),
        (("patches", 0), 5, FULL["patches"][1]),
        (("lookups", "tools"), None, ...),
        (("lookups", "tools", "hit_rate"), float("nan"), ...),
        (("lookups", "tools", "hit_rate"), None, None),
        (("lookups", "tools", "hits"), True, ...),
        (("lookups", "tools", "hits"), None, ...),
        (("monitor", "last_stall", "seconds"), ..., ...),
        (("monitor", "sample", "children", "node"), [1], ...),
        (("of another version",), {"deep": [1, "a\0"]}, {"deep": [1, "a\\x00"]}),
    ],
)
def test_only_what_does_not_fit_is_left_out(place: tuple[Any, ...], value: Any, left: Any) -> None:
    found: Any = records.decoded(json.dumps(changed(place, value)))
    at = place[:2] if place[-1] == "seconds" else place
    for key in at[:-1]:
        found = found[key]
    assert (found.get(at[-1], ...) if isinstance(found, dict) else found[at[-1]]) == left


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(doctor, "probed", lambda python, environ: (None, []))
    return before_and_after(tmp_path / "state")


def write(home: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(home / FILE_NAME)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("part", range(4))
def test_no_verb_ends_in_a_traceback(
    home: Path, verb: str, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    word, *rest = verb.split()
    for place, value in random.Random(f"{verb} {part}").sample(CASES, 12):
        text = json.dumps(changed(place, value))
        write(home, "UPDATE processes SET record = ?", text)
        assert cli.main([word, "--home", str(home), *rest]) in (0, 1), (place, value)
    capsys.readouterr()


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_of_something_else_is_no_traceback(
    home: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    word, *rest = verb.split()
    for text in ("", "[]", "[" * 100_000):
        write(home, "UPDATE processes SET record = ?", text)
        assert cli.main([word, "--home", str(home), *rest]) in (0, 1)
    for column, value in [("name", b"\xff"), ("start_ns", "x"), ("end_ns", "y"), ("links", "[" * 100_000)]:
        write(home, f"UPDATE spans SET {column} = ? WHERE rowid % 3 = 0", value)
        assert cli.main([word, "--home", str(home), *rest]) in (0, 1)
    capsys.readouterr()


def test_doctor_tells_of_a_root_with_a_nul_in_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, "UPDATE processes SET record = ?", json.dumps(changed(("host", "root"), "/srv/a\0b")))
    assert cli.main(["doctor", "--home", str(home)]) == 1
    assert "no Agent Zero in /srv/a\\x00b" in capsys.readouterr().out.replace("\n    ", " ")


def test_samples_and_stalls_of_another_shape_are_passed_over(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.save_process({"pid": 1, "started": 1.0})
    for text in ('{"cpu": 1, "lag": 3}', "[]", "no"):
        write(tmp_path, "INSERT INTO samples VALUES(5, 1, 0, ?)", text)
        write(tmp_path, "INSERT INTO stalls VALUES(5, 1, 1, ?)", text)
    write(tmp_path, "INSERT INTO stalls VALUES(5, 1, 1, ?)", json.dumps({**STALL, "seconds": 2.0}))
    (sample,) = samples(store, 0)
    assert sample == {"cpu": 1, "pid": 1, "span": 0}
    assert [stall["seconds"] for stall in stalls(store, 0)] == [2.0]
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        thin(connection, 5 + 2 * 86_400)
    store.close()
