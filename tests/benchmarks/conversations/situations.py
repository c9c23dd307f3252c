"""Conversations with interruptions, subordinates, several chats, secrets, MCP servers and parallel tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from autoperf.benchmark.model.server import HOLD
from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.acts import Act
from autoperf.benchmark.scenarios.conversation import (
    Conversation,
    Turn,
    answer,
    call,
    echo,
    errors,
    servers,
    tools,
)
from tests.benchmarks.conversations import situation_files

SECRET = "tok-9f8e7d6c5b4a-secret"
WAITS = call("autoperf_waits", note="long")
TOOLS = {tool_files.ECHO_FILE: tool_files.ECHO, "autoperf_waits.py": situation_files.WAITS}


def _held(text: str) -> str:
    """A tool request whose stream stops in the middle of its arguments."""
    return call("autoperf_echo", text=f"before the hold {HOLD}{text} " + "and on it goes " * 20)


def interruptions() -> Conversation:
    """Messages and pauses while a tool runs, while a reply streams, and while a subordinate works."""
    closing = answer("I go on with something else.")
    deepest = (
        call("call_subordinate", message="Do the first half.", reset="true"),
        call("call_subordinate", message="Do the quarter.", reset="true"),
        echo("deepest"),
        WAITS,
        answer("The quarter is done."),
        answer("The half is done."),
        answer("All is done."),
    )
    return Conversation(
        "interruptions",
        (
            Turn("Hello.", (answer("Hello."),)),
            Turn("Take your time.", (WAITS, echo("next"), closing), (Act("say", "Stop that tool."),)),
            Turn("Talk at length.", (_held("cut"), closing), (Act("say", "Stop talking."),)),
            Turn(
                "Answer at length.",
                (answer(f"Well {HOLD}" + "then " * 90), closing),
                (Act("say", "Shorter."),),
            ),
            Turn("Take it slowly.", (WAITS, echo("awake"), closing), (Act("pause"),)),
            Turn("Talk slowly.", (_held("kept"), echo("awake"), closing), (Act("pause"),)),
            Turn("Pause and stop.", (WAITS, _held("later"), closing), (Act("pause"), Act("say", "Enough."))),
            Turn("Delegate.", deepest, (Act("say", "A word with the deepest of you."),)),
            Turn("Delegate once more.", deepest, (Act("pause"),)),
        ),
        TOOLS,
    )


def chats() -> Conversation:
    """Two chats at once, subordinates with profiles, and a scheduled task."""
    second = tuple(echo(f"second {number}") for number in range(6))
    first = tuple(echo(f"first {number}") for number in range(6))
    delegate = (
        call("call_subordinate", message="Research this.", profile="researcher", reset="true"),
        echo("researched"),
        call("call_subordinate", message="Develop this.", profile="developer", reset="true"),
        echo("developed"),
        answer("Developed."),
        answer("Researched."),
        answer("Delegated."),
    )
    return Conversation(
        "chats",
        (
            Turn("Hello.", (echo("hello"), answer("Hello."))),
            Turn(
                "Work beside another chat.",
                (WAITS, *first, answer("The first is done.")),
                (Act("open", "In the second chat: count the birds.", (*second, answer("Second done."))),),
            ),
            Turn(
                "Delegate beside another chat.",
                (WAITS, *delegate),
                (Act("open", "In the third chat: count the fish.", (*second, answer("Third done."))),),
            ),
        ),
        TOOLS,
    )


def secrets() -> Conversation:
    """A secret in tool arguments, in tool results, in errors and in streamed text."""
    alias = "§§secret(AUTOPERF_TOKEN)"
    closing = answer(f"The value is {SECRET}, by its alias {alias}.")
    return Conversation(
        "secrets",
        (
            Turn("Use the secret.", (echo(alias), echo(f"plain {SECRET}"), closing)),
            Turn("Use a secret that is not there.", (echo("§§secret(NO_SUCH_TOKEN)"), closing)),
            Turn(
                "Fail with it.",
                (call("autoperf_fails", kind="execute", note=alias), closing),
                error="raised in the tool",
            ),
            Turn(
                f"I tell you {SECRET}.",
                (call("call_subordinate", message=alias), echo(alias), closing, closing),
            ),
        ),
        {
            tool_files.ECHO_FILE: tool_files.ECHO,
            tool_files.FAILS_FILE: tool_files.FAILS,
            "usr/secrets.env": f"AUTOPERF_TOKEN={SECRET}\n",
            "tmp/secrets.env": f"AUTOPERF_TOKEN={SECRET}\n",
        },
    )


def parallel() -> Conversation:
    """Tools side by side (v2.6), one of them failing, one a subordinate."""

    def together(*calls: str) -> str:
        wanted = [json.loads(text) for text in calls]
        return call("parallel", tool_calls=[{k: c[k] for k in ("tool_name", "tool_args")} for c in wanted])

    return Conversation(
        "parallel",
        (
            Turn("One beside itself.", (together(echo("a")), answer("Done."))),
            Turn("Three at once.", (together(echo("a"), echo("b"), echo("c")), answer("Done."))),
            Turn(
                "With a failure.",
                (together(echo("a"), call("autoperf_fails", kind="execute")), answer("Done.")),
            ),
            Turn(
                "With an unknown one.",
                (together(call("no_such_tool", text="x"), echo("b")), answer("Done.")),
            ),
        ),
        {**TOOLS, tool_files.FAILS_FILE: tool_files.FAILS},
    )


def scheduled() -> Conversation:
    """A task of the host's scheduler, in a chat of its own, started in the middle of a turn."""
    use = (
        call("autoperf_schedules", prompt="Do this by the clock."),
        echo("by the clock"),
        answer("Ticked."),
    )
    files = {**TOOLS, "autoperf_schedules.py": situation_files.SCHEDULES}
    return Conversation(
        "scheduled", (Turn("Schedule it.", (*use, echo("after"), answer("Scheduled."))),), files
    )


def editing() -> Conversation:
    """A tool is written, used, edited, used, deleted and asked for once more while the host runs."""

    def write(version: str) -> str:
        return call("autoperf_writer", version=version)

    def use(text: str) -> str:
        return call("autoperf_written", text=text)

    closing = answer("Edited.")
    return Conversation(
        "editing",
        (
            Turn("Use it before it exists.", (use("zero"), closing)),
            Turn("Write a tool and use it.", (write("first"), use("one"), use("two"), closing)),
            Turn("Edit the tool and use it.", (write("second version"), use("three"), use("four"), closing)),
            Turn("Delete the tool and use it.", (write(""), use("five"), closing)),
            Turn("Write it again.", (write("the third and last version"), use("six"), closing)),
        ),
        {situation_files.WRITER_FILE: situation_files.WRITER},
    )


CONVERSATIONS: Mapping[str, Callable[[], Conversation]] = {
    "tools": tools,
    "errors": errors,
    "editing": editing,
}


SITUATIONS: Mapping[str, Callable[[], Conversation]] = {
    "interruptions": interruptions,
    "scheduled": scheduled,
    "chats": chats,
    "secrets": secrets,
    "servers": servers,
    "parallel": parallel,
}
