"""An event loop in a daemon thread of ours: sessions live there, whatever becomes of the host's loops."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

_NAME: Final = "autoperf-mcp"


class LoopThread:
    """Started when it is first needed; where no thread can be started any more, there is no loop."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Whether the loop runs; it is started if need be."""
        if self.running:
            return True
        with self._lock:
            if not self.running:
                self._begin()
            return self.running

    def _begin(self) -> None:
        # By the policy in effect: the way child processes are watched belongs to it. What a loop waits for
        # itself would keep the context of the turn that needs it first.
        loop = contextvars.Context().run(asyncio.new_event_loop)
        thread = threading.Thread(target=_run, args=(loop,), name=_NAME, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter shuts down (3.12), or there are too many threads
            loop.close()
            return
        self._loop, self._thread = loop, thread

    @property
    def running(self) -> bool:
        """Whether there is a loop to give work to."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def inside(self) -> bool:
        """Whether the caller is in the thread itself, which must not wait for itself."""
        return self._thread is threading.current_thread()

    def soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Have ``function(*args)`` called in the loop; where there is none, nothing happens."""
        if self._loop is not None and self.running:
            self._loop.call_soon_threadsafe(function, *args)

    async def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What ``work`` returns in our loop; cancelling the caller cancels it. It must not raise."""
        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def wait(self, work: Coroutine[Any, Any, Any], timeout: float) -> None:
        """Give ``work`` up to ``timeout`` s from a thread that has no loop to wait in."""
        if self._loop is None or not self.running or self.inside:
            work.close()
            return
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(timeout)
        except TimeoutError:
            future.cancel()
        except Exception:
            # Python 3.10 has another TimeoutError here; what is left to do is done without the loop.
            future.cancel()

    def stop(self) -> None:
        """End the loop; the next need starts another one."""
        with self._lock:
            self.soon(_stop)
            self._loop = self._thread = None

    def forked(self) -> None:
        """In a child made by fork: the thread stayed behind."""
        self._lock = threading.RLock()
        self._loop = self._thread = None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _stop() -> None:
    asyncio.get_running_loop().stop()
