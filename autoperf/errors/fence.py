"""The shape of every patch: ours, the host's function exactly once, ours again; no failure of ours passes.

A wrapper gets a `Call` in place of the host's function. Whatever of ours raises before, around or after it,
the caller of the host sees what the function itself returned or raised: an exception of the function is
told from one of ours by identity. From Python 3.11 on no frame of ours is left in a traceback that leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, Protocol

from autoperf.errors import failures, raises_under_test
from autoperf.errors.calls import AsyncCall, Call
from autoperf.errors.frames import raised_by_us, without_ours

MISS: Final = object()
DISABLE_AFTER_FAILURES: Final = 20
_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE; `inspect` takes longer to import than all of this

Function = Callable[..., Any]


class Acting(Protocol):
    """Tells whether a wrapper is to act, and how often it has failed."""

    on: bool
    failed: int


class _Always:
    on = True
    failed = 0


ALWAYS: Final[Acting] = _Always()


class Shortcut:
    """A wrapper for what is called for every chunk: ``find`` answers without the host, or says `MISS`.

    ``find`` gets the arguments of the call and must neither call the host nor leave anything behind. What
    it misses goes through ``wrapper``, or straight to the host's function.
    """

    __slots__ = ("find", "wrapper")

    def __init__(self, find: Function, wrapper: Function | None = None) -> None:
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

    def __init__(self, names: Mapping[str, Function | Shortcut | View]) -> None:
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


def failed(seam: str, error: Exception, switch: Acting | None = None) -> None:
    """Count a failure of ours; a patch that goes on failing is switched off. Raises it again under pytest.

    What code of the host's raised that we asked is none: the host meets it when it asks itself.
    """
    if not raised_by_us(error.__traceback__):
        return
    if switch is not None and switch is not ALWAYS:
        switch.failed += 1
    beyond = failures.record(seam, error) >= DISABLE_AFTER_FAILURES
    if beyond and switch is not None and switch is not ALWAYS:
        switch.on = False
    if raises_under_test():
        raise error


def fenced(seam: str, original: Function, switch: Acting, wrapper: Function | Shortcut) -> Function:
    """The function that stands in for ``original``, of the same kind; ``wrapper(call, *args, **kwargs)``."""
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
    def fenced(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return original(*args, **kwargs)
            call = Call(original)
            try:
                return wrapper(call, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            return call.settle(original, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return fenced


def _asynchronous(seam: str, original: Function, switch: Acting, wrapper: Function) -> Function:
    async def fenced(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return await original(*args, **kwargs)
            call = AsyncCall(original)
            try:
                return await wrapper(call, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
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
    def found_or_miss(error: Exception) -> Any:
        failed(seam, error, switch)
        return MISS

    def synchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            if switch.on:
                try:
                    found = find(*args, **kwargs)
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
                    found = find(*args, **kwargs)
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

    def act(wrapped: Function, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            call = Call(wrapped)
            try:
                return wrapper(call, instance, args, kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
            return call.settle(wrapped, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    async def act_async(wrapped: Function, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            call = AsyncCall(wrapped)
            try:
                return await wrapper(call, instance, args, kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error, switch)
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

    def fenced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            function = original(self)
            call = Call(function)
            try:
                return wrapper(call, self, *args, **kwargs)
            except Exception as error:
                if _passes(call, error):
                    raise
                failed(seam, error)
            return call.settle(function, args, kwargs)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return fenced


def standing_in(seam: str, ours: Function, host: Function) -> Function:
    """``ours`` in the place of a plain function of the host's that has no effect; ``host`` where it fails.

    ``host`` is the host's, or one of those below: what fails as well has nothing left to stand in for it.
    """

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        try:
            return ours(*args, **kwargs)
        except Exception as error:
            failed(seam, error)
        return host(*args, **kwargs)

    return stand_in


def giving(value: Any) -> Function:
    """In the place of a function whose answer is ``value`` where there is none."""
    return lambda *_args, **_kwargs: value


nothing: Final = giving(None)


def unchanged(value: Any) -> Any:
    """In the place of what exchanges a value: the value as it came."""
    return value


def looked_up(names: Mapping[str, Any], name: str) -> Function:
    """The host's own function, as it is at each call: the host may rebind ``names[name]``."""
    return lambda *args, **kwargs: names[name](*args, **kwargs)


def as_wrapped(proxy: Any, instance: Any, owner: Any = None) -> Any:
    """In the place of ``__get__`` of a proxy: what is behind it, bound as without us."""
    return proxy.__wrapped__.__get__(instance, owner)
