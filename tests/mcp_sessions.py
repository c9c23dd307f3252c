"""What the tests of MCP sessions share: a host with the rows of a feature applied, and a server's diary."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.mcp import keep, lookup
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.mcp.pool import Sessions
from autoperf.patching.patch import Patch, PatchSet, wrapping
from autoperf.patching.tracebacks import without_our_frames
from tests import mcp_host

SERVERS = Path(__file__).parent / "mcp_servers"
HOST = "tests.mcp_host"
TARGETS = {
    "session": f"{HOST}:Client._execute_with_session",
    "update": f"{HOST}:Config.update",
    "settings": f"{HOST}:apply_settings",
    "project": f"{HOST}:Config.get_project_instance",
}
LOOP = "autoperf-mcp"


@contextmanager
def feature(name: str, limits: Limits = Limits(), tracing: Any = None) -> Iterator[Probe]:  # noqa: B008
    """The host with ``mcp-keep``, ``mcp-standby`` or, as ``bare``, without; all servers gone afterwards."""
    probe = Probe(tracing)
    probe.mcp_limits = limits
    rows = {"keep": [keep.keep], "standby": [keep.standby], "both": [keep.keep, keep.standby]}
    found = [row for make in rows.get(name, ()) for row in make(TARGETS, probe)]
    if tracing is not None:
        found.insert(0, (TARGETS["session"], wrapping(lookup.session(probe))))
    patches = PatchSet([Patch(target, name, build) for target, build in found])
    patches.start()
    probe.rows = patches.rows  # type: ignore[attr-defined]
    try:
        yield probe
    finally:
        patches.stop()
        for work in probe.at_stop:
            work()


class Diary:
    """What every process of the plain server wrote down."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "diary"
        self.path.touch()

    def server(self, *how: str, **fields: Any) -> mcp_host.Server:
        args = ["-S", str(SERVERS / "plain.py"), str(self.path), *how]
        return mcp_host.Server("plain", command=sys.executable, args=args, **fields)

    def lines(self, *words: str) -> list[tuple[int, str]]:
        """Process and text of the lines whose text begins with one of ``words``, or of all."""
        rows = [line.partition(" ") for line in self.path.read_text().splitlines()]
        found = [(int(pid), text.strip()) for pid, _, text in rows]
        return [row for row in found if not words or row[1].startswith(words)]

    def running(self) -> list[int]:
        return [pid for pid, _ in self.lines("begins") if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for what happens in another thread or process."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
    return found


async def soon(true: Callable[[], Any]) -> Any:
    """`until` in a loop that goes on."""
    return await asyncio.to_thread(until, true)


async def outcome(work: Awaitable[Any]) -> str:
    """The result, or the error as the host formats it."""
    try:
        return str(await work)
    except Exception as error:
        without_our_frames(error)
        return "".join(traceback.format_exception(error))


def pid_of(answer: str) -> int:
    return int(answer.split()[0])


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == LOOP]


def sessions_of(probe: Probe) -> Any:
    """What keeps the sessions, among all that has something to do at the end."""
    owners = (getattr(work, "__self__", None) for work in probe.at_stop)
    return next(owner for owner in owners if isinstance(owner, Sessions))
