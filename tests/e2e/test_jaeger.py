"""Traces of a real run, sent over OTLP, as a real Jaeger has them.

``JAEGER_BIN`` names Jaeger v1's all-in-one (v1.35 or newer) when it is not on PATH; where there is none these
tests are skipped. One that is named and does not start is a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest

from autoperf.telemetry import names
from tests.conventions import operation, violations
from tests.jaeger import Jaeger, Traces, collected, needs_jaeger

REPOSITORY = Path(__file__).resolve().parents[2]
MINI_AGENT = REPOSITORY / "examples" / "mini_agent" / "run_ui.py"
MESSAGES, TOOLS = 2, 11  # every kind of call that the script has, in each message
SPANS_A_STEP = 40
EXTENSIONS = (names.EXTENSIONS, names.EXTENSION)

pytestmark = needs_jaeger


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"])
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    folder = tmp_path_factory.mktemp("jaeger")
    with Jaeger(folder) as jaeger:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_"))}
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.endpoints[request.param],
            "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
            "PYTHONPATH": str(REPOSITORY),
        }
        autoperf = [sys.executable, "-m", "autoperf", "run", "--home", str(folder / "state")]
        command = [sys.executable, str(MINI_AGENT), "--messages", str(MESSAGES), "--tools", str(TOOLS)]
        done = subprocess.run(
            [*autoperf, *command],
            env={**clean, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return collected(jaeger, folder / "state")


def test_every_span_arrives_as_it_was_recorded(traces: Traces) -> None:
    assert len(traces.spans) > 100
    here = {(row["trace_id"], row["span_id"], row["parent_id"], row["name"]) for row in traces.stored}
    there = {(span.trace_id, span.span_id, span.parent_id, span.name) for span in traces.spans}
    assert there == here


def test_the_service_is_known_by_name_version_and_instance(traces: Traces) -> None:
    assert traces.services == ["agent-zero"]
    (service,) = {json.dumps(span.service, sort_keys=True) for span in traces.spans}
    told = json.loads(service)
    assert told[names.SERVICE_NAME] == "agent-zero"
    assert told[names.SERVICE_VERSION]
    assert uuid.UUID(told[names.SERVICE_INSTANCE_ID])
    assert told["telemetry.sdk.name"] == "opentelemetry"


def test_names_kinds_and_attributes_keep_to_the_conventions(traces: Traces) -> None:
    assert violations([(span.name, span.kind, span.attributes) for span in traces.spans]) == []


def test_each_message_is_a_trace_of_its_own(traces: Traces) -> None:
    messages = traces.of(names.MESSAGE)
    assert len(messages) == len({span.trace_id for span in messages}) == MESSAGES
    assert {span.parent_id for span in messages} == {None}
    (conversation,) = {span.attributes[names.CONVERSATION_ID] for span in messages}
    assert conversation
    agents = traces.of(names.INVOKE_AGENT)
    assert {span.attributes[names.CONVERSATION_ID] for span in agents} == {conversation}


def test_agents_lie_under_their_message_or_the_tool_that_started_them(traces: Traces) -> None:
    agents = traces.of(names.INVOKE_AGENT)
    assert Counter(span.name for span in agents) == {"invoke_agent A0": MESSAGES, "invoke_agent A1": MESSAGES}
    for agent in agents:
        above = traces.above(agent, *EXTENSIONS)
        assert above is not None
        assert above.name == (
            "user_message" if agent.name.endswith("A0") else "execute_tool call_subordinate"
        )


def test_steps_lie_under_their_agent_and_hold_prompt_and_model_call(traces: Traces) -> None:
    steps = traces.of(names.STEP)
    # One for each tool, one for the response; the subordinate's sum and its answer.
    assert len(steps) == MESSAGES * (TOOLS + 1 + 2)
    assert {traces.kind_above(step) for step in steps} == {names.INVOKE_AGENT}
    for agent in traces.of(names.INVOKE_AGENT):
        own = [step for step in steps if step.parent_id == agent.span_id]
        assert [step.attributes[names.STEP_NUMBER] for step in own] == list(range(len(own)))
    for kind in (names.PREPARE_PROMPT, names.CHAT):
        found = traces.of(kind)
        assert {traces.kind_above(span, *EXTENSIONS) for span in found} == {names.STEP}
        assert sorted(span.parent_id or "" for span in found) == sorted(step.span_id for step in steps)


def test_the_system_prompt_lies_under_the_prompt(traces: Traces) -> None:
    prompts = traces.of(names.SYSTEM_PROMPT)
    assert sorted(span.parent_id or "" for span in prompts) == sorted(
        span.span_id for span in traces.of(names.PREPARE_PROMPT)
    )
    # Extensions have spans where they took long.
    points = [span for span in traces.spans if span.attributes.get(names.EXTENSION_POINT) == "system_prompt"]
    assert {traces.kind_above(point, names.EXTENSIONS) for point in points} <= {names.SYSTEM_PROMPT}


def test_a_message_tells_the_sums_of_its_model_calls(traces: Traces) -> None:
    for root in traces.of(names.MESSAGE):
        chats = [span for span in traces.of(names.CHAT) if span.trace_id == root.trace_id]
        for key in (names.PROVIDER_SECONDS, names.FRAMEWORK_SECONDS, names.CLIENT_SECONDS, names.CLIENT_CPU):
            assert root.attributes[key] == pytest.approx(sum(chat.attributes[key] for chat in chats))
        assert root.attributes[names.FRAMEWORK_SECONDS] > 0


def test_a_model_call_tells_how_the_answer_came_in(traces: Traces) -> None:
    chats = traces.of(names.CHAT)
    assert chats
    for chat in chats:
        told = chat.attributes
        assert told[names.REQUEST_STREAM] is True
        assert told[names.CHUNKS] >= 1
        assert 0 <= told[names.TIME_TO_FIRST_CHUNK] <= chat.length / 1e6 + 0.001
        assert 0 <= told[names.CALLBACK_SLOWEST] <= told[names.CALLBACK_SECONDS]
        # What the scripted provider counted.
        assert told[names.PROVIDER_NAME] == "scripted"
        assert told[names.INPUT_TOKENS] > told[names.OUTPUT_TOKENS] > 0
        assert told[names.FINISH_REASONS]
    slowest = {
        (
            chat.attributes.get(names.CALLBACK_SLOWEST_POINT),
            chat.attributes.get(names.CALLBACK_SLOWEST_EXTENSION),
        )
        for chat in chats
    }
    named = {
        extension for point, extension in slowest if point in ("response_stream", "response_stream_chunk")
    }
    assert any(named)


def test_tools_are_looked_up_and_run_in_the_step_that_asked_for_them(traces: Traces) -> None:
    tools = traces.of(names.EXECUTE_TOOL)
    assert Counter(span.attributes[names.TOOL_NAME] for span in tools) == {
        "calculator": MESSAGES * (3 + 1 + 1),  # the subordinate's, and one side by side with others
        "notes": MESSAGES * 2,
        "pause": MESSAGES * (1 + 1),
        "text_statistics": MESSAGES * (1 + 1),
        "(unknown)": MESSAGES,  # what the model calls a tool that there is not, it may have made up
        **dict.fromkeys(("units.convert", "call_subordinate", "parallel", "response"), MESSAGES),
    }
    above = Counter(traces.kind_above(span, *EXTENSIONS) for span in tools)
    assert above == {names.STEP: MESSAGES * (TOOLS + 1 + 1), names.EXECUTE_TOOL: MESSAGES * 3}
    inside = [traces.above(span, *EXTENSIONS) for span in tools]
    assert {span.name for span in inside if span and operation(span.name) == names.EXECUTE_TOOL} == {
        "execute_tool parallel"
    }
    lookups = traces.of(names.TOOL_LOOKUP)
    assert {traces.kind_above(span, *EXTENSIONS) for span in lookups} <= {names.STEP, names.EXECUTE_TOOL}
    assert {span.attributes[names.CACHE_HIT] for span in lookups} == {True, False}


def test_a_tool_tells_where_it_comes_from_and_whether_it_ended_the_turn(traces: Traces) -> None:
    tools = traces.of(names.EXECUTE_TOOL)
    foreign = [span for span in tools if span.attributes[names.TOOL_TYPE] == "extension"]
    assert {(span.name, span.attributes[names.MCP_SERVER]) for span in foreign} == {
        ("execute_tool units.convert", "units")
    }
    assert {span.attributes[names.TOOL_TYPE] for span in tools} == {"extension", "function"}
    ended = {span.name for span in tools if span.attributes.get(names.BREAK_LOOP)}
    assert ended == {"execute_tool response"}


def test_the_tool_that_failed_is_an_error_by_the_class_of_its_exception(traces: Traces) -> None:
    failed = [span for span in traces.of(names.EXECUTE_TOOL) if span.error]
    assert [span.name for span in failed] == ["execute_tool calculator"] * MESSAGES
    assert {span.attributes[names.ERROR_TYPE] for span in failed} == {"helpers.errors.RepairableException"}
    for span in traces.spans:
        assert span.error == (names.ERROR_TYPE in span.attributes), span.name
        assert span.events == 0, span.name


def test_nothing_that_was_said_or_computed_leaves(traces: Traces) -> None:
    told = json.dumps([[span.name, span.attributes, span.service] for span in traces.spans])
    for private in (
        "work through",
        "Cannot calculate",
        "lighthouse",
        "* 17",
        "add up",
        "You are",
        str(REPOSITORY),
    ):
        assert private not in told
    assert "execute_tool text_statistics" in told


def test_a_step_of_one_tool_has_at_most_forty_spans(traces: Traces) -> None:
    steps = traces.of(names.STEP)
    assert steps
    sizes = {step.span_id: len(traces.below(step)) + 1 for step in steps}
    assert max(sizes.values()) <= SPANS_A_STEP
