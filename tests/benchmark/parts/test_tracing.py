"""What tracing costs: pairs of messages, each next to its own kind's opposite, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.http_client import Answer
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.host.run import Run, TurnResult
from autoperf.benchmark.parts import tracing
from autoperf.benchmark.scenarios.conversation import Conversation
from autoperf.telemetry.store.store import SpanRow, Store


def hold(traced_messages: int, state: Path) -> Any:
    """A host that needs 2 s for a message and 2.1 s for a traced one, and keeps some traces."""

    def run(checkout: Path, talk: Conversation, workdir: Path, **_: Any) -> Run:
        features, result = "all", Run()
        for turn in talk.turns:
            assert turn.fresh
            switches = "autoperf_switch" in turn.replies[0]
            if switches:
                features = "-trace" if "-trace" in turn.replies[0] else "all"
            seconds = 0.5 if switches else 2.1 if features == "all" else 2.0
            result.turns.append(TurnResult(Answer(200, {}), seconds + 1, seconds))
        for number in range(traced_messages):
            rows = [
                SpanRow(f"{number:032x}", f"{n:016x}", None, "user_message", "internal", 1, 2, "unset", 1, {})
                for n in range(160)
            ]
            Store.open(state).add_spans(rows)
        return result

    return run


def test_each_message_is_compared_with_the_one_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tracing.checkouts, "run", hold(2 + 6, tmp_path))
    cost = tracing.measure(tmp_path, tmp_path, [], tmp_path, pairs=3)
    assert cost.without == [(2.0, 3.0)] * 3
    assert cost.traced == [(2.1, 3.1)] * 3
    assert cost.median(0) == pytest.approx(0.05)
    assert cost.median(1) == pytest.approx(0.1 / 3)


def test_messages_that_were_not_traced_as_planned_are_no_comparison(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tracing.checkouts, "run", hold(2 + 9, tmp_path))
    with pytest.raises(HostError, match="11 messages were traced instead of 8"):
        tracing.measure(tmp_path, tmp_path, [], tmp_path, pairs=3)
