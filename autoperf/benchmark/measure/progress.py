"""How far a long measurement has come, told after every silence of some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from autoperf.errors.wording import duration

SILENCE_S: Final = 15.0


class Progress:
    """Lines for a person who waits; a context manager.

    Called with a line, it passes it to ``say``. After each ``silence`` seconds without one it repeats the
    last, with the time since and what the function given to `stage` returns.
    """

    def __init__(self, say: Callable[[str], object], silence: float = SILENCE_S) -> None:
        self._say = say
        self._silence = silence
        self._changed = threading.Condition()
        self._line, self._since, self._spoken = "", 0.0, time.monotonic()
        self._stage: Callable[[], str] = str
        self._ended = False
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def __call__(self, line: str) -> None:
        with self._changed:
            self._say(line)
            self._line, self._since, self._stage = line, time.monotonic(), str
            self._spoken = self._since

    def stage(self, describe: Callable[[], str]) -> None:
        """``describe`` tells, from any thread, what goes on from now on."""
        self._stage = describe

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _wait(self) -> None:
        with self._changed:
            while not self._ended:
                self._changed.wait(self._spoken + self._silence - time.monotonic())
                now = time.monotonic()
                if not self._ended and self._line and now >= self._spoken + self._silence:
                    parts = (f"{self._line}: {duration(now - self._since)} so far", self._stage())
                    self._say(", ".join(filter(None, parts)))
                if now >= self._spoken + self._silence:
                    self._spoken = now
