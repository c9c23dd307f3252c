"""Where an execution begins: what stands for ``execute`` on a tool's class, and the tools it acts for.

Nothing is put on a tool. The class that defines ``execute`` carries an `Execute` in its place, which looks
like the function it stands for and passes every call straight through, but for a tool under watch.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from operator import attrgetter
from types import CoroutineType, FunctionType, MethodType
from typing import Any, Final, Protocol

import wrapt

from autoperf.errors import guarded
from autoperf.errors.fence import method
from autoperf.errors.meters import meters
from autoperf.errors.standins import as_wrapped, nothing, standing_in

_NAME: Final = "execute"
_SEAM: Final = "execute"
_METER: Final = meters.of(_SEAM)


class Running(Protocol):
    """One execution that goes on; none of its methods may call the host."""

    def waits(self) -> None:
        """It was called, and nobody awaits it yet, or ever."""

    def begin(self) -> None:
        """The host awaits it."""

    def returned(self, response: Any) -> None:
        """It is over, with a response."""

    def raised(self, error: BaseException) -> None:
        """It is over, or was refused, with an exception."""


class Watch(Protocol):
    """What is known of a tool under watch; it must hold neither the tool nor its agent."""

    running: bool  # while it runs, the tool's own calls of ``execute`` are a part of the execution

    def execution(self, tool: Any, arguments: dict[str, Any]) -> Running:
        """One more execution, about to be called; ``running`` is set."""


def _executing(call: Any, _stand_in: Any, /, *args: Any, **kwargs: Any) -> Any:
    watch = waiting(args[0]) if args else None
    if watch is None:
        return call(*args, **kwargs)
    running = watch.execution(args[0], kwargs)
    try:
        execution = call(*args, **kwargs)
    except BaseException as error:
        running.raised(error)
        raise
    return _observed(execution, running)


class Execute(wrapt.ObjectProxy):  # type: ignore[misc, type-arg, unused-ignore]
    """Stands for the function ``execute`` on the class that defines it."""

    __get__ = standing_in(
        _SEAM,
        lambda self, tool, _owner=None: self if tool is None else MethodType(self, tool),
        as_wrapped,
    )
    # Not a coroutine function: arguments that do not fit must be refused by the call, as without us, and not
    # by the await, where Python would point at another part of the host's line.
    __call__ = method(_SEAM, attrgetter("__wrapped__"), _executing)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __copy__(self) -> Any:
        return self  # as a function

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> str:
        return str(self.__wrapped__.__qualname__)


def _observed(execution: Any, running: Running) -> Any:
    if not isawaitable(execution):
        with guarded(_SEAM):
            running.returned(execution)
        return execution  # what a host that awaits it says, it says itself
    observed: Any = _awaited(execution, running)
    if type(execution) is CoroutineType:
        # Cancelled or let go before it began: then nobody awaits the tool's own, which would be told of.
        weakref.finalize(observed, execution.close).atexit = False
        observed.__name__, observed.__qualname__ = execution.__name__, execution.__qualname__
    with guarded(_SEAM):
        running.waits()
    return observed


async def _awaited(execution: Awaitable[Any], running: Running) -> Any:
    with guarded(_SEAM), _METER.block():
        running.begin()
    try:
        response = await execution
    except BaseException as error:
        with guarded(_SEAM), _METER.block():
            running.raised(error)
        with guarded(_SEAM):
            _leave(error)
        raise
    with guarded(_SEAM), _METER.block():
        running.returned(response)
    return response


def _leave(error: BaseException) -> None:
    """Take the frame of the caller out of what ``error`` tells; from Python 3.11 on ``raise`` adds none."""
    trace = error.__traceback__
    if trace is not None and trace.tb_frame is sys._getframe(1):
        error.__traceback__ = trace.tb_next


# One frame stands between the host and a tool that runs. `warnings.warn(stacklevel=2)` passes over frames of
# the import machinery, which it knows by their file, and so names the host's line. To Python 3.10 tracebacks
# hold the frame until the host formats them, where frames of ours are known by the folder.
_PLACE: Final = __file__ if sys.version_info < (3, 11) else "<autoperf"
_awaited.__code__ = _awaited.__code__.replace(co_filename=f"{_PLACE} as importlib._bootstrap>")


def waiting(tool: Any) -> Watch | None:
    """The watch over ``tool`` unless it runs just now."""
    entry = _tools.get(id(tool))
    if entry is None or entry[0]() is not tool or entry[1].running:
        return None
    return entry[1]


def put_under_watch(tool: Any, make: Callable[[], Watch]) -> None:
    """Have ``make()`` told of the executions of ``tool``; once, however often it is asked for.

    Left alone is what cannot be held weakly, and an ``execute`` that is no function of the tool's class.
    """
    known = _tools.get(id(tool))
    if not _carried(type(tool)) or (known is not None and known[0]() is tool):
        return
    number = id(tool)

    def gone(reference: Any) -> None:
        entry = _tools.get(number)
        if entry is not None and entry[0] is reference:
            del _tools[number]

    try:
        reference = weakref.ref(tool, standing_in(_SEAM, gone, nothing))
    except TypeError:
        return
    _tools[number] = reference, make()


def _carried(kind: type) -> bool:
    """Whether the class that defines ``execute`` for tools of this kind now carries an `Execute`."""
    for owner in kind.__mro__:
        raw = owner.__dict__.get(_NAME)
        if raw is None:
            continue
        if type(raw) is not Execute:
            if not isinstance(raw, FunctionType):
                return False
            # Not by assignment: a metaclass may have a __setattr__ of its own.
            type.__setattr__(owner, _NAME, Execute(raw))
            _remember(owner)
        return True
    return False


def _remember(owner: type) -> None:
    number = id(owner)
    _classes[number] = weakref.ref(owner, lambda _: _classes.pop(number, None))


def undo() -> None:
    """Every class as the host made it, and no tool under watch; what goes on just now is still counted."""
    _tools.clear()
    while _classes:
        with guarded(_SEAM):
            owner = _classes.popitem()[1]()
            own = None if owner is None else owner.__dict__.get(_NAME)
            if owner is not None and type(own) is Execute:
                type.__setattr__(owner, _NAME, own.__wrapped__)


def bare(value: Any) -> Any:
    """What the host's class held where ``value`` stands."""
    return value.__wrapped__ if type(value) is Execute else value


# By id: a tool may compare as it likes, and need not have a hash.
_tools: dict[int, tuple[weakref.ref[Any], Watch]] = {}
_classes: dict[int, weakref.ref[type]] = {}
