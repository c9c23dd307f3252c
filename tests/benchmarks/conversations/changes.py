"""Conversations during which tools, extensions and the instrumentation itself change or keep state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, call, echo
from tests.benchmarks.conversations import situation_files

# Seconds: file systems keep time in ticks.
_NOTICED = 0.1
_TOOLS = {tool_files.ECHO_FILE: tool_files.ECHO, "autoperf_edits.py": situation_files.EDITS}


def _edit(path: str, text: str = "", wait: float = _NOTICED, **env: str) -> str:
    return call("autoperf_edits", path=path, text=text, wait=wait, env=env)


def overrides() -> Conversation:
    """Tools of a profile and of the user, over a default tool: added, edited and deleted while in use."""
    turns = [Turn("Use it.", (echo("a"), echo("b"), echo("c"), answer("Used.")))]
    for folder in ("agents/agent0/tools", "usr/agents/agent0/tools", "usr/tools"):
        path = f"{folder}/autoperf_echo.py"
        version = situation_files.OVERRIDE.replace("VERSION", folder)
        turns.append(
            Turn(
                f"Override in {folder}.",
                (
                    _edit(path, version),
                    *(echo("x"), echo("y"), echo("z")),
                    _edit(path, version.replace(folder, folder + " edited")),
                    *(echo("x"), echo("y"), echo("z")),
                    _edit(path, version.replace("class ", "class class ")),
                    *(echo("x"), echo("y")),
                    _edit(path),
                    *(echo("x"), echo("y"), echo("z")),
                    answer("Overridden."),
                ),
            )
        )
    return Conversation("overrides", tuple(turns), _TOOLS)


def extensions() -> Conversation:
    """Extensions of every kind of folder: added, edited, broken and deleted while the agent works."""
    folders = (
        "python/extensions/message_loop_start",
        "agents/agent0/extensions/message_loop_start",
        "agents/agent0/extensions/message_loop_end",
        "usr/extensions/message_loop_start",
        "extensions/python/message_loop_start",
        "usr/extensions/python/message_loop_start",
        "usr/extensions/python/before_main_llm_call",
        "usr/agents/agent0/extensions/python/message_loop_end",
    )
    turns = [Turn("Use it.", (echo("a"), answer("Used.")))]
    for folder in folders:
        path, source = f"{folder}/_77_autoperf.py", situation_files.EXTENSION.replace("VERSION", folder)
        turns.append(
            Turn(
                f"Extend {folder}.",
                (
                    _edit(path, source),
                    echo("x"),
                    _edit(path, source.replace(folder, folder + " edited")),
                    echo("y"),
                    _edit(path),
                    echo("z"),
                    answer("Extended."),
                ),
            )
        )
    # The watchdogs of v1.x do not see the first file of a folder that is made with it.
    kept = {f"{folder}/.keep": "" for folder in folders if folder.startswith(("usr/", "extensions/"))}
    return Conversation("extensions", tuple(turns), {**_TOOLS, **kept})


def implicit() -> Conversation:
    """Extensions at the implicit points around functions (v0.9.9 on), which come and go meanwhile."""
    turns = [Turn("Use it.", (echo("a"), answer("Used.")))]
    points = (
        ("agent/Agent/get_tool/start", situation_files.ARGUMENTS),
        ("agent/Agent/get_tool/end", situation_files.RESULT),
        ("agent/Agent/handle_intervention/start", situation_files.COUNTS),
        ("agent/Agent/handle_intervention/end", situation_files.COUNTS),
        ("agent/Agent/process_tools/start", situation_files.COUNTS),
        ("agent/Agent/process_tools/end", situation_files.RAISES),
        ("agent/Agent/handle_intervention/start", situation_files.RAISES),
        ("agent/Agent/monologue/end", situation_files.COUNTS),
    )
    for point, source in points:
        path = f"usr/extensions/python/_functions/{point}/_77_autoperf.py"
        source = source.replace("POINT", point)
        turns.append(
            Turn(
                f"Extend {point}.",
                (
                    _edit(path, source),
                    echo("x"),
                    echo("y"),
                    _edit(path),
                    echo("z"),
                    answer("Extended."),
                ),
            )
        )
    kept = {f"usr/extensions/python/_functions/{point}/.keep": "" for point, _ in points}
    return Conversation("implicit", tuple(turns), {**_TOOLS, **kept})


def states() -> Conversation:
    """Tools with state in their module, class or functions, and one that reads the world when imported."""
    # No two requests in a row are the same: the host would refuse to run the second.
    use = [call("autoperf_states", mark=f"use {number}") for number in range(12)]
    reads = [call("autoperf_reads", note=f"reading {number}") for number in range(8)]

    def change(world: str) -> str:
        return _edit("tmp/autoperf_world.txt", f"{world} world", wait=0, AUTOPERF_MODE=f"{world} mode")

    return Conversation(
        "states",
        (
            Turn("Count.", (*use[:4], *reads[:3], answer("Counted."))),
            Turn(
                "Change the world.",
                (
                    change("second"),
                    *reads[3:6],
                    *use[4:6],
                    change("third"),
                    reads[6],
                    use[6],
                    answer("Changed."),
                ),
            ),
            Turn("Count on.", (*use[7:], reads[7], answer("Counted on."))),
        ),
        {
            **_TOOLS,
            "autoperf_states.py": situation_files.STATES,
            "autoperf_reads.py": situation_files.READS,
            "tmp/autoperf_world.txt": "first world",
        },
    )


def undone() -> Conversation:
    """The instrumentation is taken back while a tool runs, and the host goes on."""
    use = (
        echo("a"),
        call("call_subordinate", message="Go on.", reset="true"),
        echo("b"),
        answer("Gone on."),
    )
    return Conversation(
        "undone",
        (
            Turn("Use it.", (*use, answer("Used."))),
            Turn(
                "Undo it.",
                (echo("c"), call("autoperf_undoes", note="now"), echo("d"), *use, answer("Undone.")),
            ),
            Turn("Use it again.", (*use, answer("Used again."))),
        ),
        {**_TOOLS, "autoperf_undoes.py": situation_files.UNDOES},
    )


CHANGES: Mapping[str, Callable[[], Conversation]] = {
    "overrides": overrides,
    "extensions": extensions,
    "implicit": implicit,
    "states": states,
    "undone": undone,
}
