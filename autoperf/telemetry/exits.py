"""The ways a process ends or splits: a last call at each of them, and silence afterwards."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from autoperf.errors import guarded


class Exits:
    """Calls ``finish`` at interpreter exit, SIGTERM and the end of a multiprocessing child, until `undo`.

    SIGTERM is taken only in the main thread and only where nobody else has; the process still dies of it.
    """

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self._handler = self._on_sigterm
        atexit.register(finish)
        self._took_sigterm = _free_sigterm()
        if self._took_sigterm:
            signal.signal(signal.SIGTERM, self._handler)
        finish_with_multiprocessing(finish)

    def undo(self) -> None:
        """Take everything back; a handler that somebody has put over ours stays."""
        atexit.unregister(self._finish)
        if self._took_sigterm and threading.current_thread() is threading.main_thread():
            self._took_sigterm = False
            if signal.getsignal(signal.SIGTERM) == self._handler:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        with guarded("telemetry:SIGTERM"):
            self._finish()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _free_sigterm() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def finish_with_multiprocessing(finish: Callable[[], None]) -> None:
    """In a multiprocessing child, which leaves by ``os._exit`` past atexit: ``finish`` before it does."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, finish, exitpriority=10)


class Forkable(Protocol):
    """Something that has to begin anew in a forked child."""

    def forked(self) -> None:
        """Called in the child, before any of the host's code runs there."""


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()


def tell_of_forks(forkable: Forkable) -> None:
    """Have ``forkable.forked()`` called in every forked child for as long as it lives."""
    _forkable.add(forkable)


def _after_fork() -> None:
    for forkable in list(_forkable):
        with guarded("telemetry:fork"):
            forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
