"""Where executions, MCP sessions and memory searches hang, on every look-alike: also across threads."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry import names
from tests.collector import refused_endpoint
from tests.lossless.test_privacy import HOSTS, TESTS, environment, run, stored

pytestmark = pytest.mark.slow

Span = dict[str, Any]


@functools.cache
def spans(host: str) -> list[Span]:
    """Of the conversation in privacy_process.py, in which a tool of every kind is used."""
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home), refused_endpoint(), AUTOPERF_QUIET="1", OTEL_TRACES_EXPORTER="none")
        run([TESTS / "privacy_process.py", TESTS / "hosts" / host], env)
        return stored(Path(home))[0]


def above(span: Span, host: str) -> Span:
    """The span that it hangs below."""
    by_id = {(other["trace_id"], other["span_id"]): other for other in spans(host)}
    return by_id[span["trace_id"], span["parent_id"]]


def named(host: str, name: str) -> list[Span]:
    found = [span for span in spans(host) if span["name"] == name]
    assert found, name
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_a_session_hangs_below_its_tool_and_the_call_below_the_session(host: str) -> None:
    for tool in ("one", "fails"):
        (call,) = named(host, f"{names.MCP_TOOLS_CALL} {tool}")
        session = above(call, host)
        assert session["name"] == names.MCP_SESSION
        assert above(session, host)["name"] == f"{names.EXECUTE_TOOL} srv.{tool}"
        assert call["kind"] == names.CLIENT
    for connect in named(host, names.MCP_CONNECT):
        assert above(connect, host)["name"] == names.MCP_SESSION
        assert connect["status"] == "unset"


@pytest.mark.parametrize("host", HOSTS)
def test_a_call_that_fails_is_an_error_from_the_call_up_to_the_tool(host: str) -> None:
    (call,) = named(host, f"{names.MCP_TOOLS_CALL} fails")
    session = above(call, host)
    for span in (call, session, above(session, host)):
        assert (span["status"], span["attributes"][names.ERROR_TYPE]) == ("error", "ConnectionError")
    (fine,) = named(host, f"{names.EXECUTE_TOOL} srv.one")
    assert fine["status"] == "unset"
    assert fine["attributes"][names.TOOL_TYPE] == "extension"
    assert fine["attributes"][names.MCP_SERVER] == "srv"


@pytest.mark.parametrize("host", HOSTS)
def test_a_search_and_a_compression_hang_below_the_tool_that_asked(host: str) -> None:
    (search,) = named(host, names.MEMORY_RECALL)
    assert above(search, host)["name"] == f"{names.EXECUTE_TOOL} recalls"
    assert search["attributes"][names.MEMORY_RESULTS] > 0
    (compression,) = named(host, names.COMPRESS_HISTORY)  # at the detail "all" however short
    assert above(compression, host)["name"] == f"{names.EXECUTE_TOOL} shows"


@pytest.mark.parametrize("host", HOSTS)
def test_a_subordinate_works_below_the_tool_that_called_it(host: str) -> None:
    name = "Agent 1" if host == "v0_8" else "A1"
    (subordinate,) = named(host, f"{names.INVOKE_AGENT} {name}")
    assert above(subordinate, host)["name"] == f"{names.EXECUTE_TOOL} call_subordinate"


@pytest.mark.parametrize("host", HOSTS)
def test_whether_the_turn_ended_is_on_every_execution(host: str) -> None:
    executions = [s for s in spans(host) if s["name"].startswith(names.EXECUTE_TOOL)]
    told = {s["attributes"][names.TOOL_NAME]: s["attributes"].get(names.BREAK_LOOP) for s in executions}
    assert told["echo"] is False
    assert told["response"] is True
    assert told["fails"] is None


def test_parallel_tools_hang_below_the_tool_that_began_them() -> None:
    """They run on another thread and loop."""
    (parallel,) = named("v2", f"{names.EXECUTE_TOOL} parallel")
    below = {
        s["name"]: s["status"]
        for s in spans("v2")
        if s["parent_id"] == parallel["span_id"] and s["name"].startswith(names.EXECUTE_TOOL)
    }
    assert below == {f"{names.EXECUTE_TOOL} echo": "unset", f"{names.EXECUTE_TOOL} fails": "error"}


def test_a_native_call_has_its_id_and_no_other_execution_has_one() -> None:
    executions = [s for s in spans("v2") if s["name"].startswith(names.EXECUTE_TOOL)]
    identified = [s for s in executions if names.TOOL_CALL_ID in s["attributes"]]
    assert [s["attributes"][names.TOOL_CALL_ID] for s in identified] == ["call_0"]
    assert identified[0]["attributes"][names.TOOL_NAME] == "echo"


@pytest.mark.parametrize("host", HOSTS)
def test_a_lookup_names_its_source_file_from_the_hosts_folder_on(host: str) -> None:
    lookups = {s["attributes"][names.TOOL_NAME]: s["attributes"] for s in named(host, names.TOOL_LOOKUP)}
    folder = "tools" if host in ("v0_9_9", "v2") else "python/tools"
    assert lookups["echo"][names.SOURCE_FILE] == f"{folder}/echo.py"
    assert lookups["(unknown)"][names.SOURCE_FILE] == f"{folder}/unknown.py"
    assert names.CACHE_HIT in lookups["echo"]
