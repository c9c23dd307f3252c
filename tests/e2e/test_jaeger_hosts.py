"""Traces of the real Agent Zero, as a real Jaeger has them.

``AUTOPERF_AGENT_ZERO`` names a folder with the checkouts ``v0.9.8`` and ``v1.7``, each with its requirements
and autoperf in its ``.venv``; for Jaeger see `tests.jaeger`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from autoperf.benchmark.host.run import run
from autoperf.benchmark.parts.instrumented import prefix
from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, call, echo
from autoperf.telemetry import names
from tests.conventions import operation, violations
from tests.jaeger import Jaeger, Traces, collected, needs_jaeger

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = [path for path in (Path(FOLDER) / "v0.9.8", Path(FOLDER) / "v1.7") if FOLDER and path.is_dir()]
EXTENSIONS = (names.EXTENSIONS, names.EXTENSION)

pytestmark = [
    needs_jaeger,
    pytest.mark.skipif(not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder with v0.9.8 or v1.7"),
]


def conversation() -> Conversation:
    """A message with tools, one of them failing, and a subordinate; then another one."""
    replies = (
        echo("first"),
        call("autoperf_fails", kind="repairable"),
        call("call_subordinate", message="Do the private half.", reset="true"),
        echo("of the subordinate"),
        answer("The private half is done."),
        answer("All done."),
    )
    files = {tool_files.ECHO_FILE: tool_files.ECHO, tool_files.FAILS_FILE: tool_files.FAILS}
    turns = (Turn("Something private.", replies), Turn("Thank you.", (answer("You are welcome."),)))
    return Conversation("traced", turns, files)


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=CHECKOUTS, ids=lambda path: path.name)
def traces(request: pytest.FixtureRequest, protocol: str, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    folder = tmp_path_factory.mktemp("jaeger")
    with Jaeger(folder) as jaeger:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.endpoints[protocol],
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        words = prefix(request.param, folder)
        result = run(request.param, conversation(), folder, prefix=words, extra_env=variables)
        assert [turn.answer.status for turn in result.turns] == [200, 200]
        return collected(jaeger, folder / "state")


def test_every_span_arrives_and_keeps_to_the_conventions(traces: Traces) -> None:
    here = {(row["trace_id"], row["span_id"], row["parent_id"], row["name"]) for row in traces.stored}
    there = {(span.trace_id, span.span_id, span.parent_id, span.name) for span in traces.spans}
    assert there == here
    assert violations([(span.name, span.kind, span.attributes) for span in traces.spans]) == []
    assert traces.services == ["agent-zero"]
    assert len({span.service[names.SERVICE_INSTANCE_ID] for span in traces.spans}) == 1


def test_the_tree_of_a_message(traces: Traces) -> None:
    messages = traces.of(names.MESSAGE)
    assert len(messages) == len({span.trace_id for span in messages}) == 2
    assert {span.parent_id for span in messages} == {None}
    conversations = {span.attributes[names.CONVERSATION_ID] for span in messages}
    agents = [span for span in traces.of(names.INVOKE_AGENT) if span.trace_id == messages[0].trace_id]
    assert {span.attributes[names.CONVERSATION_ID] for span in agents} == conversations
    above = [traces.above(agent, *EXTENSIONS) for agent in agents]
    assert [span.name for span in above if span] == [names.MESSAGE, "execute_tool call_subordinate"]
    steps = [step for step in traces.of(names.STEP) if step.trace_id == messages[0].trace_id]
    assert Counter(step.parent_id for step in steps) == {agents[0].span_id: 4, agents[1].span_id: 2}
    for step in steps:
        held = Counter(operation(span.name) for span in traces.spans if span.parent_id == step.span_id)
        assert held[names.PREPARE_PROMPT] == held[names.CHAT] == held[names.EXECUTE_TOOL] == 1
        assert len(traces.below(step)) < 40


def test_tools_and_the_one_that_failed(traces: Traces) -> None:
    tools = traces.of(names.EXECUTE_TOOL)
    assert Counter(span.attributes[names.TOOL_NAME] for span in tools) == {
        "autoperf_echo": 2,
        "autoperf_fails": 1,
        "call_subordinate": 1,
        "response": 3,
    }
    assert {span.name for span in tools if span.attributes.get(names.BREAK_LOOP)} == {"execute_tool response"}
    (failed,) = (span for span in tools if span.error)
    assert failed.name == "execute_tool autoperf_fails"
    assert failed.attributes[names.ERROR_TYPE].endswith("errors.RepairableException")


def test_model_calls_of_both_roles(traces: Traces) -> None:
    chats = traces.of(names.CHAT)
    roles = Counter(span.attributes[names.MODEL_ROLE] for span in chats)
    assert roles["chat"] == 7
    assert roles["utility"] >= 1
    streamed = [chat for chat in chats if chat.attributes[names.REQUEST_STREAM]]
    assert Counter(chat.attributes[names.MODEL_ROLE] for chat in streamed)["chat"] == 7
    for chat in chats:
        of_a_stream = {names.CHUNKS, names.TIME_TO_FIRST_CHUNK} & chat.attributes.keys()
        assert len(of_a_stream) == (2 if chat in streamed else 0)
        # v1.x stops reading once the request is complete, and never hears why the model stopped.
        unheard = None if chat in streamed else ""
        assert chat.attributes.get(names.FINISH_REASONS, unheard) in ('["stop"]', None)


def test_background_work_is_linked_to_the_message_that_caused_it(traces: Traces) -> None:
    messages = {span.trace_id for span in traces.of(names.MESSAGE)}
    background = traces.of(names.BACKGROUND)
    assert background
    for span in background:
        assert span.parent_id is None
        assert {trace_id for trace_id, _ in span.links} <= messages
        assert span.links


def test_nothing_private_leaves(traces: Traces) -> None:
    told = json.dumps([[span.name, span.attributes, span.service] for span in traces.spans])
    assert "private" not in told
    assert "welcome" not in told
    assert "may repair" not in told
