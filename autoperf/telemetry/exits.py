"""The ways a process ends or splits that can be told of without taking anything from it: exit and fork.

No signal handler and no replaced ``os.execv`` or ``os._exit``: a Python handler in the place of the default
keeps a forked child and a thread in C code from dying of SIGTERM. What ends so loses what the store's thread
had not written yet, a second's work at most, and its record has no end.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from typing import Final, Protocol

from autoperf.errors import guarded
from autoperf.errors.standins import nothing, standing_in

_SEAM: Final = "telemetry:exit"


class Exits:
    """Calls ``finish`` at interpreter exit and at the end of a multiprocessing child, until `undo`."""

    def __init__(self, finish: Callable[[], None]) -> None:
        again = standing_in(_SEAM, finish, nothing)
        self._finish = standing_in(_SEAM, finish, again)
        atexit.register(self._finish)
        finish_with_multiprocessing(self._finish)

    def come_first(self) -> None:
        """At interpreter exit, be called before all that has been registered up to now."""
        atexit.unregister(self._finish)
        atexit.register(self._finish)

    def undo(self) -> None:
        """Be called no more at interpreter exit."""
        atexit.unregister(self._finish)


def finish_with_multiprocessing(finish: Callable[[], None]) -> None:
    """In a multiprocessing child, which leaves by ``os._exit`` past atexit: ``finish`` before it does."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is None or util is None:
        return
    if process.parent_process() is not None:
        util.Finalize(None, finish, exitpriority=10)
    elif getattr(process.current_process(), "_inheriting", False):
        # Not forked from the host, its main module is being imported: the list of what is to be finished is
        # emptied after that. It is held weakly.
        util.register_after_fork(finish, lambda _: util.Finalize(None, finish, exitpriority=10))


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
