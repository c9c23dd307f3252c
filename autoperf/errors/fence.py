"""The shape of every patch: ours, the host's function exactly once, ours again; no failure of ours passes.

A wrapper gets a `Call` in place of the host's function. Whatever of ours raises before, around or after it,
the caller of the host sees what the function itself returned or raised: an exception of the function is
told from one of ours by identity. From Python 3.11 on no frame of ours is left in a traceback that leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from autoperf.errors.around import Around, around
from autoperf.errors.calls import AsyncCall, Call
from autoperf.errors.frames import raised_by_us, without_ours
from autoperf.errors.meters import meters
from autoperf.errors.switch import Acting, failed

MISS: Final = object()
_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE; `inspect` takes longer to import than all of this

Function = Callable[..., Any]


class Shortcut:
    """A wrapper for what is called for every chunk: ``find`` answers without the host, or says `MISS`.

    ``find`` gets the arguments of the call and must neither call the host nor leave anything behind. What
    it misses goes through ``wrapper``, or straight to the host's function.
    """

    __slots__ = ("find", "wrapper")

    def __init__(self, find: Function, wrapper: Function | Around | None = None) -> None:
        self.find = find
        self.wrapper = wrapper


class Recompiled:
    """The host's own code in another form, put in its place as it is: every name of ours in it is fenced."""

    __slots__ = ("function",)

    def __init__(self, function: Function) -> None:
        self.function = function


class View:
    """A module as one module of the host sees it, with some of its functions, or of its modules, wrapped."""

    __slots__ = ("names",)

    def __init__(self, names: Mapping[str, Function | Shortcut | Around | View]) -> None:
        self.names = names

    def of(self, seam: str, real: ModuleType, switch: Acting) -> ModuleType:
        """The module to be seen; what is not named is the real one's, as it is at that moment."""
        made = _Viewed(real)
        for name, inside in self.names.items():
            there = getattr(real, name)
            if isinstance(inside, View):
                setattr(made, name, inside.of(seam, there, switch))
            else:
                setattr(made, name, fenced(seam, there, switch, inside))
        return made


class _Viewed(ModuleType):
    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__)
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _passes(call: Call, error: Exception) -> bool:
    """Whether ``error`` is the host's: of its function, or of code of its that a wrapper runs after that."""
    return call.owns(error) or (call.made and not raised_by_us(error.__traceback__))


def fenced(seam: str, original: Function, switch: Acting, wrapper: Function | Shortcut | Around) -> Function:
    """The function that stands in for ``original``, of the same kind; ``wrapper(call, *args, **kwargs)``."""
    if isinstance(wrapper, Around):
        return around(seam, original, switch, wrapper, is_async=_is_async(original))
    if isinstance(wrapper, Shortcut):
        slow = original if wrapper.wrapper is None else fenced(seam, original, switch, wrapper.wrapper)
        return _shortcut(seam, slow, switch, wrapper.find, _is_async(original))
    return (_asynchronous if _is_async(wrapper) else _synchronous)(seam, original, switch, wrapper)


def inside(function: Any) -> tuple[Function, Function] | None:
    """The wrapper that acts in a function made by `fenced`, and the original; None in any other."""
    # From its closure: a table of them would keep modules alive that the host executes again and again.
    if type(function) is not FunctionType or function.__code__ not in _CODES:
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return cells["wrapper"].cell_contents, cells["original"].cell_contents


def _is_async(function: Any) -> bool:
    return bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE)


def _synchronous(seam: str, original: Function, switch: Acting, wrapper: Function) -> Function:
    meter = meters.of(seam)

    def fenced(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return original(*args, **kwargs)
            meter.left -= 1
            call = Call(original) if meter.left >= 0 else meter.call(original)
            try:
                return wrapper(call, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            finally:
                if call.timed:
                    call.over()
            return call.settle(original, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return fenced


def _asynchronous(seam: str, original: Function, switch: Acting, wrapper: Function) -> Function:
    meter = meters.of(seam)

    async def fenced(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return await original(*args, **kwargs)
            meter.left -= 1
            call = AsyncCall(original) if meter.left >= 0 else meter.async_call(original)
            try:
                return await wrapper(call, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            finally:
                if call.timed:
                    call.over()
            return await call.settled(original, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return fenced


_CODES: Final = {
    constant
    for maker in (_synchronous, _asynchronous)
    for constant in maker.__code__.co_consts
    if isinstance(constant, CodeType)
}


def _shortcut(seam: str, slow: Function, switch: Acting, find: Function, is_async: bool) -> Function:
    meter = meters.of(seam)

    def found_or_miss(error: Exception) -> Any:
        failed(seam, error, switch)
        return MISS

    def synchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            if switch.on:
                try:
                    meter.left -= 1
                    found = find(*args, **kwargs) if meter.left >= 0 else meter.run(find, args, kwargs)
                except Exception as error:
                    found = found_or_miss(error)
                if found is not MISS:
                    return found
            return slow(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            if switch.on:
                try:
                    meter.left -= 1
                    found = find(*args, **kwargs) if meter.left >= 0 else meter.run(find, args, kwargs)
                except Exception as error:
                    found = found_or_miss(error)
                if found is not MISS:
                    return found
            return await slow(*args, **kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return asynchronous if is_async else synchronous


def binding(seam: str, original: Any, switch: Acting, wrapper: Function) -> Any:
    """The same by wrapt, which binds like what it wraps: for seams that are not called for every token.

    ``wrapper(call, instance, args, kwargs)`` is called with the function bound.
    """

    meter = meters.of(seam)

    def act(wrapped: Function, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            meter.left -= 1
            call = Call(wrapped) if meter.left >= 0 else meter.call(wrapped)
            try:
                return wrapper(call, instance, args, kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            finally:
                if call.timed:
                    call.over()
            return call.settle(wrapped, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    async def act_async(wrapped: Function, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            meter.left -= 1
            call = AsyncCall(wrapped) if meter.left >= 0 else meter.async_call(wrapped)
            try:
                return await wrapper(call, instance, args, kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            finally:
                if call.timed:
                    call.over()
            return await call.settled(wrapped, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    import wrapt  # here: what only watches for a host does without

    # By position: the names of these parameters differ between wrapt 1.16 and 2.
    chosen = act_async if _is_async(wrapper) else act
    return wrapt.FunctionWrapper(original, chosen, lambda: switch.on)


def method(seam: str, original: Function, wrapper: Function) -> Function:
    """A method in the place of the function that ``original(self)`` gives; ``wrapper(call, self, ...)``."""

    meter = meters.of(seam)

    def fenced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            function = original(self)
            meter.left -= 1
            call = Call(function) if meter.left >= 0 else meter.call(function)
            try:
                return wrapper(call, self, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error)
            finally:
                if call.timed:
                    call.over()
            return call.settle(function, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return fenced
