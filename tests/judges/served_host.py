"""One look-alike behind a port, asked one message: python served_host.py HOST_DIR ROOT; prints the answer.

The host is copied to ROOT, so that two runs lie in the same folder, and served by uvicorn as Agent Zero is.
`imported`, `port_open` and `after_message` do nothing: with ``Echo.execute``, which the message calls, they
are the moments for `state.py --when`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

HOSTS = Path(__file__).resolve().parents[1] / "hosts"
MOMENTS = (
    "imported",
    "port_open",
    "Tool.before_execution",
    "Echo.execute",
    "Tool.after_execution",
    "after_message",
)
# What is written once a second, and with it the store's descriptors, is there by then.
STORED_S = 1.5
REPLIES = [
    {"tool_name": "echo", "tool_args": {"text": "hello"}},
    {"tool_name": "response", "tool_args": {"text": "hello was said"}},
]


def imported() -> None:
    """The host's modules are imported."""


def port_open() -> None:
    """The server accepts connections."""


def after_message() -> None:
    """The message is answered."""


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Hands the body of a request to a chat, and answers with what the agent says."""
    from agent import AgentContext, UserMessage
    from initialize import initialize_agent

    text = (await receive())["body"].decode()
    context = AgentContext(config=initialize_agent(), name="main")
    answer = await context.communicate(UserMessage(message=text)).result(30)
    body = json.dumps({"answer": answer, "history": context.agent0.history.output()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served() -> Iterator[int]:
    """The port of a server that runs until the end of the block."""
    import uvicorn

    config = uvicorn.Config(application, port=0, lifespan="off", log_config=None, loop="asyncio")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, name="http", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def main(host: Path, root: Path) -> int:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(host, root, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    os.chdir(root)
    sys.path[0] = str(root)
    sys.path.append(str(HOSTS))
    from generations import GENERATIONS
    from introduction import introduce

    if "AUTOPERF_LAUNCH_PID" in os.environ:
        introduce(root, GENERATIONS[host.name].package)
    import agent  # noqa: F401 - this is when autoperf arrives
    import models

    imported()
    models.SCRIPTS["main"] = models.Script([json.dumps(reply) for reply in REPLIES])
    with served() as port:
        port_open()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", b"Say hello, then finish.")
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = response.read().decode()
    time.sleep(STORED_S)
    after_message()
    print(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
