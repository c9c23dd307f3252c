"""What goes on in the host at this moment: messages, agents and their steps, prompts, model calls, tools."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

# In one record; whoever has more under way than this is not helped by a longer list.
_ROWS: Final = 100

MESSAGE: Final = "message"
AGENT: Final = "agent"
PROMPT: Final = "prompt"
MODEL: Final = "model"
TOOL: Final = "tool"
_BUSY: Final = (MESSAGE, MODEL)


class Work:
    """One thing that has begun and not ended; ``step`` counts from 1 and belongs to an agent's monologue."""

    __slots__ = ("__weakref__", "_loop", "agent", "chat", "kind", "name", "since", "step", "step_since")

    def __init__(self, kind: str, name: str, agent: str, chat: str, since: float) -> None:
        self.kind = kind
        self.name = name
        self.agent = agent
        self.chat = chat
        self.since = since
        self.step = 0
        self.step_since = 0.0
        loop = asyncio._get_running_loop()
        self._loop = None if loop is None else weakref.ref(loop)

    def left(self) -> bool:
        """Whether it stood in a loop that has been closed, or is gone."""
        loop = None if self._loop is None else self._loop()
        return self._loop is not None and (loop is None or loop.is_closed())

    def as_row(self) -> dict[str, Any]:
        """As the record of the process shows it; times in seconds since the epoch."""
        row = {"kind": self.kind, "name": self.name, "agent": self.agent, "chat": self.chat}
        given: dict[str, Any] = {key: value for key, value in row.items() if value}
        if self.step:
            given |= {"step": self.step, "step_since": round(self.step_since, 3)}
        return {**given, "since": round(self.since, 3)}


class Underway:
    """Everything under way in this process, by the wrappers that see it begin and end; names only, no text.

    Each operation is one on a dictionary, so threads need no lock. ``moves`` is another number whenever
    something has begun, gone on to its next step, or ended.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._works: dict[Work, None] = {}
        self.moves = 0
        self.busy = 0  # messages and model calls that have begun: any two of them may share a loop
        self.wakes: Callable[[], None] = _nobody  # called whenever something has begun

    def at_rest(self) -> bool:
        """Whether nothing is under way."""
        return all(work.left() for work in list(self._works))

    def begin(self, kind: str, name: str = "", agent: str = "", chat: str = "") -> Work:
        """Something has begun; give what comes back to `end`."""
        work = Work(kind, name, agent, chat, self._clock())
        self._works[work] = None
        self.moves += 1
        self.busy += kind in _BUSY
        self.wakes()  # not only of the first: what stands in a closed loop is none, two may begin at once
        return work

    def alone(self, work: Work) -> bool:
        """Whether neither a message of another chat nor another call of a model goes on beside ``work``."""
        return not any(
            other.kind == MODEL or (other.kind == MESSAGE and other.chat != work.chat)
            for other in list(self._works)
            if other is not work
        )

    def step(self, work: Work | None, number: int) -> None:
        """The monologue ``work`` begins its step ``number``."""
        if work is not None:
            work.step, work.step_since = number, self._clock()
            self.moves += 1

    def end(self, work: Work) -> None:
        """It has ended, in whatever way."""
        self._works.pop(work, None)
        self.moves += 1

    def as_rows(self) -> list[dict[str, Any]]:
        """The oldest first, at most 100.

        What stood in a loop that has been closed is over, though no coroutine there was told.
        """
        for work in list(self._works):
            if work.left():
                self.end(work)
        return [work.as_row() for work in list(self._works)[:_ROWS]]

    def forked(self) -> None:
        """In a child made by fork: the parent goes on with all of it, the child with none."""
        self._works = {}


def _nobody() -> None:
    return
