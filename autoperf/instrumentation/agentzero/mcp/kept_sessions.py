"""Sessions that stay open: a call uses one that is idle, and leaves it open for the next."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from autoperf.instrumentation.agentzero.mcp.connection import Connection
from autoperf.instrumentation.agentzero.mcp.operation import Visit
from autoperf.instrumentation.agentzero.mcp.pool import Sessions, is_local, marked

# How long a server may take for a ping: over HTTP before a call, and after a call was cancelled.
_PING_SECONDS: Final = 2.0
_GREETING_SECONDS: Final = 60.0


class Kept(Sessions):
    """One operation at a time has a session; operations at the same time have one each, within the limit."""

    async def lease(self, visit: Visit) -> Connection | Exception | None:
        """One that is idle and answers, or a new one; None beyond the limit: the host opens its own."""
        if not self.ready():
            return None
        mark = marked(visit.client)
        while (idle := self._take(visit.client, mark)) is not None:
            if is_local(visit.client) or await self.loop.ask(idle.responds(_PING_SECONDS)):
                self.lookups.count(hit=True)
                return idle
            self.loop.soon(idle.close)
        self.lookups.count(hit=False)
        if (new := self._new(visit.client, mark)) is None:
            return None
        opened: Connection | Exception | None = None
        try:
            opened = await self.loop.ask(self.opened(new))
            return opened
        finally:
            if opened is None:
                self.loop.soon(new.close)

    def _take(self, client: Any, mark: Any) -> Connection | None:
        with self.lock:
            # The one used last: the others, opened for operations at the same time, can go idle.
            for connection in sorted(self.connections, key=lambda each: each.idle_since, reverse=True):
                if not connection.idle or connection.client is not client:
                    continue
                connection.idle = False
                if connection.mark == mark and connection.usable:
                    return connection
                self.loop.soon(connection.close)
        return None

    def _new(self, client: Any, mark: Any) -> Connection | None:
        with self.lock:
            alive = [connection for connection in self.connections if not connection.dead]
            if len(alive) >= self.limits.sessions:
                idle = [connection for connection in alive if connection.idle]
                if not idle:
                    return None
                oldest = min(idle, key=lambda each: each.idle_since)
                oldest.idle, oldest.dead = False, True
                self.loop.soon(oldest.close)
            return self.new(client, mark)

    async def again(self, visit: Visit) -> Connection | None:
        """A new one, greeted in the words of the one that was found dead."""
        dead = visit.connection
        if dead is None or dead.greeting is None or not self.ready():
            return None
        self.loop.soon(dead.close)
        new = await self.loop.ask(self.opened(self.new(visit.client, marked(visit.client))))
        if not isinstance(new, Connection):
            return None
        if await self.loop.ask(new.greet(dead.greeting, _GREETING_SECONDS)):
            return new
        self.loop.soon(new.close)
        return None

    def over(self, visit: Visit, connection: Connection, *, cancelled: bool, failed: bool) -> None:
        """Idle again, unless something went wrong; after a cancellation once it is seen to answer."""
        if cancelled:
            self.loop.soon(self._recover_soon, visit, connection)
        elif failed or connection.dead or connection.retired or connection.greeting is None:
            self.loop.soon(connection.close)
        else:
            self.loop.soon(connection.occupy, None)
            self._idle(connection)

    def _idle(self, connection: Connection) -> None:
        with self.lock:
            connection.idle_since = time.monotonic()
            connection.idle = True

    def _recover_soon(self, visit: Visit, connection: Connection) -> None:
        connection.recovering = asyncio.ensure_future(self._recover(visit, connection))

    async def _recover(self, visit: Visit, connection: Connection) -> None:
        connection.occupy(None)
        await connection.give_up(visit.guest)
        if connection.usable and await connection.responds(_PING_SECONDS):
            self._idle(connection)
        else:
            connection.close()

    def expire(self, before: float) -> None:
        """Close what is idle and was not used since ``before``, or belongs to a former configuration."""
        with self.lock:
            for connection in list(self.connections):
                if connection.idle and (connection.retired or connection.idle_since < before):
                    connection.idle = False
                    connection.close()
