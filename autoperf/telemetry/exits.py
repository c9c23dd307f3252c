"""The ways a process ends or splits: a last call at each of them, and silence afterwards."""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from autoperf.errors import guarded


class Ending(Protocol):
    """What has something to do before the process ends."""

    def shutdown(self) -> None:
        """Do it, within a bound; called again it does nothing."""

    def leave(self) -> None:
        """The same where nothing of the process comes after it, no atexit function of anybody's."""

    def resume(self) -> None:
        """Take up work again: the process did not end after all."""

    def alive(self) -> bool:
        """Whether there is anything to do in this process; False in a child that has only been forked."""


class Leaving(Protocol):
    """What else has something to do where the process ends."""

    def leave(self) -> None:
        """Do it, within a bound."""

    def resume(self) -> None:
        """The process did not end after all."""


_leaving: weakref.WeakSet[Leaving] = weakref.WeakSet()


def tell_of_leaving(leaving: Leaving) -> None:
    """Have ``leaving.leave()`` called at SIGTERM, ``os.exec*`` and ``os._exit``, where `Exits` sees them."""
    _leaving.add(leaving)


def _tell(action: str) -> None:
    for leaving in list(_leaving):
        with guarded(f"leaving:{action}"):
            getattr(leaving, action)()


class Exits:
    """Calls ``shutdown`` at interpreter exit, SIGTERM, ``os.exec*``, ``os._exit`` and the end of a
    multiprocessing child, until `undo`.

    SIGTERM is taken only in the main thread and only where nobody else has; the process still dies of it.
    """

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._finish, self._leave = ending.shutdown, ending.leave
        self._handler = self._on_sigterm
        atexit.register(self._finish)
        self._took_sigterm = _free_sigterm()
        if self._took_sigterm:
            signal.signal(signal.SIGTERM, self._handler)
        # The variants of exec in `os` look these two up when they are called; subprocess uses none of them.
        self._replaced = {name: self._replace(name) for name in ("execv", "execve", "_exit")}
        finish_with_multiprocessing(self._leave)

    def come_first(self) -> None:
        """At interpreter exit, be called before all that has been registered up to now."""
        atexit.unregister(self._finish)
        atexit.register(self._finish)

    def undo(self) -> None:
        """Take everything back; a handler or function that somebody has put over ours stays."""
        atexit.unregister(self._finish)
        for name, (ours, original) in self._replaced.items():
            if getattr(os, name) is ours:
                setattr(os, name, original)
        self._replaced = {}
        if self._took_sigterm and threading.current_thread() is threading.main_thread():
            self._took_sigterm = False
            if signal.getsignal(signal.SIGTERM) == self._handler:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _replace(self, name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        original: Callable[..., Any] = getattr(os, name)

        @functools.wraps(original)
        def leave(*args: Any, **kwargs: Any) -> Any:
            leaving = away = False
            with guarded(f"telemetry:os.{name}"):
                away = _leads_away(name, args)
                leaving = self._ending.alive() and away
                if away:
                    _tell("leave")
                if leaving:
                    self._leave()
            try:
                return original(*args, **kwargs)
            finally:
                if away:
                    _tell("resume")
                if leaving:  # and yet it came back: there was nothing to execute
                    with guarded(f"telemetry:os.{name}"):
                        self._ending.resume()

        setattr(os, name, leave)
        return leave, original

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        _tell("leave")
        with guarded("telemetry:SIGTERM"):
            self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Only process 1 of a container gets here: for it there is no default of dying.
        _tell("resume")
        with guarded("telemetry:SIGTERM"):
            self._ending.resume()


def _leads_away(name: str, args: tuple[Any, ...]) -> bool:
    # A search along PATH tries one folder after the other.
    return name == "_exit" or not args or os.access(args[0], os.X_OK)


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
