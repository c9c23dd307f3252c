"""The tools a run adds to its copy of Agent Zero, as source; ``{package}`` is its helper package."""

from __future__ import annotations

ECHO_FILE = "autoperf_echo.py"
ECHO = """\
from {package}.tool import Response, Tool


class AutoperfEcho(Tool):
    async def execute(self, text="", **kwargs):
        shown = text.upper() if self.method == "shout" else text
        return Response(message=f"echo: {shown}", break_loop=False)
"""

FAILS_FILE = "autoperf_fails.py"
FAILS = """\
from {package}.tool import Response, Tool

try:
    from {package}.errors import RepairableException
except ImportError:
    from agent import RepairableException


class AutoperfFails(Tool):
    async def before_execution(self, **kwargs):
        if kwargs.get("kind") == "before":
            raise ValueError("raised before the tool ran")
        await super().before_execution(**kwargs)

    async def execute(self, kind="", **kwargs):
        if kind == "repairable":
            raise RepairableException("the model may repair this")
        if kind == "execute":
            raise ValueError("raised in the tool")
        if kind == "cause":
            try:
                {}["missing"]
            except KeyError as error:
                raise RuntimeError("raised from another error") from error
        return Response(message=f"ran: {kind}", break_loop=False)

    async def after_execution(self, response, **kwargs):
        await super().after_execution(response, **kwargs)
        if "after" in response.message:
            raise ValueError("raised after the tool ran")
"""

BROKEN_FILE = "autoperf_broken.py"
BROKEN = """\
from {package}.tool import Response, Tool

raise RuntimeError("this tool cannot be imported")
"""

STRICT_FILE = "autoperf_strict.py"
STRICT = """\
from {package}.tool import Response, Tool


class AutoperfStrict(Tool):
    async def execute(self, needed):
        return Response(message=needed, break_loop=False)
"""

MCP_SERVER = """\
from mcp.server.fastmcp import FastMCP

server = FastMCP("autoperf_mcp", log_level="ERROR")


@server.tool()
def remote(text: str) -> str:
    "Says it back."
    return "remote: " + text


@server.tool()
def both(text: str) -> str:
    "Exists locally too."
    return "the server's: " + text


@server.tool()
def fails(text: str) -> str:
    "Always fails."
    raise ValueError("the server fails at " + text)


server.run()
"""


def render(source: str, package: str, model_url: str = "") -> str:
    """``source`` for one host; plain replacement, as the sources contain braces of their own."""
    return source.replace("{package}", package).replace("{model_url}", model_url)
