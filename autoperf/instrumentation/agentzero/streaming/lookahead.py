"""An asynchronous stream that can be asked whether its next item comes before a deadline."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator
from operator import methodcaller
from typing import Any, Final

from autoperf.errors.standins import passed_on, standing_in, standing_in_async

SEAM: Final = "throttled stream"
_NOT_WAITING: Final = object()
_PATIENCE_SECONDS: Final = 1.0


class Lookahead:
    """Stands for ``stream``; what was read ahead of its reader is handed out first.

    Reading ahead runs in the reader's own task and context, as the reader's ``async for`` would: a step of
    the stream is driven by hand, so that a deadline can interrupt its wait and the same step can go on later.
    Everything but the iteration is ``stream``'s own.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._iterator: AsyncIterator[Any] | None = None
        self._step: Coroutine[Any, Any, Any] | None = None
        self._waits: Any = _NOT_WAITING
        self._found: deque[tuple[Any, BaseException | None]] = deque()
        self._raised: BaseException | None = None  # the stream's own, on its way to the reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _begin(self) -> Lookahead:
        self._iterator = self._stream.__aiter__()
        return self

    def _going_on(self) -> Awaitable[Any]:
        if self._found or self._step is not None or self._iterator is None:
            found: Awaitable[Any] = self._after_what_was_found()
            return found
        return self._iterator.__anext__()

    async def _next(self) -> Any:
        if not self._found:
            await self._read(None)
        item, self._raised = self._found.popleft()
        if self._raised is not None:
            raise self._raised
        return item

    # Where ours fails, the reader has the stream itself, or what comes next of it is read once more.
    _after_what_was_found = standing_in_async(SEAM, _next, _next, lambda error, self: error is self._raised)
    __aiter__ = standing_in(SEAM, _begin, passed_on("_stream", "__aiter__"))
    __anext__ = standing_in(SEAM, _going_on, methodcaller("_after_what_was_found"))

    @property
    def ahead(self) -> Any:
        """The item that comes next; None where nothing was read ahead, or where the stream ends or fails."""
        return self._found[0][0] if self._found else None

    @property
    def pending(self) -> bool:
        """Whether a step of the stream was interrupted and waits to go on."""
        return self._step is not None

    async def arrives(self, deadline: float) -> bool:
        """Whether the stream goes on, ends or fails before ``deadline`` (the loop's time); waits until then.

        An exception of the stream is kept for the reader; cancellation passes through.
        """
        return bool(self._found) or await self._read(deadline)

    async def abandon(self) -> None:
        """End a step that waits, as a cancellation would: nobody will read on."""
        step, waits = self._step, self._waits
        if step is None:
            return
        if waits is not _NOT_WAITING and hasattr(waits, "cancel"):
            waits.cancel()
        loop = asyncio.get_running_loop()
        try:
            ended = await self._read(loop.time() + _PATIENCE_SECONDS, asyncio.CancelledError())
        except asyncio.CancelledError:
            ended = True
        if not ended:
            self._step, self._waits = None, _NOT_WAITING
            step.close()
        self._found.clear()

    @types.coroutine
    def _read(self, deadline: float | None, thrown: BaseException | None = None) -> Generator[Any, Any, bool]:
        """One more item into ``_found``; False where the deadline came first."""
        if self._step is None:
            assert self._iterator is not None
            self._step = _step(self._iterator)
        while True:
            if thrown is None and self._waits is not _NOT_WAITING:
                try:
                    if not (yield from _wait(self._waits, deadline)):
                        return False
                except BaseException as error:
                    thrown = error
            self._waits = _NOT_WAITING
            step, failed, thrown = self._step, thrown, None
            try:
                waits = step.send(None) if failed is None else step.throw(failed)
            except StopIteration as stop:
                self._ended(stop.value, None)
                return True
            except (Exception, StopAsyncIteration) as failure:
                self._ended(None, failure)
                return True
            except BaseException:
                self._step = None
                raise
            # As a task does with a future that it is given to wait for.
            if hasattr(waits, "_asyncio_future_blocking"):
                waits._asyncio_future_blocking = False
            self._waits = waits

    def _ended(self, item: Any, error: BaseException | None) -> None:
        self._step = None
        self._found.append((item, error))


async def _step(iterator: AsyncIterator[Any]) -> Any:
    return await iterator.__anext__()


def _wait(waits: Any, deadline: float | None) -> Generator[Any, Any, bool]:
    if not hasattr(waits, "_asyncio_future_blocking"):
        yield waits
        return True
    if waits.done():
        return True
    if deadline is None:
        waits._asyncio_future_blocking = True
        yield waits
        return True
    loop = asyncio.get_running_loop()
    if loop.time() >= deadline:
        return False
    either = _Either(waits, loop)

    def wake(_: Any = None) -> None:
        if not either.done():
            either.set_result(None)

    waits.add_done_callback(wake)
    timer = loop.call_at(deadline, wake)
    try:
        yield from either
    finally:
        timer.cancel()
        waits.remove_done_callback(wake)
    return bool(waits.done())


class _Either(asyncio.Future):  # type: ignore[type-arg]
    """What the task waits for in place of the stream's own future: whoever cancels it cancels that one."""

    def __init__(self, waits: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._waits = waits

    def cancel(self, msg: Any | None = None) -> bool:
        return bool(self._waits.cancel(msg) if msg is not None else self._waits.cancel())
