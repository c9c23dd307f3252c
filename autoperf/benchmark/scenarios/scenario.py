"""The scenarios of `autoperf benchmark`: a conversation, the size of its chunks, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, echo, errors, servers, tools
from autoperf.benchmark.scenarios.tool_files import ECHO, ECHO_FILE

# Characters: a model's token is about four of them, and comes in a chunk of its own.
_TOKEN = 4
_BIG = 400


@dataclass(frozen=True)
class Scenario:
    """``meaning`` is one line for a person; ``chunk_size`` in characters, ``timeout`` in seconds a message.

    With ``tenths`` the last tenth of the chunks is compared with the first; with ``client`` the same prompts
    and chunks also go through the model client alone.
    """

    name: str
    meaning: str
    conversation: Callable[[], Conversation]
    chunk_size: int = _BIG
    tenths: bool = False
    client: bool = False
    timeout: float = 600.0


def _history() -> Conversation:
    # A question, ten calls with their results, an answer: 22 messages to the history.
    turns = (
        Turn(f"Part {part}.", (*(echo(f"part {part}, step {step}") for step in range(10)), answer("Done.")))
        for part in range(1, 20)
    )
    return Conversation("history", tuple(turns), {ECHO_FILE: ECHO})


START = "start"
_ROWS = (
    Scenario("short", "two messages of 20 tool calls each, in big chunks", lambda: tools(20, 2)),
    Scenario(
        "long",
        "20 tool calls and an answer of 20 KB, 4 characters a chunk",
        lambda: tools(20, 1, 20_000),
        _TOKEN,
        client=True,
    ),
    Scenario(
        "answer",
        "an answer of 8 KB, 4 characters a chunk; for --rate",
        lambda: tools(0, 1, 8_000),
        _TOKEN,
    ),
    Scenario(
        "huge",
        "an answer of 64 KB, 4 characters a chunk",
        lambda: tools(0, 1, 65_536),
        _TOKEN,
        tenths=True,
        client=True,
        timeout=3600.0,
    ),
    Scenario("history", "19 messages of 10 tool calls: more than 400 messages in the history", _history),
    Scenario("errors", "everything that goes wrong: tools, formats, arguments", errors),
    Scenario("mcp", "calls to a real MCP server over stdio, some of them failing", servers),
    Scenario(START, "from the command to the open port, and no message", lambda: Conversation(START, ())),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ROWS}
DEFAULT = ("short", START)
