"""A reply streamed as fast as a model would speak it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from autoperf.benchmark.model.completions import Piece

# English prose of the usual tokenizers; the chunks of the slower scenarios are of this size.
TOKEN_CHARACTERS: Final = 4


class Rate:
    """Passes a stream on at ``tokens`` a second, in pieces of ``chunk_size`` characters.

    Every piece has its time, counted from the first: a late one delays none of the others, as with a model
    whose words wait in the network.
    """

    def __init__(
        self,
        tokens: float,
        chunk_size: int,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._apart = chunk_size / TOKEN_CHARACTERS / tokens
        self._sleep = sleep
        self._clock = clock

    def __call__(self, events: Iterator[str]) -> Iterator[str]:
        """The same events; the pieces of the reply not before their time."""
        due: float | None = None
        for event in events:
            if isinstance(event, Piece):
                now = self._clock()
                due = now if due is None else due + self._apart
                if due > now:
                    self._sleep(due - now)
            yield event
