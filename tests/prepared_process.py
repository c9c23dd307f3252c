"""One process of a look-alike that ends as it is told, run in the host's folder: HOST CASE.

On stdout one line of JSON: what `autoperf.status` says at the end, where the case has one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATIENCE_S = 30.0
CALLS = "SELECT count(*) FROM spans WHERE name GLOB 'chat*'"
DISCOVERED_S = 2.5  # the monitor looks for new loops every two seconds


def main(name: str, case: str) -> None:
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115 - the host prints
    sys.path[:0] = [os.getcwd(), str(HERE), str(HERE / "hosts")]
    from generations import GENERATIONS

    import autoperf
    from autoperf.errors import fail_open

    if case != "lost seams":
        from introduction import introduce

        introduce(Path.cwd(), GENERATIONS[name].package)
    if case == "failed patches":
        break_a_patch()
    runtime = autoperf.instrument(os.getcwd())
    assert runtime is not None
    if case == "killed before the first write":
        os.kill(os.getpid(), signal.SIGKILL)
    talk(name, case)
    if case == "failures":
        for _ in range(2):
            fail_open("agent:Agent.get_tool", KeyError("text of the host"))
    if case == "forked children":
        fork(runtime)
    if runtime.telemetry is not None:
        runtime.telemetry.flush()
    print(json.dumps(autoperf.status()), file=stdout, flush=True)
    if case in ("still running", "stopped"):
        sys.stdin.readline()


def talk(name: str, case: str) -> None:
    from runtime_process import REPLIES, Conversation

    def hook(number: int) -> None:
        if number == 2 and case in ("killed in mid-turn", "crashed"):
            wait_for_the_second_call()
            os.kill(os.getpid(), signal.SIGKILL) if case.startswith("killed") else os.abort()
        if case == "stalls":
            time.sleep(DISCOVERED_S if number == 1 else 0.6)

    Conversation(name).say(REPLIES, hook)


def wait_for_the_second_call() -> None:
    """Until the call of a model that goes on is stored: the store is written about once a second."""
    path = Path(os.environ["AUTOPERF_HOME"]) / "autoperf.db"
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        time.sleep(0.2)
        if path.exists():
            with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
                if connection.execute(CALLS).fetchone()[0] >= 2:
                    return
    raise SystemExit("nothing was stored")


def break_a_patch() -> None:
    from autoperf.patching import patch

    original = patch.replacement

    def replacement(raw: Any, build: Any, switch: Any, seam: str = "") -> Any:
        if seam == "agent:Agent.get_tool":
            raise RuntimeError("broken for this test")
        return original(raw, build, switch, seam)

    patch.replacement = replacement


def fork(runtime: Any) -> None:
    """A child that looks one tool up and runs it, as far as our counters and spans are concerned."""
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    runtime.probe.tool_lookups.count(hit=True)
    with runtime.probe.span("execute_tool of_the_child", {"gen_ai.tool.name": "of_the_child"}):
        pass
    sys.exit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
