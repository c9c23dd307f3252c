"""How late the host's event loops come to what is asked of them: round trips from a thread of ours."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

_LOOPS_KEPT: Final = 64
_ROUND_TRIPS_KEPT: Final = 1024
# Host loops made for a single call come and go by the thousand; those that chats wait for stay.
_LONG_LIVED_S: Final = 2.0


class _Loop:
    __slots__ = ("asked", "loop", "noted", "thread")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop], thread: str, noted: float) -> None:
        self.loop = loop
        self.thread = thread
        self.noted = noted
        self.asked = False


class Loops:
    """The event loops that `note` was called in, held weakly; `ask` and `answers` belong to one thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._known: dict[int, _Loop] = {}
        self._answers: deque[tuple[float, str]] = deque(maxlen=_ROUND_TRIPS_KEPT)

    def note(self) -> None:
        """Remember the loop that runs here, if there is one; cheap, for the host's threads."""
        loop = asyncio._get_running_loop()
        if loop is None or id(loop) in self._known or len(self._known) >= _LOOPS_KEPT:
            return
        identity, known = id(loop), self._known
        thread = re.sub(r"[-_ ]?\d.*$", "", threading.current_thread().name)[:50]
        known[identity] = _Loop(weakref.ref(loop, lambda _: known.pop(identity, None)), thread, self._clock())

    def ask(self) -> None:
        """Have every long-lived loop that runs and owes no answer call back as soon as it can."""
        for identity, one in list(self._known.items()):
            loop = one.loop()
            if loop is None or loop.is_closed():
                self._known.pop(identity, None)
            elif loop.is_running() and not one.asked and self._clock() - one.noted >= _LONG_LIVED_S:
                one.asked = True
                try:
                    loop.call_soon_threadsafe(self._answer, one, self._clock(), context=Context())
                except Exception:  # closed at this moment, or a loop of another make
                    self._known.pop(identity, None)

    def _answer(self, one: _Loop, asked: float) -> None:
        self._answers.append((self._clock() - asked, one.thread))
        one.asked = False

    def answers(self) -> list[tuple[float, str]]:
        """The round trips since last time: seconds from asking to running, and the loop's thread."""
        return [self._answers.popleft() for _ in range(len(self._answers))]
