"""Chunks of a model's answer that its callback has not been given yet, and whose callbacks those are."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from inspect import unwrap
from types import CodeType
from typing import Any, Final

from autoperf.errors import asked
from autoperf.instrumentation.agentzero.streaming.pending_chunks import Kind

Callback = Callable[[str, str], Awaitable[Any]]
# The agent's own callbacks by their names; those of others (utility calls, plugins) get every chunk.
CALLBACKS: Final[dict[str, tuple[str, Kind]]] = {
    "response_callback": ("Agent.monologue.<locals>.stream_callback", "response"),
    "reasoning_callback": ("Agent.monologue.<locals>.reasoning_callback", "reasoning"),
}
_PARAMETERS: Final = ("chunk", "full")


class Held:
    """Chunks of one kind, in order; ``full`` is the text with the last of them."""

    __slots__ = ("callback", "chunks", "full", "kind")

    def __init__(self, kind: Kind, callback: Callback) -> None:
        self.kind = kind
        self.callback = callback
        self.chunks: list[str] = []
        self.full = ""

    def add(self, chunk: str, full: str) -> None:
        """One more chunk, and the text with it."""
        self.chunks.append(chunk)
        self.full = full

    def deliveries(self) -> list[tuple[str, str]]:
        """What to call the callback with: the chunks as one, or one by one.

        A reply that the host cannot parse any more shows what the last prefix was that it could.
        """
        if len(self.chunks) == 1 or self.kind == "reasoning" or self._parses():
            return [("".join(self.chunks), self.full)]
        found, end = [], len(self.full) - sum(map(len, self.chunks))
        for chunk in self.chunks:
            end += len(chunk)
            found.append((chunk, self.full[:end]))
        return found

    def _parses(self) -> bool:
        parser: Any = getattr(self.callback, "__globals__", {}).get("DirtyJson")
        return isinstance(asked(lambda: parser.parse_string(self.full)), dict)


class Untold:
    """Chunks that no callback has been given, whatever holds them back; ``result`` is the last callback's."""

    __slots__ = ("_chunks", "_taken", "result")

    def __init__(self) -> None:
        self._chunks: deque[tuple[Any, ...]] = deque()
        self._taken: tuple[Any, ...] = ()
        self.result: Any = None

    def take(self, *chunk: Any) -> None:
        """One more: its callback, its text, and the text with it."""
        self.result = None
        self._taken = chunk
        self._chunks.append(chunk)

    def give(self, callback: Callback, full: str) -> None:
        """``callback`` is about to be given everything of its own as far as ``full``."""
        while self._chunks and self._chunks[0][0] is callback and len(self._chunks[0][2]) <= len(full):
            self._chunks.popleft()

    async def tell(self, *chunk: Any) -> Any:
        """Give all of them to their callbacks, ``chunk`` too where it was not taken; what ends the answer."""
        if chunk and chunk != self._taken:
            self.take(*chunk)
        while self.result is None and self._chunks:
            callback, text, full = self._chunks.popleft()
            self.result = await callback(text, full)
        return self.result


def knows_callbacks(check: Any) -> bool:
    """Whether a monologue, in the module of ``check``, makes callbacks that `agent_of` recognises."""
    agent_class = getattr(unwrap(check), "__globals__", {}).get("Agent")
    monologue: Any = getattr(agent_class, "monologue", None)
    code = getattr(unwrap(monologue), "__code__", None)
    inner = [one for one in getattr(code, "co_consts", ()) if isinstance(one, CodeType)]
    names = [qualified.rpartition(".")[2] for qualified, _ in CALLBACKS.values()]
    found = {one.co_name: _shaped(one) for one in inner if one.co_name in names}
    return found.get(names[0], False) and all(found.values())


def _shaped(code: CodeType) -> bool:
    return code.co_varnames[: code.co_argcount] == _PARAMETERS and "self" in code.co_freevars


def agent_of(callback: Any, qualified: str) -> Any:
    """The agent on whose behalf one of its own callbacks acts; None for any other callback."""
    code = getattr(callback, "__code__", None)
    if code is None or callback.__qualname__ != qualified or callback.__module__ != "agent":
        return None
    if not _shaped(code):
        return None
    agent = callback.__closure__[code.co_freevars.index("self")].cell_contents
    context = getattr(agent, "context", None)
    return agent if hasattr(agent, "intervention") and hasattr(context, "paused") else None
