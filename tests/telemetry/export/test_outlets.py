"""The record of a process at rest is put into words once, not every second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry.export import outlets
from autoperf.telemetry.export.outlets import Outlets
from autoperf.telemetry.store.store import Store


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


def test_at_rest_it_is_not_asked_but_while_a_span_is_open_and_at_the_end(tmp_path: Path) -> None:
    asked: list[str] = []

    def snapshot() -> dict[str, Any]:
        asked.append("asked")
        return {"chats": len(asked)}

    resting, spans = [True], []
    made = Outlets(tmp_path, 1 << 20, lambda line: pytest.fail(line), snapshot)
    made.rests, made.open_spans = lambda: resting[0], lambda: spans  # type: ignore[assignment]
    made.tick()
    assert asked == []
    resting[0] = False
    made.tick()
    resting[0] = True
    assert len(asked) == 1
    made.finish(1.0, None)
    with Store.open(tmp_path) as store:
        (row,) = store.processes()
    assert row["chats"] > 1
    assert row["ended"]
