"""Work that a turn sets going and does not wait for: a trace of its own, linked to the turn."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.tracing.turn import Turn


class Origin:
    """Where a task came from: ``label`` names what started it, ``task`` is the one that did.

    ``turn`` is the one it belongs to, if any: what is said of its agent and chat holds for the task as well.

    Tasks copy the context they are created in, so that one made while this is current carries it along; that
    it runs in another task than ``task`` tells it from work done on the spot. Until ``over``, what started it
    still goes on, and may be waiting for it.
    """

    __slots__ = ("_task", "label", "over", "turn")

    def __init__(self, label: str, turn: Turn | None, *, over: bool = True) -> None:
        self.label = label
        self.turn = turn
        self.over = over
        # A task holds its context, its result and, in an exception, its frames: agents all of them.
        task = current_task()
        self._task = None if task is None else weakref.ref(task)

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that started it; None where there was none, or it is gone."""
        return None if self._task is None else self._task()


def current_task() -> asyncio.Task[Any] | None:
    """The task that runs here; None in a thread without a loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def left(variable: ContextVar[Origin | None]) -> tuple[Origin, asyncio.Task[Any]] | None:
    """The origin and the task, once, where a task has begun to run beside what set it going; else None."""
    origin = variable.get()
    if origin is None:
        return None
    task = current_task()
    if task is None or task is origin.task:
        return None
    if not origin.over and origin.task is not None and task.get_loop() is origin.task.get_loop():
        return None  # as with asyncio.gather; what is not waited for in the same loop begins later than this
    variable.set(None)  # in the context of this task alone
    return origin, task


def end_with(task: asyncio.Task[Any], root: AbstractContextManager[Any], turn: Turn) -> None:
    """Close ``root`` when ``task`` is done, with the exception it ended with and the sums of ``turn``."""

    def done(_: object) -> None:
        with guarded("background"):
            # Not task.exception(): that would keep asyncio from reporting one that nobody asks for.
            turn.tell_layers(root)
            if getattr(root, "is_made", True):  # short work alone is worth no trace
                turn.tell_short(root)
            error = None if task.cancelled() else getattr(task, "_exception", None)
            root.__exit__(type(error) if error else None, error, None)

    task.add_done_callback(done)
