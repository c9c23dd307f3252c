"""From what a process left in the store to advice on it, and on no other process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import autoperf
from autoperf.cli import main
from autoperf.insight.advice.collect import facts, recommendations
from autoperf.insight.advice.recommendation import recommend
from autoperf.insight.processes import as_seen
from autoperf.instrumentation.agentzero.activity import host_facts
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.monitor import Archive, Stall
from autoperf.patching.patch import Switch, replacement
from autoperf.telemetry import names
from autoperf.telemetry.store.store import SpanRow, Store

NOW = time.time()
PID = 4242
RECORD = {
    "pid": PID,
    "started": NOW - 9000,
    "updated": NOW,
    "ended": NOW,
    "instance": "i1",
    "features": ["trace"],
    "options": {"tool_cache_size": 100},
    "host": {"torch_loaded": True, "local_models": False, "bytecode": True, "chats": 3},
    "lookups": {},
    "caches": {},
}


def span(
    number: int, name: str, seconds: float, parent: str | None, trace: int, **attributes: Any
) -> SpanRow:
    begun = int((NOW - 8000 + 10 * trace) * 1e9)
    return SpanRow(
        f"{trace:032x}",
        f"{trace * 100 + number:016x}",
        parent,
        name,
        "internal",
        begun,
        begun + int(seconds * 1e9),
        "unset",
        PID,
        attributes,
    )


def message(trace: int) -> list[SpanRow]:
    root = span(1, names.MESSAGE, 5.0, None, trace)
    above = root.span_id
    chat = {names.CONVERSATION_ID: "c1", names.INPUT_TOKENS: 70_000}
    return [
        root,
        span(2, f"{names.CHAT} big", 1.0, above, trace, **chat, **{names.MODEL_ROLE: "chat"}),
        span(3, f"{names.CHAT} small", 4.0, above, trace, **{names.MODEL_ROLE: "utility"}),
        span(4, names.MCP_CONNECT, 0.9, above, trace, **{names.MCP_SERVER: "search"}),
    ]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = Store.open(tmp_path)
    store.save_process(RECORD)
    store.add_spans([row for trace in range(12) for row in message(trace)])
    monkeypatch.setattr("autoperf.monitor.samples.os.getpid", lambda: PID)
    stalls = [
        Stall(NOW - number, 1.0, "AgentContext", ("agent.py:1 f",), cause="code") for number in range(6)
    ]
    Archive(store).keep([{"at": NOW - number, "memory": 1} for number in range(20)], stalls)
    monkeypatch.setattr("autoperf.monitor.samples.os.getpid", lambda: 7)
    Archive(store).keep([{"at": NOW, "disk_free": 1}], stalls)
    store.close()
    return tmp_path


def test_everything_recorded_of_the_process_and_nothing_of_another(directory: Path) -> None:
    found = facts(directory, as_seen(directory, RECORD))
    assert (found.messages, found.message_seconds) == (12, pytest.approx(60.0))
    assert len(found.samples) == 20
    assert len(found.stalls) == 6
    assert {(timing.kind, timing.name): timing.count for timing in found.timings} == {
        (names.MESSAGE, ""): 12,
        (names.CHAT, "big"): 12,
        (names.CHAT, "small"): 12,
        (names.MCP_CONNECT, "search"): 12,
        ("chat chat", "big"): 12,
        ("chat utility", "small"): 12,
    }
    assert [prompt.tokens for prompt in found.prompts] == [70_000] * 12
    assert found.options == {"tool_cache_size": 100}
    assert (found.host.torch_loaded, found.host.local_models, found.chats) == (True, False, 3)
    assert found.newest("chat utility") == "small"
    assert {use.messages_ago for use in found.uses.values()} == {0}
    assert found.uses["chat chat", "big"].at == pytest.approx(NOW - 8000 + 10 * 11)
    other = facts(directory, as_seen(directory, {**RECORD, "instance": "another", "pid": 5}))
    assert (other.messages, len(other.samples), len(other.stalls)) == (0, 0, 0)


def test_the_advice_on_it(directory: Path) -> None:
    rules = {advice.rule for advice in recommendations(directory, PID)}
    assert rules == {
        "slow MCP server",
        "utility model slow",
        "prompt too long",
        "loop blocked",
        "torch loaded for nothing",
    }
    assert {advice.rule for advice in recommendations(directory)} == rules


def test_what_has_been_replaced_is_no_longer_advised_on(directory: Path) -> None:
    with Store.open(directory) as store:
        # Another chat model since two messages, another utility model since one.
        for trace, utility in ((12, "small"), (13, "quick")):
            rows = message(trace)
            rows[1] = rows[1]._replace(name=f"{names.CHAT} new")
            rows[2] = rows[2]._replace(name=f"{names.CHAT} {utility}")
            store.add_spans(rows)
    found = facts(directory, as_seen(directory, RECORD))
    assert (found.newest("chat chat"), found.newest("chat utility")) == ("new", "quick")
    assert found.uses["chat chat", "big"].messages_ago == 2
    assert found.uses["chat utility", "small"].messages_ago == 1
    assert "utility model slow" not in {advice.rule for advice in recommendations(directory, PID)}


def test_a_stall_that_has_not_ended_counts_as_long_as_it_was_seen(directory: Path) -> None:
    begun = {"loop": "AgentContext", "stack": ["helpers/mcp_handler.py:1 has_tool"], "cause": "code"}
    # The first one has ended since, and lies in the store by its exact time.
    lasting = [{**begun, "at": round(NOW - 5, 1)}, {**begun, "at": NOW - 86.0}]
    found = facts(directory, as_seen(directory, {**RECORD, "monitor": {"lasting": lasting}}))
    assert len(found.stalls) == 7
    assert [stall["seconds"] for stall in found.stalls if stall.get("lasting")] == [pytest.approx(86.0)]
    assert any("one stall of 86.0 s at" in advice.evidence for advice in recommend(found))


def test_the_newest_messages_and_the_last_week_are_looked_at(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400.0
    old = {**RECORD, "started": NOW - 10 * day}
    monkeypatch.setattr("autoperf.monitor.samples.os.getpid", lambda: PID)
    with Store.open(directory) as store:
        Archive(store).keep([{"at": NOW - 8 * day, "memory": 1}], [Stall(NOW - 8 * day, 1.0, "AgentContext")])
        Archive(store).keep([{"at": NOW - 6 * day, "memory": 1}], [Stall(NOW - 6 * day, 1.0, "AgentContext")])
    found = facts(directory, as_seen(directory, old))
    assert min(row["at"] for row in found.samples) == pytest.approx(NOW - 6 * day, abs=120)
    assert len(found.stalls) == 7
    monkeypatch.setattr("autoperf.insight.advice.collect._MESSAGES", 3)
    some = facts(directory, as_seen(directory, RECORD))
    assert (some.messages, some.uses["chat chat", "big"].messages_ago) == (3, 0)
    assert min(prompt.at for prompt in some.prompts) == pytest.approx(NOW - 8000 + 90)
    monkeypatch.setattr("autoperf.insight.advice.collect._SPANS", 5)
    assert facts(directory, as_seen(directory, RECORD)).messages == 2


def test_work_in_the_background_is_no_message(directory: Path) -> None:
    with Store.open(directory) as store:
        store.add_spans([span(1, "background memorize", 500.0, None, 12), *message(13)])
    found = facts(directory, as_seen(directory, RECORD))
    assert (found.messages, found.message_seconds) == (13, pytest.approx(65.0))
    assert found.uses["chat chat", "big"].messages_ago == 0


def test_what_the_utility_model_is_sent_is_no_prompt_of_the_chat(directory: Path) -> None:
    with Store.open(directory) as store:
        rows = message(12)
        sent = {names.CONVERSATION_ID: "c1", names.INPUT_TOKENS: 999}
        rows[2] = rows[2]._replace(attributes={**rows[2].attributes, **sent})
        store.add_spans(rows)
    assert {prompt.tokens for prompt in facts(directory, as_seen(directory, RECORD)).prompts} == {70_000}


def test_where_the_store_and_the_host_lie(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = directory / "agent-zero"
    kinds = {directory: "ext4", root: "nfs4"}
    monkeypatch.setattr("autoperf.insight.advice.collect.file_system", kinds.__getitem__)
    record = {**RECORD, "host": {**RECORD["host"], "root": str(root)}}  # type: ignore[dict-item]
    host = facts(directory, as_seen(directory, record)).host
    assert (host.file_system, host.remote, host.root_file_system, host.root_remote) == (
        "ext4",
        False,
        "",
        False,
    )
    root.mkdir()
    host = facts(directory, as_seen(directory, record)).host
    assert (host.file_system, host.remote) == ("ext4", False)
    assert (host.root_file_system, host.root_remote) == ("nfs4", True)
    kinds[directory] = "9p"
    assert facts(directory, as_seen(directory, record)).host.remote


def test_nothing_recorded_nothing_advised(tmp_path: Path) -> None:
    assert recommendations(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_api_of_a_process_that_is_not_instrumented() -> None:
    assert autoperf.recommendations() == []
    assert autoperf.start_monitoring(1.0) is False
    autoperf.stop_monitoring()
    with pytest.raises(ValueError, match="above 0"):
        autoperf.start_monitoring(0)


def test_on_the_command_line(directory: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["advise", "--home", str(directory)]) == 0
    text = capsys.readouterr().out
    assert "The MCP server search takes longer to start" in text
    assert "  do         AUTOPERF_FEATURES=+mcp-keep" in text
    assert main(["advise", "--home", str(directory), "--pid", str(PID), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["rule"] for row in told} == {advice.rule for advice in recommendations(directory)}
    assert main(["advise", "--home", str(directory), "--pid", "99"]) == 1
    assert "no process 99 recorded" in capsys.readouterr().err
    with Store.open(tmp_path / "quiet") as store:
        store.save_process({"pid": 1, "started": NOW, "ended": NOW})
    assert main(["advise", "--home", str(tmp_path / "quiet")]) == 0
    assert "Nothing to recommend" in capsys.readouterr().out


def test_local_models_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    probe = Probe(None)
    ((target, build),) = host_facts.rows({"local_embeddings": "models:Local.__init__"}, probe)
    assert target == "models:Local.__init__"
    made = SimpleNamespace()
    making = replacement(
        lambda self, model, device="cpu": setattr(self, "model", (model, device)), build, Switch()
    )
    assert not host_facts.used(probe)
    making(made, "mini", device="x")
    assert made.model == ("mini", "x")
    assert host_facts.used(probe)
    fresh = Probe(None)
    monkeypatch.setitem(sys.modules, "helpers.whisper", SimpleNamespace(_model=None))
    assert not host_facts.used(fresh)
    monkeypatch.setitem(sys.modules, "helpers.whisper", SimpleNamespace(_model=object()))
    assert host_facts.used(fresh)


def test_chats_are_counted_where_the_host_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.delitem(sys.modules, "agent", raising=False)
    assert host_facts.chats() is None

    class AgentContext:
        _contexts = {"a": 1, "b": 2}

    monkeypatch.setitem(sys.modules, "agent", SimpleNamespace(AgentContext=AgentContext))
    assert host_facts.chats() == 2


def test_a_tool_takes_the_time_during_which_it_runs_however_often_at_once(tmp_path: Path) -> None:
    rows = []
    for trace in range(6):
        root = span(1, names.MESSAGE, 10.0, None, trace)
        calls = [span(2 + n, f"{names.EXECUTE_TOOL} code", 6.0, root.span_id, trace) for n in range(4)]
        alone = span(9, f"{names.EXECUTE_TOOL} code", 50.0, None, 100 + trace)  # of no message
        rows += [root, *calls, alone]
    with Store.open(tmp_path) as store:
        store.save_process(RECORD)
        store.add_spans(rows)
    found = facts(tmp_path, as_seen(tmp_path, RECORD))
    assert found.tool_seconds == {"code": pytest.approx(36.0)}
    (advice,) = [one for one in recommend(found) if one.rule == "tool dominates"]
    assert "60%" in advice.title
