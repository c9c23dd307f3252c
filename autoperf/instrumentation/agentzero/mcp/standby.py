"""Servers that stand by: every call has its own, started after the one before had ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.mcp import server_process
from autoperf.instrumentation.agentzero.mcp.connection import Connection, Greeting
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.mcp.operation import Visit
from autoperf.instrumentation.agentzero.mcp.pool import Sessions, is_local, marked
from autoperf.memo.counters import Lookups

_GREETING_SECONDS: Final = 60.0


class _Place:
    """One client's server: the one that stands by, and what it is made from."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.standing: Connection | None = None
        self.preparing: asyncio.Task[None] | None = None
        self.greeting: Greeting | None = None
        self.under_way: set[Connection] = set()
        self.size = 0  # bytes, when it was last seen ready


class Standby(Sessions):
    """Only for servers that the host starts as processes; all state belongs to our loop."""

    def __init__(self, limits: Limits, lookups: Lookups) -> None:
        super().__init__(limits, lookups)
        self._places: dict[int, _Place] = {}

    async def lease(self, visit: Visit) -> Connection | Exception | None:
        """The server that stands by, or is being made ready; otherwise a new one."""
        if not is_local(visit.client) or not self.ready():
            return None
        leased: Connection | Exception = await self.loop.ask(self._lease(visit.client, marked(visit.client)))
        return leased

    async def _lease(self, client: Any, mark: Any) -> Connection | Exception:
        place = self._places.get(id(client))
        if place is None:
            place = self._places[id(client)] = _Place(client)
        while place.preparing is not None:
            # As bare, the next server starts only when the one before has ended; this one is about to.
            await asyncio.wait([place.preparing])
        standing, place.standing = place.standing, None
        found: Connection | Exception
        if standing is not None and standing.mark == mark and standing.usable:
            self.lookups.count(hit=True)
            found = standing
        else:
            if standing is not None:
                standing.close()
                await standing.ended.wait()
            self.lookups.count(hit=False)
            found = await self.opened(self.new(client, mark))
        if isinstance(found, Connection):
            place.under_way.add(found)
        return found

    async def again(self, visit: Visit) -> Connection | None:
        """A new one in place of one that died while it stood by."""
        dead = visit.connection
        if dead is None or dead.greeting is None or not self.ready():
            return None
        fresh: Connection | None = await self.loop.ask(self._again(visit.client, dead, dead.greeting))
        return fresh

    async def _again(self, client: Any, dead: Connection, greeting: Greeting) -> Connection | None:
        dead.close()
        place = self._places.get(id(client))
        if place is not None:
            place.under_way.discard(dead)
        new = await self.opened(self.new(client, marked(client)))
        if not isinstance(new, Connection):
            return None
        if not await new.greet(greeting, _GREETING_SECONDS):
            new.close()
            return None
        if place is not None:
            place.under_way.add(new)
        return new

    def over(self, visit: Visit, connection: Connection, *, cancelled: bool, failed: bool) -> None:  # noqa: ARG002
        """End the server, then start the next one, while the host goes on."""
        self.loop.soon(self._over, connection)

    def _over(self, connection: Connection) -> None:
        connection.close()
        place = self._places.get(id(connection.client))
        if place is None:
            return
        place.under_way.discard(connection)
        place.greeting = connection.greeting or place.greeting
        if not place.under_way and place.preparing is None and place.standing is None:
            place.preparing = asyncio.ensure_future(self._prepare(place, connection))

    async def _prepare(self, place: _Place, before: Connection) -> None:
        try:
            await before.ended.wait()
            with guarded("mcp standby"):
                retired = before.retired or self.stopped
                if not retired and place.greeting is not None and self._makes_room(place):
                    await self._start(place, place.greeting)
        finally:
            place.preparing = None
            if place.standing is None and not place.under_way:
                self._places.pop(id(place.client), None)

    async def _start(self, place: _Place, greeting: Greeting) -> None:
        new = await self.opened(self.new(place.client, marked(place.client)))
        if not isinstance(new, Connection):
            return
        if not await new.greet(greeting, _GREETING_SECONDS) or not new.usable:
            new.close()
            return
        place.size = server_process.memory(new.process)
        place.standing = new
        new.idle_since = time.monotonic()
        if not self._makes_room(place):
            self._drop(place)

    def _makes_room(self, place: _Place) -> bool:
        """Whether ``place`` fits into the bound, once those that have waited longest have made room."""
        others = [each for each in self._places.values() if each.standing is not None and each is not place]
        others.sort(key=lambda each: each.standing.idle_since if each.standing else 0.0, reverse=True)
        while others and place.size + sum(each.size for each in others) > self.limits.standby:
            self._drop(others.pop())
        return place.size <= self.limits.standby

    def _drop(self, place: _Place) -> None:
        if place.standing is not None:
            place.standing.close()
            place.standing = None
        if not place.under_way and place.preparing is None:
            self._places.pop(id(place.client), None)

    def expire(self, before: float) -> None:
        """End what has stood by unused since ``before``, has died, or is of a former configuration."""
        for place in list(self._places.values()):
            standing = place.standing
            if standing is not None and (not standing.usable or standing.idle_since < before):
                self._drop(place)

    def forked(self) -> None:
        """In a child made by fork: the servers are the parent's."""
        super().forked()
        self._places = {}
