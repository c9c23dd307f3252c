"""A scenario as data: chats with their replies, files, and what happens at which point.

Event keys: ``turn:N`` (before message N, on the driver's thread), ``reply:N`` (before reply N of the chat's model),
``chunk:N:M`` (before chunk M of reply N), ``signal:NAME`` (a tool called ``models.signal(agent, NAME)``). Another chat
than "main" is written before the key: ``b/reply:1``. Actions are tuples, the verb first; see ``player.Stage``.
"""

import json
from dataclasses import dataclass, field
from typing import Any

Action = tuple[Any, ...]


@dataclass(frozen=True)
class Chat:
    replies: list[str]
    name: str = "main"
    messages: tuple[str, ...] = ("go",)
    thread: str = ""  # a loop thread of its own; else the host's
    waits: bool = False  # begun by a ("start", name) action instead of at once
    chunk: int = 24  # characters per streamed chunk


@dataclass(frozen=True)
class Scenario:
    name: str
    chats: list[Chat]
    files: dict[str, str] = field(default_factory=dict)  # path below the host's root: text
    events: dict[str, list[Action]] = field(default_factory=dict)
    threads: bool = False  # several threads: only the order within one chat and thread is told


def call(tool: str, /, **args: Any) -> str:
    """A reply that asks for a tool; some generations refuse empty arguments."""
    return json.dumps({"tool_name": tool, "tool_args": args or {"text": "-"}})


def native(*calls: tuple[str, dict[str, Any]]) -> str:
    """A turn of native function calls (v2)."""
    return json.dumps({"function_calls": [{"name": name, "arguments": args} for name, args in calls]})


def done(text: str = "done") -> str:
    return call("response", text=text)


def simple(name: str, replies: list[str], files: dict | None = None, **events: Any) -> Scenario:
    """One chat, one message; ``reply_2=[...]`` stands for the event key ``reply:2``."""
    keyed = {_event_key(key): actions for key, actions in events.items()}
    chunk = (
        60 if max(map(len, replies)) < 1_000 else 2_000
    )  # each chunk repeats the whole reply in the journal
    return Scenario(name, [Chat([*replies, done()], chunk=chunk)], files or {}, keyed)


def _event_key(name: str) -> str:
    """``chunk_1_2`` is ``chunk:1:2``, ``signal_mid`` is ``signal:mid``."""
    return name.replace("_", ":")
