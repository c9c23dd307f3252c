"""The record of a process at rest is put into words once; its thread sleeps longer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.process.config import Config
from autoperf.telemetry.export import outlets
from autoperf.telemetry.export.outlets import Outlets
from autoperf.telemetry.store.store import Store
from autoperf.telemetry.tracing import Telemetry


def test_a_record_that_says_nothing_new_is_not_put_into_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[dict[str, Any]] = [{"chats": 1}]
    words: list[str] = []
    dumps = outlets.json.dumps

    def counted(*args: Any, **options: Any) -> str:
        words.append(dumps(*args, **options))
        return words[-1]

    made = Outlets(tmp_path, 1 << 20, lambda line: pytest.fail(line), lambda: described[-1])
    made.tick()
    monkeypatch.setattr(outlets.json, "dumps", counted)
    for _ in range(5):
        made.tick()
    assert words == []
    described.append({"chats": 1})  # another object that says the same
    for _ in range(5):
        made.tick()
    assert len(words) == 1
    described.append({"chats": 2})
    made.tick()
    with Store.open(tmp_path) as store:
        (row,) = store.processes()
    assert row["chats"] == 2


def test_it_rests_unless_a_span_is_open(tmp_path: Path) -> None:
    resting, spans = [True], []
    made = Outlets(tmp_path, 1 << 20, lambda line: pytest.fail(line), dict)
    made.rests, made.open_spans = lambda: resting[0], lambda: spans  # type: ignore[assignment]
    assert made._to_store._rests()
    spans.append("open")
    assert not made._to_store._rests()
    resting[0], spans[:] = False, []
    assert not made._to_store._rests()


def test_a_span_that_begins_wakes_the_thread_of_the_store(tmp_path: Path) -> None:
    telemetry = Telemetry.start(
        Config(home=tmp_path, quiet=True), resource={}, snapshot=dict, store_dir=tmp_path, rests=lambda: True
    )
    deadline = time.monotonic() + 60
    try:
        pipeline = telemetry._outlets._to_store
        while not pipeline._resting and time.monotonic() < deadline:
            time.sleep(0.01)
        with telemetry.span("invoke_agent"), Store.open(tmp_path) as store:
            while not store.traces() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert store.traces(), "written as it is open"
    finally:
        telemetry.shutdown()


def test_what_has_ended_is_stored_with_what_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outlets, "tick", lambda _: None)  # a kill comes before that
    telemetry = Telemetry.start(
        Config(home=tmp_path, quiet=True), resource={}, snapshot=dict, store_dir=tmp_path
    )
    try:
        with telemetry.span("outer"):
            with telemetry.span("inner"):
                pass
            telemetry.flush()
            with Store.open(tmp_path) as store:
                (trace,) = store.traces()
                spans = {span["name"]: span for span in store.spans(trace["trace_id"])}
            assert spans["inner"]["parent_id"] == spans["outer"]["span_id"]
            assert spans["outer"]["status"] == "open"
    finally:
        telemetry.shutdown()
