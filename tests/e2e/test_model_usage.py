"""The real Agent Zero of every generation: a chat span holds the provider's own numbers, or none.

The host never asks for usage; the scripted provider sends it all the same, or leaves it out. See
`test_real_hosts` for ``AUTOPERF_AGENT_ZERO``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.model import completions, responses
from autoperf.benchmark.parts.instrumented import measure
from autoperf.benchmark.scenarios.conversation import tools
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []
# The first version that speaks to provider `openai` through the Responses API.
RESPONSES = "v2"

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)

SENT = {
    names.INPUT_TOKENS: 1234,
    names.OUTPUT_TOKENS: 77,
    names.CACHED_TOKENS: 512,
    names.REASONING_TOKENS: 21,
}


def usage(given: str, made: str) -> dict[str, Any]:
    return {
        f"{given}_tokens": 1234,
        f"{made}_tokens": 77,
        "total_tokens": 1311,
        f"{given}_tokens_details": {"cached_tokens": 512},
        f"{made}_tokens_details": {"reasoning_tokens": 21},
    }


def let_the_provider_say(monkeypatch: pytest.MonkeyPatch, *, costs: bool) -> None:
    """The provider reports what an answer cost, in a stream without being asked; or it never does."""
    events, answer, response = completions.events, completions.answer, responses._response

    def streamed(model: str, text: str, chunk_size: int) -> Iterator[str]:
        *chunks, done = events(model, text, chunk_size)
        yield from chunks
        if costs:
            last = json.loads(chunks[-1].removeprefix("data: "))
            yield f"data: {json.dumps({**last, 'choices': [], 'usage': usage('prompt', 'completion')})}\n\n"
        yield done

    def in_one_piece(model: str, text: str) -> dict[str, Any]:
        body = {**answer(model, text), "usage": usage("prompt", "completion")}
        return body if costs else {key: value for key, value in body.items() if key != "usage"}

    def of_responses(body: dict[str, Any], status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        told = {**response(body, status, output), "usage": usage("input", "output")}
        return told if costs else {key: value for key, value in told.items() if key != "usage"}

    monkeypatch.setattr(completions, "events", streamed)
    monkeypatch.setattr(completions, "answer", in_one_piece)
    monkeypatch.setattr(responses, "_response", of_responses)


def numbers(state: Path) -> dict[str, list[dict[str, Any]]]:
    """The usage on each chat span, by whether its answer was read to the end or cut short by the host."""
    with Store.open(state) as store:
        spans = [span for trace in store.traces(100) for span in store.spans(trace["trace_id"])]
    found: dict[str, list[dict[str, Any]]] = {"read": [], "cut": []}
    for span in spans:
        if span["name"].startswith("chat "):
            kind = "read" if names.FINISH_REASONS in span["attributes"] else "cut"
            found[kind].append({key: value for key, value in span["attributes"].items() if ".usage." in key})
    return found


@pytest.mark.parametrize("provider", ["other", "openai"])
@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_the_providers_own_numbers(checkout: Path, provider: str, tmp_path: Path, monkeypatch) -> None:
    if provider == "openai" and not checkout.name.startswith(RESPONSES):
        pytest.skip("another protocol only for newer hosts")
    for costs in (True, False):
        let_the_provider_say(monkeypatch, costs=costs)
        folder = tmp_path / str(costs)
        folder.mkdir()
        effect = measure(checkout, tools(count=2, rounds=1), folder, provider=provider)
        monkeypatch.undo()
        assert effect.comparison.differences == []
        assert effect.failures == []
        found = numbers(folder / "state")
        assert found["read"]
        expected = SENT if costs else {}
        assert all(told == expected for told in found["read"])
        assert all(told == {} for told in found["cut"])
