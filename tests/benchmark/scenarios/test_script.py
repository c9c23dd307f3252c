"""A turn that did not go as scripted is a failure, however alike it fails bare and under autoperf."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.benchmark.host import run, separate
from autoperf.benchmark.host.http_client import Answer
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.model.server import CHAT_MODEL, UTILITY_MODEL, ModelServer
from autoperf.benchmark.scenarios.acts import Act, Acts
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, echo
from autoperf.benchmark.scenarios.script import unmet
from tests import stub_host
from tests.benchmarks import mcp_calls

pytestmark = pytest.mark.slow

TALK = Conversation("two", (Turn("Hello.", (echo("a"), answer("Done."))), Turn("Bye.", (answer("Bye."),))))
FINE = Answer(200, {"message": "fine"})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "QUIET", 0.05)
    return stub_host.make(tmp_path / "host")


def test_a_host_that_does_as_scripted(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_HOST", "works")
    stages = []
    found = run.run(host, TALK, tmp_path / "work", stage=lambda describe: stages.append(describe()))
    assert [(turn.answer.status, turn.steps) for turn in found.turns] == [(200, 2), (200, 1)]
    assert stages == ["starting the host", "message 1 of 2, 0 chunks", "message 2 of 2, 0 chunks"]


FAILURES = {
    "fails": "message 1 of 2 was answered 500: Traceback: the tokenizer .*; the model was asked 0 of 2 times",
    "stops": "message 1 of 2 was answered 200: .*done.*; the model was asked 1 of 2 times",
    "insists": "the model was asked 2 of 2 times, and 1 times beyond its script",
    "forgets": "it stored no chat",
    "hangs": "the host behind env does not answer",
}


@pytest.mark.parametrize("mode", FAILURES)
def test_a_host_that_does_not(host: Path, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_HOST", mode)
    with pytest.raises(HostError, match=FAILURES[mode]) as failure:
        run.run(host, TALK, tmp_path / "work", prefix=["/usr/bin/env"])
    assert "stub host: begins" in str(failure.value), "the end of its log is told"


@pytest.mark.parametrize("python", ["beside/python", "./beside/python", "python"])
def test_two_equal_failures_are_one(
    host: Path, python: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_HOST", "fails")
    beside = host.parent / "beside"
    beside.mkdir()
    (beside / "python").symlink_to(sys.executable)
    monkeypatch.chdir(host.parent)
    monkeypatch.setenv("PATH", "beside", prepend=":")
    line = ["benchmark", str(host), "--only", "conversation", "--python", python]
    assert cli.main(line) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    told = [text for text in shown.err.splitlines() if not text.startswith("...")]
    assert told[0].startswith(
        "autoperf: the bare host does not do as scripted: message 1 of 2 was answered 500"
    )
    assert told[1:] == ["autoperf: stub host: begins", "autoperf: stub host: no tokenizer"]


def test_the_port_is_waited_for_as_long_as_was_said(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_HOST", "sleeps")
    assert cli.main(["benchmark", str(host), "--only", "conversation", "--start-timeout", "0.5"]) == 1
    assert "the host's port was not open after 0.5 s" in capsys.readouterr().err


def said(model: ModelServer, *replies: str, asked: int) -> None:
    model.script(replies)
    for _ in range(asked):
        model.reply_to(CHAT_MODEL)
    model.reply_to(UTILITY_MODEL)  # no part of any script


def acts(*planned: Act, results: tuple[dict[str, object], ...] = (), left: int = 0) -> Acts:
    """After a turn for which ``planned`` was, with ``left`` of it still to come."""
    made = Acts(None, None)  # type: ignore[arg-type] - nothing is said or asked
    made.plan(planned[len(planned) - left :] if left else ())
    made.results += results
    return made


def test_a_tool_error_ends_a_turn_only_where_it_is_announced() -> None:
    model = ModelServer()
    raised = Answer(500, {"error": "raised in the tool"})
    turn = Turn("Fail.", ("one", "two"), error="raised in the tool")
    said(model, "one", "two", asked=1)
    assert unmet(turn, raised, acts(), model) == ""
    assert "500" in unmet(turn, Answer(500, "no tokenizer"), acts(), model)
    assert "500" in unmet(Turn("Fail.", ("one", "two")), raised, acts(), model)
    assert "1 of 2 times" in unmet(turn, FINE, acts(), model)
    said(model, "one", "two", asked=0)
    assert "0 of 2 times" in unmet(turn, raised, acts(), model), "nothing was asked, so no tool has failed"


def test_generations_may_end_a_turn_after_the_least_replies() -> None:
    model = ModelServer()
    turn = Turn("Broken.", ("one", "two", "three"), least=2)
    for asked, met in ((1, False), (2, True), (3, True), (4, False)):
        said(model, *turn.replies, asked=asked)
        assert (unmet(turn, FINE, acts(), model) == "") is met, asked


def test_what_is_said_meanwhile_is_answered_too() -> None:
    model = ModelServer()
    turn = Turn("Hello.", ("one",))
    said(model, "one", asked=1)
    say = Act("say", "Stop.")
    fine = {"act": "say", "status": 200, "body": "ok"}
    assert unmet(turn, FINE, acts(say, results=(fine,)), model) == ""
    assert "500: no" in unmet(turn, FINE, acts(say, results=({**fine, "status": 500, "body": "no"},)), model)
    assert "not answered" in unmet(turn, FINE, acts(say, results=({"act": "say"},)), model)
    assert "before it came to: say" in unmet(turn, FINE, acts(say, left=1), model)
    model.script(["second"], "marker")
    assert "1 of 2 times" in unmet(turn, FINE, acts(), model), "another chat's script counts"


def test_a_host_that_gives_no_token(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_HOST", "works")
    (host / "python" / "api").mkdir()
    (host / "python" / "api" / "csrf_token.py").write_text("")
    with pytest.raises(HostError, match="/csrf_token was answered 501: ") as failure:
        run.run(host, TALK, tmp_path / "work")
    assert "stub host: begins" in str(failure.value)


def test_servers_of_the_host_run_on_the_interpreter_that_was_named(host: Path, tmp_path: Path) -> None:
    spoken = Conversation("", (), settings={"mcp_servers": "{python} {root}/server.py"})
    run.prepare(host, tmp_path / "copy", "http://127.0.0.1:9/v1", spoken, python="/opt/venv/bin/python")
    settings = json.loads((tmp_path / "copy" / "tmp" / "settings.json").read_text())
    assert settings["mcp_servers"] == f"/opt/venv/bin/python {tmp_path}/copy/server.py"


def test_a_part_that_does_not_end_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"the seams were not timed within 0\.2 s"):
        separate.told(["sleep", "60"], tmp_path, os.environ, "seams", 0.2)


MCP_HANDLER = """
class MCPServerLocal:
    def __init__(self, config): ...
    async def call_tool(self, name, arguments):
        class Content: text = "no such tool"
        class Result: isError, content = FAILS, [Content()]
        return Result()
"""


@pytest.mark.parametrize("fails", [True, False])
def test_mcp_calls_that_fail_alike_are_not_timed(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "mcp_handler.py").write_text(MCP_HANDLER.replace("FAILS", str(fails)))
    words = [sys.executable, str(mcp_calls.SCRIPT), "server.py", "1", "0"]
    if fails:
        with pytest.raises(HostError, match="no such tool"):
            separate.told(words, tmp_path, os.environ, "calls", 60)
    else:
        assert separate.told(words, tmp_path, os.environ, "calls", 60)["answers"] == ["no such tool"]
