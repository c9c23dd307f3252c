"""A small server of the mcp package: ``python real.py stdio|sse|streamable-http [PORT]``."""

from __future__ import annotations

import os
import sys

import anyio
from mcp.server.fastmcp import FastMCP

port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
server = FastMCP("real", log_level="ERROR", port=port)
calls = 0


@server.tool()
def count() -> str:
    """How often this process was asked."""
    global calls
    calls += 1
    return f"{os.getpid()} {calls}"


@server.tool()
def echo(text: str) -> str:
    """The text."""
    return text


@server.tool()
def fail(text: str) -> str:
    """An error with this text."""
    raise ValueError(text)


@server.tool()
def crash() -> str:
    """No answer ever."""
    os._exit(3)


@server.tool()
async def hang() -> str:
    """A long wait."""
    await anyio.sleep(60)
    return "awake"


server.run(transport=sys.argv[1])
