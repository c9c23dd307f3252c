"""Coroutines run in named background threads, each with one event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

THREAD_BACKGROUND = "Background"
Work = Callable[..., Coroutine[Any, Any, Any]]
_loops: dict[str, asyncio.AbstractEventLoop] = {}
_lock = threading.Lock()


def _loop_of(thread_name: str) -> asyncio.AbstractEventLoop:
    with _lock:
        if thread_name not in _loops:
            loop = asyncio.new_event_loop()
            # A daemon: a chat that still runs must not keep the program from ending.
            threading.Thread(target=loop.run_forever, name=thread_name, daemon=True).start()
            _loops[thread_name] = loop
        return _loops[thread_name]


class DeferredTask:
    """One coroutine at a time, started in another thread."""

    def __init__(self, thread_name: str = THREAD_BACKGROUND) -> None:
        self.thread_name = thread_name
        self._future: Future[Any] | None = None
        self._lock = threading.Lock()

    def start_task(self, func: Work, *args: Any, **kwargs: Any) -> DeferredTask:
        """Begin the coroutine and return at once."""
        # The coroutine may ask whether its own task is alive before this thread has even noted the future.
        with self._lock:
            self._future = asyncio.run_coroutine_threadsafe(func(*args, **kwargs), _loop_of(self.thread_name))
        return self

    def is_alive(self) -> bool:
        """Say whether it has begun and not ended."""
        with self._lock:
            return self._future is not None and not self._future.done()

    def result_sync(self, timeout: float | None = None) -> Any:
        """Wait, at most `timeout` seconds, and return the result or raise the coroutine's exception."""
        if self._future is None:
            raise RuntimeError("there is nothing to wait for yet")
        return self._future.result(timeout)

    async def result(self, timeout: float | None = None) -> Any:
        """The same for a caller that runs in an event loop."""
        if self._future is None:
            raise RuntimeError("there is nothing to wait for yet")
        return await asyncio.wait_for(asyncio.wrap_future(self._future), timeout)

    def kill(self) -> None:
        """Cancel the coroutine."""
        if self._future is not None:
            self._future.cancel()
