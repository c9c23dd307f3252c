"""Conversations as data: what the user says, what the scripted model replies, which tool files must exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autoperf.benchmark.scenarios import tool_files as toolfiles
from autoperf.benchmark.scenarios.acts import Act


@dataclass(frozen=True)
class Turn:
    """One user message and the replies of the chat model until the agent answers it.

    With ``fresh`` it is said in a new chat. ``error`` is a text of the exception that a tool raises: some
    generations end the turn there, with status 500 and that text, and leave the rest of the replies. With
    ``least``, some generations answer after so many replies, with status 200.
    """

    message: str
    replies: tuple[str, ...]
    meanwhile: tuple[Act, ...] = ()
    fresh: bool = False
    error: str = ""
    least: int | None = None


@dataclass(frozen=True)
class Conversation:
    """Turns in order; ``tool_files`` maps file names to source, ``{package}`` being the host's helpers.

    ``settings`` are added to the host's; ``{python}`` and ``{root}`` in their texts are its interpreter and
    folder. ``settle`` is how many seconds a started host needs beyond its open port.
    """

    name: str
    turns: tuple[Turn, ...]
    tool_files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    settle: float = 0.0


def call(tool: str, **arguments: Any) -> str:
    """A tool request in Agent Zero's format, as a model would write it."""
    request = {
        "thoughts": [f"I use {tool}."],
        "headline": f"Using {tool}",
        "tool_name": tool,
        "tool_args": arguments,
    }
    return json.dumps(request, indent=4)


def answer(text: str) -> str:
    """The tool request that ends a turn."""
    return call("response", text=text)


def echo(text: str) -> str:
    """A request to the tool that says its text back."""
    return call("autoperf_echo", text=text)


def tools(count: int = 20, rounds: int = 2, length: int = 0) -> Conversation:
    """``count`` harmless tool calls per message, then an answer of at least ``length`` characters.

    Two of ours, one with a method, and two that all generations have: memory_load, scheduler:list_tasks.
    """
    turns = tuple(
        Turn(
            f"Round {number}: please use {count} tools.",
            (
                *(_step(number, step) for step in range(count)),
                answer(f"Round {number} is done. " + _prose(length)),
            ),
        )
        for number in range(1, rounds + 1)
    )
    return Conversation("tools", turns, {toolfiles.ECHO_FILE: toolfiles.ECHO})


def errors() -> Conversation:
    """Everything that goes wrong: unknown tools, malformed requests, tools that raise."""
    closing = answer("I stop here.")
    return Conversation(
        "errors",
        (
            Turn(
                "Use tools that do not exist.", (call("no_such_tool", a=1), call("no/../such:tool"), closing)
            ),
            Turn(
                "Answer in a broken format.",
                (
                    "This is no request at all.",
                    '{"tool_name": "autoperf_echo", "tool_args": {"text": "cut',
                    closing,
                ),
                least=1,  # v2.6 takes plain text for the answer
            ),
            Turn("Say the same thing twice.", (echo("again"), echo("again"), closing)),
            Turn("Fail in a way you can repair.", (call("autoperf_fails", kind="repairable"), closing)),
            Turn(
                "Fail in the tool.",
                (call("autoperf_fails", kind="execute"), closing),
                error="raised in the tool",
            ),
            Turn(
                "Fail with a cause.",
                (call("autoperf_fails", kind="cause"), closing),
                error="raised from another",
            ),
            Turn("Fail after it.", (call("autoperf_fails", kind="after"), closing), error="raised after"),
            Turn("Fail before it.", (call("autoperf_fails", kind="before"), closing), error="raised before"),
            Turn("Load a broken tool.", (call("autoperf_broken"), closing), error="cannot be imported"),
            Turn("Pass wrong arguments.", (call("autoperf_strict", wrong=1), closing), error="'wrong'"),
            Turn("Go on as if nothing had happened.", (echo("still here"), closing)),
        ),
        {
            toolfiles.ECHO_FILE: toolfiles.ECHO,
            toolfiles.FAILS_FILE: toolfiles.FAILS,
            toolfiles.BROKEN_FILE: toolfiles.BROKEN,
            toolfiles.STRICT_FILE: toolfiles.STRICT,
        },
    )


def servers() -> Conversation:
    """A real MCP server over stdio: a tool, one of the same name as a local tool, and one that fails."""
    settings = {
        "mcp_servers": json.dumps(
            {"mcpServers": {"autoperf_mcp": {"command": "{python}", "args": ["{root}/tmp/autoperf_mcp.py"]}}}
        )
    }
    both, remote = call("autoperf_mcp.both", text="hello"), call("autoperf_mcp.remote", text="hello")
    fails, local = call("autoperf_mcp.fails", text="hello"), call("autoperf_mcp.local", text="hello")
    closing = answer("Asked.")
    return Conversation(
        "servers",
        (
            Turn("Ask the server.", (remote, both, remote, both, local, closing)),
            Turn(
                "Let it fail.",
                (fails, call("autoperf_mcp.missing", text="x"), call("no_server.tool", text="x"), closing),
            ),
            Turn("Ask again.", (remote, both, local, echo("local"), closing)),
            Turn("Pass wrong arguments.", (call("autoperf_mcp.remote", wrong=1), closing)),
        ),
        {
            toolfiles.ECHO_FILE: toolfiles.ECHO,
            "autoperf_mcp.both.py": toolfiles.ECHO,
            "autoperf_mcp.local.py": toolfiles.ECHO,
            "tmp/autoperf_mcp.py": toolfiles.MCP_SERVER,
        },
        settings,
        settle=8.0,
    )


def _step(number: int, step: int) -> str:
    label = f"round {number}, step {step}"
    match step % 4:
        case 1:
            return call("memory_load", query=label, threshold=0.9, limit=3)
        case 2:
            return call("autoperf_echo:shout", text=label)
        case 3:
            return call("scheduler:list_tasks", note=label)
        case _:
            return echo(label)


def _prose(length: int) -> str:
    sentence = 'The agent "explains" its result at length,\nline by line. '
    return (sentence * (length // len(sentence) + 1))[:length]
