"""One initialised session with a server, opened and left by one task, used by one operation at a time."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import psutil

from autoperf.instrumentation.agentzero.mcp import messages, server_process


class Guest(Protocol):
    """The operation that uses a connection; called in the connection's loop."""

    def deliver(self, item: Any) -> None:
        """Take a message, or an exception of the transport's, from the server."""

    def hang_up(self, connection: Connection, failure: Exception | None = None) -> None:
        """Nothing more will come from ``connection``; ``failure`` is what its transport broke with."""


class Greeting(NamedTuple):
    """What the host's session says first: its request to initialise, and that it has the answer."""

    request: Any
    notification: Any


class _Own:
    """A question of ours."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def deliver(self, item: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(item)

    def hang_up(self, _connection: Connection, _failure: Exception | None = None) -> None:
        self.deliver(None)


class Connection:
    """``client`` is the host's client, which opens the transport; ``mark`` what it was configured with.

    Everything but the plain flags is for the loop in which `own` runs.
    """

    def __init__(self, client: Any, mark: Any) -> None:
        self.client = client
        self.mark = mark
        self.dead = False
        self.retired = False  # the configuration has changed: no operation after the present one
        self.idle = False  # waiting for an operation
        self.idle_since = time.monotonic()
        self.at_end: Callable[[Connection], None] | None = None
        self.recovering: asyncio.Task[None] | None = None
        self.answer: Any = None
        self.tools: Any = None  # the answer to a request for its tools, until it says that they have changed
        self.greeting: Greeting | None = None
        self.process: psutil.Process | None = None
        self.ended = asyncio.Event()
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[Exception | None] | None = None
        self._write: Any = None
        self._guest: Guest | None = None
        self._numbers = itertools.count(1)
        self._breaking = False
        self._listing: int | None = None
        self._closed_at = float("inf")
        self._waiting: dict[Any, tuple[Guest, Any]] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> Exception | None:
        """Start the task that owns the session; what opening raised, as a value: it is raised elsewhere."""
        if self.dead:
            return ConnectionError("closed before it was opened")
        loop = asyncio.get_running_loop()
        self._opened = loop.create_future()
        # The session outlasts the turn that opens it: it keeps nothing of that turn's context.
        self._task = contextvars.Context().run(loop.create_task, self._own())
        try:
            return await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            self.close()
            raise

    async def _own(self) -> None:
        assert self._opened is not None
        failure: Exception | None = None
        try:
            async with server_process.Transports() as transports:
                try:
                    read, self._write = (await self.client._create_stdio_transport(transports))[:2]
                except Exception as error:
                    self._opened.set_result(error)
                    return
                self.process = transports.process
                self._opened.set_result(None)
                reader = asyncio.ensure_future(self._read(read))
                try:
                    await self._closing.wait()
                except asyncio.CancelledError:
                    self._breaking = True
                    raise
                finally:
                    self.dead = True
                    reader.cancel()
        except BaseException as error:
            # A transport that breaks cancels the task that opened it, and says why only on the way out.
            if isinstance(error, Exception):
                server_process.without_leaving(error)
                failure = error
            if not self._opened.done():
                self._opened.set_result(failure or RuntimeError(repr(error)))
        finally:
            self._over(failure if self._breaking else None)

    def _over(self, failure: Exception | None = None) -> None:
        self.dead = True
        for guest, _ in list(self._waiting.values()):
            guest.hang_up(self, failure)
        self._waiting.clear()
        if self._guest is not None:
            self._guest.hang_up(self, failure)
        if self.at_end is not None:
            self.at_end(self)
        self.ended.set()

    async def _read(self, read: Any) -> None:
        try:
            async for item in read:
                await self._arrived(item)
        except Exception as error:
            if self._guest is not None:
                self._guest.deliver(error)
        finally:
            self.dead = True
            self._closing.set()
            if self._guest is not None and not self._breaking:
                self._guest.hang_up(self)

    async def _arrived(self, item: Any) -> None:
        guest = self._guest
        if not isinstance(item, Exception) and messages.method(item) == messages.TOOLS_CHANGED:
            self._tools_changed()
        if isinstance(item, Exception):
            if guest is not None:
                guest.deliver(item)
        elif messages.method(item) is None:
            self._answered(item)
        elif guest is not None:
            guest.deliver(item)
        elif messages.request_id(item) is not None:
            with suppress(Exception):
                await self._write.send(messages.answer_alone(item))

    def _answered(self, item: Any) -> None:
        number = messages.request_id(item)
        if isinstance(number, str) and number.isdigit() and number not in self._waiting:
            number = int(number)
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            return  # to a request that was given up
        guest, original = waiting
        if number == self._listing:
            self._listing = None
            self.tools = None if messages.is_error(item) else item
        guest.deliver(messages.changed(item, id=original))

    def _tools_changed(self) -> None:
        # The answer that is on its way may have been made before.
        self.tools = self._listing = None

    def close(self) -> None:
        """Begin to leave the session; `ended` is set when the server has gone."""
        self.dead = True
        self._closed_at = min(self._closed_at, time.monotonic())
        self._closing.set()
        if self._task is None:
            self._over()
        elif self._opened is not None and not self._opened.done():
            self._task.cancel()

    def overdue(self, seconds: float) -> bool:
        """Whether the server was to end longer ago than this, and has not."""
        return not self.ended.is_set() and self._closed_at + seconds < time.monotonic()

    @property
    def usable(self) -> bool:
        """Whether it can take a request; looks at the process, of whose end nobody may have been told yet."""
        return not self.dead and not self.retired and server_process.running(self.process)

    # -- for the operation that uses it

    def occupy(self, guest: Guest | None) -> None:
        """From now on what the server says by itself is for ``guest``."""
        self._guest = guest

    async def put(self, item: Any, guest: Guest) -> Exception | None:
        """Hand a message to the transport, with an id that is new to this server.

        Returns why that was impossible: then nothing of it has been sent.
        """
        number = None
        if self.dead or not server_process.running(self.process):
            self.close()
            return BrokenPipeError("the server has gone")
        if messages.method(item) is not None and (original := messages.request_id(item)) is not None:
            number = next(self._numbers)
            self._waiting[number] = (guest, original)
            if messages.lists_tools(item):
                self._listing = number
            item = messages.changed(item, id=number)
        elif messages.method(item) == messages.CANCELLED:
            item = self._cancelling(item, guest)
        try:
            await self._write.send(item)
        except Exception as error:
            self._waiting.pop(number, None)
            self.close()
            return error
        return None

    def _cancelling(self, item: Any, guest: Guest) -> Any:
        parameters = dict(item.message.root.params or {})
        for number, (asking, original) in self._waiting.items():
            if asking is guest and original == parameters.get("requestId"):
                return messages.changed(item, params={**parameters, "requestId": number})
        return item

    # -- questions of our own

    async def greet(self, greeting: Greeting, timeout: float) -> bool:
        """Initialise the session as the host's own did before; whether the server has agreed."""
        answer = await self._ask(greeting.request, timeout)
        if answer is None or messages.is_error(answer):
            return False
        self.answer, self.greeting = answer, greeting
        return await self.put(greeting.notification, _Own()) is None

    async def responds(self, timeout: float) -> bool:
        """Whether the server answers a ping, whatever it answers, before ``timeout`` s are over."""
        if self.greeting is None:
            return False
        answer = await self._ask(messages.request(self.greeting.request, messages.PING, 0), timeout)
        # The transport itself says so in the server's name where that does not know the session any more.
        return answer is not None and not _terminated(answer)

    async def _ask(self, item: Any, timeout: float) -> Any:
        own = _Own()
        try:
            if await asyncio.wait_for(self.put(item, own), timeout) is not None:
                return None
            return await asyncio.wait_for(own.answer, timeout)
        except (TimeoutError, asyncio.TimeoutError):  # two classes up to Python 3.10
            return None

    async def give_up(self, guest: Guest) -> None:
        """Tell the server which requests of ``guest`` are not waited for any more."""
        if self.greeting is None:
            return
        for number in [n for n, (asking, _) in self._waiting.items() if asking is guest]:
            self._waiting.pop(number, None)
            with suppress(Exception):
                await self._write.send(messages.cancellation(self.greeting.notification, number))


def _terminated(answer: Any) -> bool:
    error = getattr(answer.message.root, "error", None)
    return getattr(error, "message", "") == "Session terminated"
