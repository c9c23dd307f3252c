"""Named loop threads, and the tasks that run on them."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any, Callable, Coroutine


class EventLoopThread:
    _instances: dict[str, "EventLoopThread"] = {}
    _lock = threading.Lock()

    def __new__(cls, thread_name: str = "Background"):
        with cls._lock:
            threads = cls._instances
            if thread_name not in threads:
                instance = super().__new__(cls)
                instance.loop = asyncio.new_event_loop()
                instance.thread = threading.Thread(target=instance._run, daemon=True, name=thread_name)
                instance.thread.start()
                threads[thread_name] = instance
            return threads[thread_name]

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run_coroutine(self, coro: Coroutine[Any, Any, Any]) -> Future:
        submit = asyncio.run_coroutine_threadsafe
        return submit(coro, self.loop)


class DeferredTask:
    def __init__(self, thread_name: str = "Background"):
        self.event_loop_thread = EventLoopThread(thread_name)
        self._future: Future | None = None

    def start_task(self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any):
        self.func, self.args, self.kwargs = func, args, kwargs
        thread = self.event_loop_thread
        self._future = thread.run_coroutine(self._run())
        return self

    async def _run(self) -> Any:
        coroutine = self.func(*self.args, **self.kwargs)
        return await coroutine

    def is_ready(self) -> bool:
        return self._future is not None and self._future.done()

    def is_alive(self) -> bool:
        return bool(self._future and not self._future.done())

    def result_sync(self, timeout: float | None = None) -> Any:
        if not self._future:
            raise RuntimeError("nothing was started")
        return self._future.result(timeout)

    async def result(self, timeout: float | None = None) -> Any:
        if not self._future:
            raise RuntimeError("nothing was started")
        return await asyncio.wait_for(asyncio.wrap_future(self._future), timeout)

    def kill(self) -> None:
        if self.is_alive():
            self._future.cancel()
