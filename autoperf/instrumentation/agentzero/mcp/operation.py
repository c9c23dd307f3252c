"""One operation of the host's on a session of ours: the host's own client, over a bridge between loops."""

from __future__ import annotations

import asyncio
import math
from importlib import import_module
from typing import Any, Protocol

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.mcp import messages
from autoperf.instrumentation.agentzero.mcp.connection import Connection, Greeting
from autoperf.instrumentation.agentzero.mcp.loop_thread import LoopThread

_SEAM = "mcp sessions"


class Source(Protocol):
    """Where an operation gets its connection, and where it leaves it."""

    loop: LoopThread

    async def lease(self, visit: Visit) -> Connection | Exception | None:
        """A connection for this operation alone, or what the host's transport raised; None: go without us."""

    async def again(self, visit: Visit) -> Connection | None:
        """A fresh one, initialised: the one leased was found dead before anything was sent."""

    def over(self, visit: Visit, connection: Connection, *, cancelled: bool, failed: bool) -> None:
        """The operation has ended; called in its loop, must not wait."""


class Visit:
    """What happens between the host's operation, in its loop, and the connection, in ours.

    The host's function runs unchanged, with `StandIn` for its client: its session, timeouts, error texts and
    clean-up are its own. Only what it sends goes to a server that has been initialised before, and to that
    the answer is the one that the server gave then.
    """

    def __init__(self, client: Any, source: Source) -> None:
        self.client = client
        self.source = source
        self.guest = _Guest(self)
        self._fate = _Fate()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._inbox: Any = None
        self._request: Any = None
        self._greeted = False
        self._unanswered = 0
        self._asked = False
        self._putting = False
        self._lost = False

    async def transport(self, stack: Any) -> Any:
        """What the host's transport would give: the two streams."""
        found: Connection | Exception | None = None
        with guarded(_SEAM):
            found = await self.source.lease(self)
        if found is None:
            return await self.client._create_stdio_transport(stack)
        if isinstance(found, Exception):
            raise found
        self.loop = asyncio.get_running_loop()
        await stack.enter_async_context(self._fate)
        self._inbox, receive = import_module("anyio").create_memory_object_stream(math.inf)
        self._settle(found)
        return receive, _Outbox(self)

    def _settle(self, connection: Connection) -> None:
        self._connection = connection
        self._greeted = connection.answer is not None
        self.source.loop.soon(connection.occupy, self.guest)
        self._lost = False
        if connection.dead:
            self.hang_up(connection)

    async def send(self, item: Any) -> None:
        """What the host's session sends; raises what its transport would have raised."""
        assert self._connection is not None
        method = messages.method(item)
        if method == messages.INITIALIZE:
            self._request = item
            if self._greeted:
                self.deliver(messages.answered(self._connection.answer, item), ours=True)
                return
        elif method == messages.INITIALIZED:
            if self._greeted:
                return
            self._connection.greeting = Greeting(self._request, item)
        elif messages.lists_tools(item) and self._asked and self._connection.tools is not None:
            # Not the operation wants to know, but the session itself, to check the result of a call.
            self.deliver(messages.changed(self._connection.tools, id=messages.request_id(item)), ours=True)
            return
        asks = method is not None and messages.request_id(item) is not None
        self._unanswered += asks
        self._asked = self._asked or (asks and method != messages.INITIALIZE)
        trouble = await self._put(item)
        if trouble is not None and self._greeted:
            trouble = await self._put_again(item, trouble)
        if trouble is not None:
            self._unanswered -= asks
            raise trouble

    async def _put(self, item: Any) -> Exception | None:
        assert self._connection is not None
        self._putting = True
        try:
            trouble: Exception | None = await self.source.loop.ask(self._connection.put(item, self.guest))
        finally:
            self._putting = False
        if trouble is None and self._lost and self._unanswered:
            self._inbox.close()
        return trouble

    async def _put_again(self, item: Any, trouble: Exception) -> Exception | None:
        fresh = None
        # The end of the old one may be told of only now.
        self._putting = True
        try:
            with guarded(_SEAM):
                fresh = await self.source.again(self)
        finally:
            self._putting = False
        if fresh is None:
            return trouble
        self._settle(fresh)
        return await self._put(item)

    def deliver(self, item: Any, *, ours: bool = False) -> None:
        """Give the host's session what the server said."""
        if not isinstance(item, Exception) and messages.method(item) is None and not ours:
            self._unanswered -= 1
            first = self._request is not None and messages.request_id(item) == messages.request_id(
                self._request
            )
            if first and not self._greeted and not messages.is_error(item) and self._connection is not None:
                self._connection.answer = item
        if self._inbox is not None:
            try:
                self._inbox.send_nowait(item)
            except Exception:
                self._inbox.close()  # the host's session has gone

    def hang_up(self, connection: Connection | None, failure: Exception | None = None) -> None:
        """Nothing more comes from ``connection``: the host's session sees its transport end, or break."""
        if connection is not self._connection:
            return
        self._lost = True
        # A server that died while it was kept: as long as nothing has been sent to it, another one is asked.
        if failure is not None and (self._unanswered or not self._greeted):
            self._fate.befall(failure)
        elif self._inbox is not None and not self._putting and (self._unanswered or not self._greeted):
            self._inbox.close()

    def end(self, *, cancelled: bool, failed: bool) -> None:
        """The operation is over; a request without an answer was given up, or has timed out."""
        if self._inbox is not None:
            self._inbox.close()
        if self._connection is not None:
            pending = self._unanswered > 0
            self.source.over(
                self,
                self._connection,
                cancelled=cancelled and pending,
                failed=failed or (pending and not cancelled),
            )

    @property
    def connection(self) -> Connection | None:
        """The one in use."""
        return self._connection


class _Guest:
    """The visit as the connection sees it, from our loop."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def deliver(self, item: Any) -> None:
        """Pass ``item`` on to the operation's loop."""
        self._call(self._visit.deliver, item)

    def hang_up(self, connection: Connection, failure: Exception | None = None) -> None:
        """Tell the operation's loop that this connection has ended."""
        self._call(self._visit.hang_up, connection, failure)

    def _call(self, function: Any, *args: Any) -> None:
        loop = self._visit.loop
        if loop is not None:
            try:  # noqa: SIM105
                loop.call_soon_threadsafe(function, *args)
            except RuntimeError:
                pass  # that loop has been closed, and nobody waits in it


class _Fate:
    """Entered into the host's stack: what a transport does to an operation when it breaks, from afar.

    As the task group of a transport does: cancels what is inside it, and raises the reason on the way out.
    """

    def __init__(self) -> None:
        self._scope: Any = None
        self._failure: Exception | None = None

    def befall(self, failure: Exception) -> None:
        """In the operation's loop: the transport broke with ``failure``."""
        if self._scope is not None and self._failure is None:
            self._failure = failure
            self._scope.cancel()

    async def __aenter__(self) -> None:
        self._scope = import_module("anyio").CancelScope()
        self._scope.__enter__()

    async def __aexit__(self, *how: Any) -> bool | None:
        scope, self._scope = self._scope, None
        swallowed: bool | None = scope.__exit__(*how)
        if self._failure is not None:
            raise self._failure
        return swallowed


class _Outbox:
    """The sending half, as far as the host's session uses one."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    async def send(self, item: Any) -> None:
        await self._visit.send(item)

    async def aclose(self) -> None:
        """Nothing to close here: the visit ends with the operation."""

    async def __aenter__(self) -> _Outbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class StandIn:
    """Takes the place of the host's client in its own function: only the transport is another one."""

    def __init__(self, visit: Visit) -> None:
        object.__setattr__(self, "_autoperf_visit", visit)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_autoperf_visit").client, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_autoperf_visit").client, name, value)

    async def _create_stdio_transport(self, current_exit_stack: Any) -> Any:
        visit: Visit = object.__getattribute__(self, "_autoperf_visit")
        return await visit.transport(current_exit_stack)
