"""Holds chats and deletes them: python deleted_chats.py HOST_DIR OUT.json; tells what of them is still alive.

Every message leaves timers and a task behind, as clients and plugins do: each keeps the context it was made in.
"""

import asyncio
import gc
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

LATER = 600.0  # seconds
CHATS = 4
LEAVE = "asyncio.get_running_loop().call_later(600.0, print)"
POINTS = ("monologue_start", "message_loop_start", "response_stream", "message_loop_end", "monologue_end")


def leave_behind() -> None:
    asyncio.get_running_loop().call_later(LATER, print)


def hold(host: Any, chat: Any) -> None:
    """One chat of one message, deleted in the end."""
    from player import TIMEOUT

    class LeavingScript(host.models.Script):
        async def before_reply(self, number: int) -> None:
            leave_behind()

        async def before_chunk(self, number: int, index: int) -> None:
            leave_behind()

    host.models.SCRIPTS[chat.name] = LeavingScript(chat.replies, chat.chunk)
    config = host.initialize.initialize_agent(chat.name)
    context = host.agent.AgentContext(config=config, id=chat.name, name=chat.name)
    try:
        message = host.agent.UserMessage(message="go")

        async def communicate() -> Any:
            return context.communicate(message)

        task = host.defer.EventLoopThread("AgentContext").run_coroutine(communicate()).result(TIMEOUT)
        task.result_sync(TIMEOUT)
    finally:
        host.agent.AgentContext.remove(chat.name)
        del host.models.SCRIPTS[chat.name]


def alive() -> dict[str, int]:
    """How many agents, contexts and streams there are, by the names of their types."""
    for _ in range(3):
        gc.collect()
    kinds: Counter[str] = Counter()
    for found in gc.get_objects():
        name = type(found).__name__
        if name in ("Agent", "AgentContext", "LeavingScript", "Probe_", "Stream", "Reading", "Work"):
            kinds[name] += 1
        elif name == "async_generator" and found.__name__ == "_chunks":
            kinds["stream of the model"] += 1
        elif name == "Task" and found.done():
            kinds["tasks that are done"] += 1
    return dict(kinds)


def main(host_dir: Path, out: Path) -> None:
    from generations import GENERATIONS
    from player import Host, write
    from scenario import Chat, call, done

    root = Path(tempfile.mkdtemp(prefix="host-")).resolve()
    shutil.copytree(host_dir, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    os.chdir(root)
    sys.path[0] = str(root)
    gen = GENERATIONS[host_dir.name]
    write(gen.tool_path("leaves"), gen.tool(f"{LEAVE}\nreturn say('left')"))
    body = f"{LEAVE}\nself.kept = asyncio.create_task(asyncio.sleep({LATER}))"
    for point in POINTS:
        write(f"{gen.extensions}/{point}/leaves.py", gen.extension(body, head="import asyncio"))
    host = Host(gen)
    for number in range(CHATS):
        hold(host, Chat([call("leaves"), call("leaves"), done()], name=f"chat{number}"))
    host.journal.EVENTS.clear()
    asyncio.run(asyncio.sleep(0))
    out.write_text(json.dumps(alive()))
    os.chdir("/")
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
