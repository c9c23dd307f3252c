"""The real Agent Zero calls every action of `performance_optimizer`; the transcript is as of any tool.

The same conversation is held once more with the bare host and a tool file of that name which says the same:
then everything has to be equal, prompts, history and log. Needs ``AUTOPERF_AGENT_ZERO``, see test_real_hosts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.process import HostProcess
from autoperf.benchmark.host.run import Run, interpreter, run
from autoperf.benchmark.measure.transcript import transcript
from autoperf.benchmark.model.server import is_chat
from autoperf.benchmark.parts import instrumented
from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, call, echo
from autoperf.instrumentation.agentzero.tool import ACTIONS, DESCRIPTION, NAME, function_tool

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []
NATIVE = [path for path in CHECKOUTS if (path / "helpers/responses_tools.py").is_file()]

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)

# Says what it is given to say, in order, and keeps count where the host does not store it.
SAYS = """\
import json
from pathlib import Path

from {package}.tool import Response, Tool


class Says(Tool):
    async def execute(self, **kwargs):
        said = getattr(self.agent.context, "said", 0)
        self.agent.context.said = said + 1
        answers = json.loads(Path(__file__).with_suffix(".json").read_text())
        return Response(message=answers[said], break_loop=False)
"""


def use(action: str, **arguments: Any) -> str:
    return call(NAME, action=action, **arguments)


def conversation() -> Conversation:
    arguments: dict[str, dict[str, Any]] = {
        "start_monitoring": {"interval": "2"},
        "clear_cache": {"which": "tools, prompts"},
        "preload": {"tools": ["autoperf_echo", "wait", "no_such"]},
        "history": {"hours": "1"},
    }
    several = [
        use(action, **arguments.get(action, {})) for action in ACTIONS if action not in ("profile", "report")
    ]
    work = [echo(f"step {number}") for number in range(6)]
    return Conversation(
        "optimizer",
        (
            Turn("Work.", (*work, use("benchmark", note="first"), answer("Worked."))),
            Turn("How are you?", (*several, answer("Asked."))),
            Turn("Profile the next message.", (use("profile"), answer("It runs."))),
            Turn("Work again.", (*work, answer("Said at length. " * 200))),
            Turn(
                "What was hot?",
                (
                    use("profile", seconds=20),
                    use("report"),
                    call(f"{NAME}:status", text="as a method"),
                    use("destroy"),
                    use("clear_cache", which="no such"),
                    answer("Done."),
                ),
            ),
        ),
        {tool_files.ECHO_FILE: tool_files.ECHO},
    )


def instrumented_run(checkout: Path, tmp_path: Path, mode: str, **options: Any) -> Run:
    words = instrumented.prefix(checkout, tmp_path)

    def observe(process: HostProcess) -> Any:
        time.sleep(instrumented.SETTLED_SECONDS)
        return instrumented.status(words[0], tmp_path / "state", process.pid)

    environment = {"AUTOPERF_TOOL": mode}
    return run(
        checkout, conversation(), tmp_path, prefix=words, observe=observe, extra_env=environment, **options
    )


def answers(found: Run) -> list[str]:
    """What the tool has answered, as the history says it, in order."""
    said: list[str] = []

    def search(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("tool_name") == NAME and "tool_result" in value:
                said.append(value["tool_result"])
            for part in value.values():
                search(part)
        elif isinstance(value, list):
            for part in value:
                search(part)
        elif isinstance(value, str) and '"tool_result"' in value:
            try:
                search(json.loads(value))
            except ValueError:
                return

    search(found.chat)
    return said


def bare_run(checkout: Path, tmp_path: Path, said: list[str], **options: Any) -> Run:
    tools = "tools" if (checkout / "helpers").is_dir() else "python/tools"
    spoken = conversation()
    files = {**spoken.tool_files, f"{NAME}.py": SAYS, f"{tools}/{NAME}.json": json.dumps(said)}
    return run(checkout, replace(spoken, tool_files=files), tmp_path, **options)


def judge(said: list[str]) -> None:
    """What each answer has to hold, whatever the host."""
    first, rest = said[0], said[1:]
    assert re.search(r"\| (class of|paths of|extension point) .* us \| [\d.]+ us \| [\d.]+x \|", first)
    order = [action for action in ACTIONS if action not in ("profile", "report")]
    by_action = dict(zip(order, rest, strict=False))
    assert re.match(r"\*\*autoperf .*patches\n", by_action["status"])
    assert re.search(r"\| autoperf_echo \| 6 \| 0 \|", by_action["status"])
    assert "Monitor: a sample every 2 s" in by_action["start_monitoring"]
    assert "Monitor: off" in by_action["stop_monitoring"]
    assert "entries dropped" in by_action["clear_cache"]
    assert re.search(r"\| autoperf_echo \| \S+autoperf_echo.py \| ", by_action["preload"])
    assert "| no_such | - | no file of that name | - |" in by_action["preload"]
    assert re.search(r"\| autoperf_echo \| 6 \| 0.0 % \|", by_action["history"])
    started, hot, report, status, unknown, bad = rest[len(order) :]
    assert started.startswith("Sampling all threads")
    assert re.match(r"\d+ looks in", hot)
    assert re.search(r"\| host \| [\d.]+% \| [\d.]+% \|", hot), "functions of the host are among the hot ones"
    assert re.match(r"Written: /\S+report.html\n4 messages, ", report)
    assert status.startswith("**autoperf")
    assert unknown.startswith("There is no action `destroy`")
    assert bad.startswith("`clear_cache`: nothing is kept under no such; there are")
    assert all(len(text.splitlines()) <= 40 for text in said)


def written(said: list[str], path: Path) -> None:
    path.write_text("\n\n=====\n\n".join(said), encoding="utf-8")


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_every_action_and_otherwise_the_same_transcript(checkout: Path, tmp_path: Path) -> None:
    ours = instrumented_run(checkout, tmp_path, "callable")
    said = answers(ours)
    written(said, tmp_path / "answers.md")
    judge(said)
    last = ours.observed[-1]
    assert last["failures"] == []
    (row,) = (row for row in last["tools"] if row["name"] == NAME)
    assert (row["count"], row["errors"]) == (len(said), 0)
    bare = bare_run(checkout, tmp_path, said)
    assert transcript(bare).differences(transcript(ours)) == []


@pytest.mark.parametrize("checkout", NATIVE, ids=lambda path: path.name)
def test_native_calls_where_it_is_advertised(checkout: Path, tmp_path: Path) -> None:
    ours = instrumented_run(checkout, tmp_path, "advertise", provider="openai")
    said = answers(ours)
    written(said, tmp_path / "answers.md")
    judge(said)
    assert ours.observed[-1]["failures"] == []
    prompts = [request.body for request in ours.requests if is_chat(request.model)]
    assert all(prompt["tools"].count(function_tool()) == 1 for prompt in prompts)
    # The model called the function it was offered, all but the name with a method in it, which is none: the
    # host writes such calls down without the thoughts of a request in text.
    told = [item for item in prompts[-1]["input"] if item.get("role") == "assistant"]
    assert sum(item["content"].startswith(f'{{"tool_name": "{NAME}"') for item in told) == len(said) - 1


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_the_prompt_is_another_only_where_it_is_advertised(checkout: Path, tmp_path: Path) -> None:
    spoken = Conversation(
        "short", (Turn("Hello.", (echo("a"), answer("Hello."))),), conversation().tool_files
    )
    words = instrumented.prefix(checkout, tmp_path)
    plain = run(checkout, spoken, tmp_path, prefix=words, extra_env={"AUTOPERF_TOOL": "callable"})
    loud = run(checkout, spoken, tmp_path, prefix=words, extra_env={"AUTOPERF_TOOL": "advertise"})
    once = json.dumps(f"\n\n{DESCRIPTION}")[1:-1]
    for quiet, told in zip(chat_prompts(plain), chat_prompts(loud), strict=True):
        assert told.count(once) == 1
        assert NAME not in quiet
    normal = transcript(plain).sections["prompts"]
    loud.requests[:] = [
        replace(request, body=json.loads(json.dumps(request.body).replace(once, "")))
        for request in loud.requests
    ]
    assert transcript(loud).sections["prompts"] == normal


def chat_prompts(found: Run) -> list[str]:
    return [json.dumps(request.body) for request in found.requests if is_chat(request.model)]


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_what_is_advertised_has_at_most_150_tokens(checkout: Path) -> None:
    counts = (
        "import os, sys, json, litellm, tiktoken\n"
        "encoding = tiktoken.get_encoding('cl100k_base')\n"
        "print([len(encoding.encode(text)) for text in json.load(sys.stdin)])"
    )
    texts = json.dumps([DESCRIPTION, json.dumps(function_tool())])
    done = subprocess.run(
        [interpreter(checkout), "-W", "ignore", "-c", counts],
        input=texts,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        pytest.skip(f"{checkout.name} has no litellm with an encoding in it")
    assert max(json.loads(done.stdout)) <= 150
