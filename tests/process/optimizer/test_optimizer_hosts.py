"""The tool `performance_optimizer`, called by the agents of all look-alikes on the way of any tool."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tool import ACTIONS, DESCRIPTION, NAME

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[2]
TEMPLATE = TESTS.parent / "sitecustomize_template"
HOSTS = ("v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2")
EXTENSIBLE = HOSTS[3:]
PACKAGE = {host: "python.helpers" if host in HOSTS[:3] else "helpers" for host in HOSTS}
TOOLS = {host: "python/tools" if host in HOSTS[:3] else "tools" for host in HOSTS}

# While the classes of the tools used before are still kept.
ORDER = ("benchmark", *(action for action in ACTIONS if action != "benchmark"))
CHANGING = ("optimize", "undo", "start_monitoring", "stop_monitoring", "clear_cache", "preload")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "start_monitoring": {"interval": "2"},
    "clear_cache": {"which": "tools"},
    "preload": {"tools": "echo, none_such"},
    "history": {"hours": 1},
}


def call(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool_name": tool, "tool_args": arguments or {"text": "-"}})


def done(text: str = "done") -> str:
    return call("response", text=text)


def use(action: str, **arguments: Any) -> str:
    return call(NAME, action=action, **{**ARGUMENTS.get(action, {}), **arguments})


def drive(host: str, spec: dict[str, Any], folder: Path, mode: str | None = "callable", **env: str) -> Any:
    """What one host told; bare for ``mode`` None."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    if mode is not None:
        env = {
            "PYTHONPATH": os.pathsep.join([str(TEMPLATE), str(TESTS.parent)]),
            "AUTOPERF_HOME": str(folder / "state"),
            "AUTOPERF_TOOL": mode,
            **env,
        }
    (folder / "spec.json").write_text(json.dumps(spec))
    subprocess.run(
        [
            sys.executable, TESTS / "optimizer_process.py", TESTS / "hosts" / host, folder / "spec.json",
            folder / "out.json",
        ],
        env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads((folder / "out.json").read_text())


def results(told: Any, tool: str = NAME) -> list[str]:
    """What a tool has answered, as it stands in the history."""
    (history,) = told["transcript"]["chats"]["main"]["history"].values()
    found = [m["content"] for m in history if isinstance(m["content"], dict)]
    return [c["tool_result"] for c in found if c.get("tool_name") == tool and "tool_result" in c]


def conversation() -> dict[str, Any]:
    replies = [call("echo", text=text) for text in "abc"]
    replies += [use(action) for action in ORDER]
    replies += [use("profile", seconds="5"), use("rm -rf /"), call(f"{NAME}:status", note="-"), done()]
    return {"replies": replies}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One conversation of a host in one mode, played once."""

    @cache
    def play(host: str, mode: str | None) -> Any:
        return drive(host, conversation(), tmp_path_factory.mktemp("home"), mode)

    return play


@pytest.mark.parametrize("host", HOSTS)
def test_every_action_is_answered(told: Any, host: str) -> None:
    one = told(host, "callable")
    answers = dict(zip((*ORDER, "profiled", "unknown", "method"), results(one), strict=True))
    assert re.match(r"\*\*autoperf \S+\*\*; process \d+ runs since .+; Agent Zero ~?v0", answers["status"])
    assert "| echo | 3 | 0 |" in answers["status"]
    assert answers["undo"].startswith("Nothing to take back")
    assert (
        answers["start_monitoring"]
        == "Monitor: a sample every 2 s (before: a sample every 5 s), for 60 min at most."
    )
    assert answers["stop_monitoring"] == "Monitor: off (before: a sample every 2 s), for 10 min at most."
    assert "| tools | " in answers["clear_cache"]
    assert "| none_such | - | no file of that name | - |" in answers["preload"]
    assert f"| echo | {TOOLS[host]}/echo.py | " in answers["preload"]
    assert re.search(r"\| class of echo.py \| [\d.]+ us \| [\d.]+ us \| [\d.]+x \| ", answers["benchmark"])
    assert answers["profile"].startswith("Sampling all threads")
    assert re.match(r"\d+ looks in |No sample", answers["profiled"])
    assert "| echo | 3 | 0.0 % |" in answers["history"]
    assert re.search(
        r"Written: \S+/state/report.html\n1 messages, 0 other traces, 1 of all go on", answers["report"]
    )
    assert answers["unknown"].startswith("There is no action `rm__rf_/`. Give one of these")
    assert all(f"- `{action}`" in answers["unknown"] for action in ACTIONS)
    assert answers["method"].startswith("**autoperf ")
    assert all(len(text.splitlines()) <= 40 for text in answers.values())


@pytest.mark.parametrize("host", HOSTS)
def test_it_is_executed_counted_and_logged_as_any_tool_is(told: Any, host: str) -> None:
    one = told(host, "callable")
    assert one["status"]["failures"] == []
    (row,) = (row for row in one["status"]["tools"] if row["name"] == NAME)
    assert (row["count"], row["errors"]) == (len(ACTIONS) + 3, 0)
    bare = told(host, None)
    assert one["transcript"]["chats"]["main"]["answers"] == [{"answer": "done"}]
    assert told_without_results(one) == told_without_results(bare)


def told_without_results(told: Any) -> Any:
    """The transcript with what the tool, or the host in its place, has answered left out everywhere."""
    text = json.dumps(told["transcript"])
    # The longest first, one may be a part of another; prompts hold results as JSON in JSON.
    for answer in sorted(set(results(told)), key=len, reverse=True):
        for lines in (answer, answer.strip()):
            once = json.dumps(lines)[1:-1]
            for shown in (json.dumps(json.dumps(once)[1:-1])[1:-1], json.dumps(once)[1:-1], once):
                text = text.replace(shown, "<answer>")
    return json.loads(text)


@pytest.mark.parametrize("host", HOSTS)
def test_what_the_benchmark_calls_is_in_no_statistics(told: Any, host: str) -> None:
    # It makes ten thousands of calls in its second and a half, the conversation itself some hundreds.
    lookups = told(host, "callable")["status"]["lookups"]
    assert all(row["lookups"] < 2000 for row in lookups.values()), lookups


@pytest.mark.parametrize("host", HOSTS)
def test_off_leaves_the_unknown_tool_to_the_host(told: Any, host: str) -> None:
    off, bare = told(host, "off"), told(host, None)
    assert off["transcript"] == bare["transcript"]
    assert "not found" in results(bare)[0]
    assert {row["state"] for row in off["status"]["patches"] if row["feature"] == "tool"} <= {"off"}


@pytest.mark.parametrize("host", HOSTS)
def test_read_only_refuses_what_changes_anything(told: Any, host: str) -> None:
    answers = dict(
        zip((*ORDER, "profiled", "unknown", "method"), results(told(host, "read-only")), strict=True)
    )
    for action in CHANGING:
        assert answers[action].startswith(f"`{action}` is refused: AUTOPERF_TOOL=read-only")
        assert "\n" not in answers[action]
        assert f"`{action}`" not in answers["unknown"]
    for action in set(ACTIONS) - set(CHANGING):
        assert "refused" not in answers[action]
    assert told(host, "read-only")["status"]["monitor"]["running"] is True


def theirs(host: str, says: str) -> str:
    return (
        f"from {PACKAGE[host]}.tool import Response, Tool\n\n\nclass Own(Tool):\n"
        "    async def execute(self, **kwargs):\n"
        f"        return Response(message='{says} ' + str(self.method), break_loop=False)\n"
    )


@pytest.mark.parametrize("host", HOSTS)
def test_a_tool_of_that_name_in_the_host_wins_while_it_is_there(host: str, tmp_path: Path) -> None:
    path = f"{TOOLS[host]}/{NAME}.py"
    spec = {
        "replies": [
            use("status"),
            use("status", n=2),
            call(f"{NAME}:status", n=3),
            use("status", n=4),
            done(),
        ],
        "events": {"reply:2": [["write", path, theirs(host, "theirs")]], "reply:4": [["delete", path]]},
    }
    answers = results(drive(host, spec, tmp_path))
    assert answers[0].startswith("**autoperf")
    assert answers[1].startswith("theirs")
    # v2 takes the method for an action and hands the tool none.
    assert answers[2] == f"theirs {'None' if host == 'v2' else 'status'}"
    assert answers[3].startswith("**autoperf")


@pytest.mark.parametrize("host", HOSTS[1:])
def test_a_tool_of_that_name_in_a_profile_wins(host: str, tmp_path: Path) -> None:
    spec = {
        "replies": [use("status"), done()],
        "files": {f"agents/optimizer/tools/{NAME}.py": theirs(host, "mine")},
    }
    bare = drive(host, spec, tmp_path / "bare", None)
    assert results(bare)[0].startswith("mine")
    assert drive(host, spec, tmp_path / "ours")["transcript"] == bare["transcript"]


@pytest.mark.parametrize("host", HOSTS[1:])
def test_a_broken_tool_of_that_name_is_still_the_hosts(host: str, tmp_path: Path) -> None:
    spec = {
        "replies": [use("status"), done()],
        "files": {f"{TOOLS[host]}/{NAME}.py": "raise ImportError('no')"},
    }
    bare = drive(host, spec, tmp_path / "bare", None)
    assert "not found" in results(bare)[0]
    assert drive(host, spec, tmp_path / "ours")["transcript"] == bare["transcript"]


def listing(host: str) -> dict[str, str]:
    """An extension that puts the list of tools into the system prompt, as real hosts do."""
    extensible = host in EXTENSIBLE
    folder = "extensions/python" if extensible else "python/extensions"
    prompts = "prompts/default" if host == "v0_8" else "prompts"
    tools = ', tools="### echo"' if extensible else ""
    return {
        f"{prompts}/agent.system.tools.md": "Tools:\n{{tools}}\nEnd." if extensible else "Tools:\n### echo",
        f"{folder}/system_prompt/_11_tools.py": (
            f"from {PACKAGE[host]}.extension import Extension\n\n\nclass Tools(Extension):\n"
            "    async def execute(self, system_prompt=None, **kwargs):\n"
            f'        system_prompt.append(self.agent.read_prompt("agent.system.tools.md"{tools}))\n'
        ),
    }


def prompted(told: Any) -> str:
    """All that the models were told, and everything else of the transcript."""
    return json.dumps(told["transcript"])


@pytest.mark.parametrize("host", HOSTS)
def test_prompts_are_byte_identical_unless_it_is_advertised(host: str, tmp_path: Path) -> None:
    spec = {"replies": [call("echo", text="a"), done()], "files": listing(host)}
    bare = drive(host, spec, tmp_path / "bare", None)
    assert "### echo" in prompted(bare)
    for mode in ("callable", "read-only", "off"):
        assert drive(host, spec, tmp_path / mode, mode)["transcript"] == bare["transcript"]
    told = prompted(drive(host, spec, tmp_path / "advertise", "advertise"))
    once = json.dumps(DESCRIPTION)[1:-1]
    assert once in told
    end = "\\nEnd." if host in EXTENSIBLE else ""
    assert told.replace(f"\\n\\n{once}", "") == prompted(bare)
    assert f"### echo\\n\\n{once}{end}" in told


@pytest.mark.parametrize("host", HOSTS)
def test_it_is_not_advertised_where_the_host_has_one(host: str, tmp_path: Path) -> None:
    spec = {
        "replies": [call("echo", text="a"), done()],
        "files": {**listing(host), f"{TOOLS[host]}/{NAME}.py": theirs(host, "theirs")},
    }
    bare = drive(host, spec, tmp_path / "bare", None)
    assert drive(host, spec, tmp_path / "ours", "advertise")["transcript"] == bare["transcript"]


FUNCTIONS = """\
def build_responses_function_tools(agent):
    return [{"type": "function", "name": "echo"}], {"echo": "echo"}
"""
ASKS = """\
import json

from helpers.responses_tools import build_responses_function_tools
from helpers.tool import Response, Tool


class Asks(Tool):
    async def execute(self, **kwargs):
        return Response(message=json.dumps(build_responses_function_tools(self.agent)), break_loop=False)
"""


def test_it_is_a_native_function_where_it_is_advertised(tmp_path: Path) -> None:
    files = {"helpers/responses_tools.py": FUNCTIONS, "tools/asks.py": ASKS}
    spec = {"replies": [call("asks"), done()], "files": files}
    bare = drive("v2", spec, tmp_path / "bare", None)
    assert drive("v2", spec, tmp_path / "callable")["transcript"] == bare["transcript"]
    tools, names = json.loads(results(drive("v2", spec, tmp_path / "ours", "advertise"), "asks")[0])
    assert names == {"echo": "echo", NAME: NAME}
    assert [tool["name"] for tool in tools] == ["echo", NAME]
    assert tools[1]["parameters"]["properties"]["action"]["enum"] == list(ACTIONS)


def test_it_answers_native_and_parallel_calls(tmp_path: Path) -> None:
    native = json.dumps({"function_calls": [{"name": NAME, "arguments": {"action": "status"}}]})
    request = {"tool_name": NAME, "tool_args": {"action": "nothing"}}
    spec = {"replies": [native, call("parallel", tool_calls=[request, request]), done()]}
    one = drive("v2", spec, tmp_path)
    assert results(one)[0].startswith("**autoperf")
    (together,) = results(one, "parallel")
    assert together.count("There is no action `nothing`") == 2
    (row,) = (row for row in one["status"]["tools"] if row["name"] == NAME)
    assert row["count"] == 3, "the look-up for a log item is no execution"


@pytest.mark.parametrize("features", ["mcp", "trace", "tools", "none"])
@pytest.mark.parametrize("host", ["v0_9_3", "v2"])
def test_it_is_there_with_any_feature_on_and_with_none_nothing_is_patched(
    host: str, features: str, tmp_path: Path
) -> None:
    spec = {"replies": [call("echo", text="a"), use("status"), done()]}
    one = drive(host, spec, tmp_path, AUTOPERF_FEATURES=features)
    if features == "none":
        assert "not found" in results(one)[0]
        assert {row["state"] for row in one["status"]["patches"]} == {"off"}
    else:
        assert results(one)[0].startswith("**autoperf")
        assert one["status"]["failures"] == []
        targets = [row["target"] for row in one["status"]["patches"] if row["state"] == "applied"]
        assert len(targets) == len(set(targets)), "every host function is wrapped once"


def test_the_description_is_short() -> None:
    # Whole words, their parts and single marks, as the encodings cut them before they look for tokens; what
    # of these is no token of its own is made of more than 3 characters each.
    pieces = re.findall(r" ?[A-Za-z]+| ?[^\sA-Za-z]+|\s+", DESCRIPTION)
    assert sum(max(1, round(len(piece) / 6)) for piece in pieces) <= 150
