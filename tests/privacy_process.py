"""Run by test_privacy.py in a fresh process: python privacy_process.py HOST_DIR; private text everywhere."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECRET = "MARKER-hidden-secret"

FAILS = "journal.note('ran')\nraise ValueError('MARKER-exception ' + str(kwargs))"
RECALLS = (
    "memory = await Memory.get(self.agent)\n"
    "found = await memory.search_similarity_threshold('old MARKER-query', 2, 0.1)\n"
    "return say(f'MARKER-result {found}')"
)
SHOWS = "await self.agent.history.compress()\nreturn say('MARKER-result ' + 'long ' * 5_000)"


def call(tool: str, **args: Any) -> str:
    return json.dumps({"tool_name": tool, "tool_args": args})


def replies(parallel: bool) -> list[str]:
    """What the model says: something private in every argument, tools that answer, fail and are not there."""
    asked = [
        call("echo", text="MARKER-argument"),
        call("echo", text="§§secret(AUTOPERF_TOKEN)"),
        call("echo", text=SECRET),
        call("recalls", text="MARKER-argument"),
        call("shows", text="MARKER-argument"),
        call("srv.one", text="MARKER-argument"),
        call("srv.fails", text="MARKER-argument"),
        call("no_such_tool", text="MARKER-argument"),
        "MARKER-answer that is no request",
        call("call_subordinate", message="MARKER-message"),
        call("echo", text="MARKER-argument"),
        call("response", text="MARKER-answer"),
    ]
    if parallel:
        jobs = [{"tool_name": name, "tool_args": {"text": "MARKER-argument"}} for name in ("echo", "fails")]
        asked += [
            json.dumps({"function_calls": [{"name": "echo", "arguments": {"text": "MARKER-argument"}}]}),
            call("parallel", tool_calls=jobs),
        ]
    return [*asked, call("fails", text="MARKER-argument"), call("response", text="MARKER-answer")]


def answer(args: dict[str, Any]) -> str:
    return f"MARKER-result {args}"


def refuse(args: dict[str, Any]) -> str:
    raise ConnectionError(f"MARKER-exception {args}")


def main(host: str) -> None:
    from runtime_process import Conversation

    import autoperf

    runtime = autoperf.instrument(os.getcwd())
    talk = Conversation(host)
    from generations import GENERATIONS

    generation = GENERATIONS[host]
    head = f"from {generation.memory_module} import Memory"
    for name, body in (("fails", FAILS), ("recalls", RECALLS), ("shows", SHOWS)):
        Path(generation.tool_path(name)).write_text(generation.tool(body, head), encoding="utf-8")
    Path("tmp").mkdir(exist_ok=True)
    Path("tmp/secrets.env").write_text(f"AUTOPERF_TOKEN={SECRET}\n", encoding="utf-8")
    handler = importlib.import_module(f"{generation.package}.mcp_handler")
    handler.MCPConfig.get_instance().servers[:] = [handler.MCPServer("srv", {"one": answer, "fails": refuse})]
    told = []
    try:
        told.append(talk.say(replies(generation.three_paths), text="MARKER-message " + SECRET))
    except Exception as error:
        told.append(type(error).__name__)
    tools = [row["name"] for row in autoperf.status()["tools"]]
    runtime.telemetry.flush()
    autoperf.uninstrument()
    print(json.dumps({"told": told, "tools": sorted(tools)}), file=sys.__stdout__)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    root = Path(tempfile.mkdtemp(prefix="host-")).resolve()
    shutil.copytree(source, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    os.chdir(root)
    sys.path[0] = str(root)
    sys.path.append(str(HERE))
    try:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the host prints
        main(source.name)
    finally:
        os.chdir(HERE)
        shutil.rmtree(root, ignore_errors=True)
