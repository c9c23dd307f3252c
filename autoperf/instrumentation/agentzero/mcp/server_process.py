"""The process behind a session: found in the transport that started it, weighed, ended with its children."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from types import FrameType
from typing import Any, Final

import psutil

from autoperf.errors import guarded

_GRACE_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.02
# What the transport of the `mcp` package calls the process that it has started.
_PROCESS: Final = "process"


class Transports(AsyncExitStack):
    """The stack into which the host enters a transport; knows the process that this started, if any."""

    process: psutil.Process | None = None

    async def enter_async_context(self, cm: Any) -> Any:
        """Enter ``cm`` and look for the process in it."""
        entered = await super().enter_async_context(cm)
        with guarded("mcp process"):
            frame = getattr(getattr(cm, "gen", None), "ag_frame", None)
            pid = getattr(frame.f_locals.get(_PROCESS), "pid", None) if frame is not None else None
            if isinstance(pid, int):
                with suppress(psutil.Error):
                    self.process = psutil.Process(pid)
        return entered


def without_leaving(error: BaseException) -> None:
    """Take the frames of leaving our stack from the traceback: the host's stack puts its own there."""
    trace = error.__traceback__
    while trace is not None and (trace is error.__traceback__ or _of_ours(trace.tb_frame)):
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def _of_ours(frame: FrameType) -> bool:
    return isinstance(frame.f_locals.get("self"), Transports)


def running(process: psutil.Process | None) -> bool:
    """Whether the process still runs; an unknown one is taken to."""
    if process is None:
        return True
    if hasattr(os, "waitid"):
        try:
            # A child of ours: whether it has ended, leaving its status to whoever started it.
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except OSError:
            pass  # its status has been taken, or it is a child's child
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def memory(process: psutil.Process | None) -> int:
    """Resident bytes of the process and its children; 0 where that cannot be told."""
    total = 0
    for member in _tree(process):
        with suppress(psutil.Error):
            total += member.memory_info().rss
    return total


def end(processes: Iterable[psutil.Process | None]) -> None:
    """End all of them with their children: politely, and by force after half a second."""
    members = [member for process in processes if running(process) for member in _tree(process)]
    for member in members:
        with suppress(psutil.Error):
            member.terminate()
    # Not psutil's waiting: it would take the exit status from whoever started the process.
    until = time.monotonic() + _GRACE_SECONDS
    while any(running(member) for member in members):
        if time.monotonic() >= until:
            break
        time.sleep(_LOOK_SECONDS)
    for member in members:
        if running(member):
            with suppress(psutil.Error):
                member.kill()


def kill(process: psutil.Process | None) -> None:
    """End it with its children at once, by force, without waiting."""
    for member in _tree(process) if running(process) else ():
        with suppress(psutil.Error):
            member.kill()


def _tree(process: psutil.Process | None) -> list[psutil.Process]:
    if process is None:
        return []
    children: list[psutil.Process] = []
    with suppress(psutil.Error):
        children = process.children(recursive=True)
    return [process, *children]
