"""Times calls to one MCP server from inside a host, and prints them as JSON.

Run by path, with the host's interpreter, in the host's folder: ``mcp_times.py SERVER.py CALLS PAUSE``;
standard library only. Knows nothing of autoperf: one script times the bare host and the instrumented one.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any


def main() -> None:
    """Print ``{"milliseconds": [...], "answers": [...]}``, the wall time and the text of each call."""
    program, calls, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sys.path.insert(0, os.getcwd())
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        found = asyncio.run(_calls(_server(program), calls, pause))
    print(json.dumps(found), flush=True)


def _server(program: str) -> Any:
    package = "helpers" if os.path.isdir("helpers") else "python.helpers"
    handler = import_module(f"{package}.mcp_handler")
    return handler.MCPServerLocal({"name": "timed", "command": sys.executable, "args": [program]})


async def _calls(server: Any, calls: int, pause: float) -> dict[str, Any]:
    milliseconds, answers = [], []
    # The first call finds out what tools there are, and pays for what is imported late.
    for number in range(-1, calls):
        await asyncio.sleep(pause)
        started = time.perf_counter()
        result = await server.call_tool("remote", {"text": str(number)})
        passed = (time.perf_counter() - started) * 1000
        if result.isError:
            raise RuntimeError(result.content[0].text)
        if number >= 0:
            milliseconds.append(passed)
            answers.append(result.content[0].text)
    return {"milliseconds": milliseconds, "answers": answers}


if __name__ == "__main__":
    main()
