"""The mini agent of the examples: what it does, and that it does the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

AGENT = Path(__file__).parents[2] / "examples" / "mini_agent"

# Hands the chat a message while another one is pending: the pending one must be seen at the first step.
INTERVENE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import initialize
from agent import AgentContext, UserMessage

initialize.initialize_mcp()
context = AgentContext(initialize.initialize_agent(tools=1, chunk=12))
context.agent0.intervention = UserMessage("Task 7: this first.")
answer = context.communicate(UserMessage("Task 1: begin.")).result_sync(20)
print(json.dumps([answer, context.agent0.history.serialize()]))
"""


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)


def converse(folder: Path, *options: str) -> tuple[bytes, bytes]:
    """Run a conversation from some other folder; return stdout and the transcript, as bytes."""
    target = folder / "transcript.json"
    done = run([str(AGENT / "run_ui.py"), "--transcript", str(target), *options], folder)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout, target.read_bytes()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    return [converse(tmp_path_factory.mktemp("run")) for _ in range(2)]


@pytest.fixture(scope="module")
def transcript(two_runs: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return dict(json.loads(two_runs[0][1]))


def test_two_runs_are_equal_to_the_byte(two_runs: list[tuple[bytes, bytes]]) -> None:
    assert two_runs[0] == two_runs[1]
    assert str(AGENT).encode() not in two_runs[0][1]


def test_each_message_makes_twenty_calls_and_one_response(transcript: dict[str, Any]) -> None:
    calls = Counter(item["kvps"]["_tool_name"] for item in transcript["tool_calls"])
    # The final responses, the subordinate's sums, and what runs inside `parallel`.
    beside = {"response": 2, "calculator": 4 + 4, "pause": 4, "text_statistics": 4}
    assert sum(calls.values()) - sum(beside.values()) == 40
    assert set(calls) == {"notes", "units.convert", "weather", "call_subordinate", "parallel", *beside}


def test_tools_really_work(transcript: dict[str, Any]) -> None:
    answers = [item["content"] for item in transcript["tool_calls"]]
    assert "10 * 17 + 4 = 174" in answers
    assert "Note 1: 10 times 17, plus 4, makes 174" in answers  # an extension put the last result in
    assert "16 km = 16000 m" in answers
    assert "Checked: 17 + 1 = 18." in answers
    assert any(answer.startswith("There is no tool 'weather'.") for answer in answers)
    words = (AGENT / "data" / "lighthouse.txt").read_text(encoding="utf-8").lower().split()
    assert f"8 lines, {len(words) + 1} words, 'light' 3 times" in answers  # "thirty-one" counts as two


def test_handled_errors_reach_the_model_with_their_frames(transcript: dict[str, Any]) -> None:
    history = transcript["agents"][0]["history"]
    told = [message["content"] for message in history if "system_warning" in message["content"]]
    warnings = [content["system_warning"] for content in told]
    assert len(warnings) == 4
    for warning in warnings:
        assert warning.startswith("RepairableException: Cannot calculate")
        assert "agent.py" in warning
        assert "tools/calculator.py" in warning


def test_prompts_and_histories_are_complete(transcript: dict[str, Any]) -> None:
    names = [agent["name"] for agent in transcript["agents"]]
    replies = [message for agent in transcript["agents"] for message in agent["history"] if message["ai"]]
    assert names == ["A0", "A1"]
    assert len(transcript["prompts"]) == len(replies) == 2 * 21 + 4 * 2
    first = [prompt for prompt in transcript["prompts"] if not prompt["begins_as_before"]]
    systems = [prompt["goes_on"][0]["content"] for prompt in first]
    assert len(systems) == 2
    assert "You are an assistant" in systems[0]
    assert "You are a researcher" in systems[1]


def test_stdout_shows_the_chat(two_runs: list[tuple[bytes, bytes]]) -> None:
    lines = two_runs[0][0].decode().splitlines()
    assert sum(line.startswith("user ") for line in lines) == 2
    assert sum(line.startswith("A0     20 calls, 18 results, 2 errors.") for line in lines) == 2
    assert max(map(len, lines)) <= 110


def test_options_change_length_and_grain(tmp_path: Path, transcript: dict[str, Any]) -> None:
    stdout, written = converse(tmp_path, "--messages", "1", "--tools", "4", "--chunk", "1000")
    short = json.loads(written)
    assert len(short["tool_calls"]) == 5
    assert b"(5 steps, 1 chunks)" in stdout  # a complete request ends its stream before it counts as a chunk
    long_history = transcript["agents"][0]["history"]
    assert short["agents"][0]["history"][0] == long_history[0]


@pytest.mark.parametrize("option", ["--messages", "--tools", "--chunk"])
def test_bad_numbers_are_refused_in_one_line(tmp_path: Path, option: str) -> None:
    done = run([str(AGENT / "run_ui.py"), option, "0"], tmp_path)
    assert done.returncode == 2
    assert b"'0' is not a whole number of at least 1" in done.stderr
    assert b"Traceback" not in done.stderr


def test_unwritable_transcript_is_one_line(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "transcript.json"
    options = ["--messages", "1", "--tools", "1", "--transcript", str(target)]
    done = run([str(AGENT / "run_ui.py"), *options], tmp_path)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        f"Cannot write the transcript to '{target}': No such file or directory"
    ]


def test_an_intervention_is_answered_instead(tmp_path: Path) -> None:
    done = run(["-c", INTERVENE, str(AGENT)], tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    answer, history = json.loads(done.stdout.splitlines()[-1])
    said = [message["content"]["user_message"] for message in history if "user_message" in message["content"]]
    assert said == ["Task 1: begin.", "Task 7: this first."]
    assert answer.splitlines()[1] == "1. 70 * 17 + 4 = 1194"
