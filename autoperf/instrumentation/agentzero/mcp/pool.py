"""What kept sessions and servers that stand by share: the loop, the limits, and every way they end."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.standins import nothing, standing_in
from autoperf.instrumentation.agentzero.mcp import server_process
from autoperf.instrumentation.agentzero.mcp.connection import Connection
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.mcp.loop_thread import LoopThread
from autoperf.instrumentation.agentzero.mcp.operation import Visit
from autoperf.memo.counters import Lookups
from autoperf.memo.snapshot import signature
from autoperf.telemetry.exits import finish_with_multiprocessing

# At the end of the process, for all servers together; after that they are ended by force.
_LEAVING_SECONDS: Final = 1.0
# The mcp package gives a server 2 s to end by itself and 2 s more to end on request.
_ENDING_SECONDS: Final = 6.0
_LONGEST_NAP: Final = 5.0
_PROGRAMS: Final = (".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".jar")


def marked(client: Any) -> Any:
    """What a session of ``client`` depends on: its configuration, and the program files named in it."""
    fields = vars(client.server)
    names = [shutil.which(command)] if (command := fields.get("command")) else []
    names += [arg for arg in fields.get("args") or () if isinstance(arg, str) and arg.endswith(_PROGRAMS)]
    return repr(fields), tuple(_look(name) for name in names if name)


def _look(path: str) -> Any:
    try:
        seen = os.stat(path)
    except (OSError, ValueError):
        return None
    return signature(seen) if stat.S_ISREG(seen.st_mode) else None


def is_local(client: Any) -> bool:
    """Whether its server is a process that the host starts."""
    return bool(getattr(client.server, "command", None))


class Sessions:
    """Every connection there is, from when it begins to open until its server has ended."""

    def __init__(self, limits: Limits, lookups: Lookups) -> None:
        self.limits = limits
        self.lookups = lookups
        self.loop = LoopThread()
        self.lock = threading.RLock()
        self.connections: set[Connection] = set()
        self.stopped = False
        self._known = False
        self._at_exit = standing_in("mcp sessions", self.leave, nothing)
        self._tending: asyncio.Task[None] | None = None

    def ready(self) -> bool:
        """Whether anything can be opened here and now."""
        if self.stopped or not self.loop.start():
            return False
        if not self._known:
            self._known = True
            atexit.register(self._at_exit)
            finish_with_multiprocessing(self._at_exit)
        return True

    def new(self, client: Any, mark: Any) -> Connection:
        """A connection that counts from now on; `opened` is to follow."""
        connection = Connection(client, mark)
        connection.at_end = self.ended
        with self.lock:
            self.connections.add(connection)
        return connection

    async def opened(self, connection: Connection) -> Connection | Exception:
        """In our loop: ``connection`` with an open transport, or what opening it raised."""
        if self._tending is None or self._tending.done():
            # It outlasts the turn that begins it, as the sessions do.
            self._tending = contextvars.Context().run(asyncio.ensure_future, self._tend())
        error = await connection.open()
        if error is not None:
            return error
        if self.stopped:
            connection.close()
        return connection

    def ended(self, connection: Connection) -> None:
        """In our loop: the server of ``connection`` has ended."""
        with self.lock:
            self.connections.discard(connection)

    async def _end_tending(self) -> None:
        if self._tending is not None:
            self._tending.cancel()

    async def _tend(self) -> None:
        nap = min(_LONGEST_NAP, self.limits.idle / 4)
        while self.connections:
            await asyncio.sleep(nap)
            with guarded("mcp sessions"):
                self.expire(time.monotonic() - self.limits.idle)
                for connection in list(self.connections):
                    if connection.overdue(_ENDING_SECONDS):
                        server_process.kill(connection.process)

    def expire(self, before: float) -> None:
        """In our loop, now and then: close what has not been used since ``before`` (`time.monotonic`)."""
        raise NotImplementedError

    def retire(self, concerned: Callable[[Any], bool]) -> None:
        """Use no session any more whose client is ``concerned``; the operations under way go on."""
        with self.lock:
            for connection in list(self.connections):
                if concerned(connection.client):
                    connection.retired = True
        self.loop.soon(self.expire, float("-inf"))

    # -- the end

    def leave(self) -> None:
        """End every server, in about 1.5 s, where the interpreter exits.

        A process that is killed or goes on as another program ends none: its servers see the end of their
        input, as those of the host itself do then.
        """
        self.stopped = True
        connections = list(self.connections)
        if connections:
            found = [connection.process for connection in connections]
            self.loop.wait(_closed(connections), _LEAVING_SECONDS)
            server_process.end(found)

    def stop(self) -> None:
        """End everything and take our hands off."""
        self.leave()
        self.loop.wait(self._end_tending(), _LEAVING_SECONDS)
        self.loop.stop()
        atexit.unregister(self._at_exit)

    def forked(self) -> None:
        """In a child made by fork: the sessions are the parent's."""
        self.lock = threading.RLock()
        self.loop.forked()
        self.connections = set()
        self._tending = None

    # -- for operations

    async def lease(self, visit: Visit) -> Connection | Exception | None:
        """See `autoperf.instrumentation.agentzero.mcp.operation.Source`."""
        raise NotImplementedError

    async def again(self, visit: Visit) -> Connection | None:
        """See `autoperf.instrumentation.agentzero.mcp.operation.Source`."""
        raise NotImplementedError

    def over(self, visit: Visit, connection: Connection, *, cancelled: bool, failed: bool) -> None:
        """See `autoperf.instrumentation.agentzero.mcp.operation.Source`."""
        raise NotImplementedError


async def _closed(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
    for connection in connections:
        await connection.ended.wait()
