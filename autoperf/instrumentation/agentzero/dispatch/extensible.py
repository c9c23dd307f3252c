"""Functions with implicit extension points around them (v0.9.9 on), called directly while both are empty."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import fenced
from autoperf.errors.replay import Replay
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import without_ours
from autoperf.patching.sources import digest, expect_parameters
from autoperf.patching.undo import Decorated

# helpers.extension.extensible by source.
KNOWN: Final = {
    "de30bc8dc5a8531d9e6736dbd6e41a84de482ed217c70621c82932f489ba0741",  # v0.9.9 - v2.6
    "fa270472bb5bde214aa90393b975665693079e0a6d5af9119b4d2b2c87896d0d",  # tests/hosts/v0_9_9, v2
    "b0b1f22dffd8f6239c0bbfc1297321268d6ddb131bb979dc35737cb7c8527d5f",  # examples/mini_agent
}
_SEAM: Final = "helpers.extension:extensible"
_UNKNOWN: Final = object()
_CALLS: Final = ("call_extensions_async", "call_extensions_sync")

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def rows(
    targets: Mapping[str, str], probe: Probe
) -> Iterator[tuple[str, Callable[[Decorator, Switch], Function]]]:
    """``extensible``: the decorator, which every module takes by name when it is imported."""
    if "extensible" in targets:
        yield targets["extensible"], decorating(probe)


def decorating(probe: Probe) -> Callable[[Decorator, Switch], Function]:
    """Replaces ``extensible``: what it makes stays in charge, passed by where it would find nothing."""

    def build(original: Decorator, switch: Switch) -> Function:
        expect_parameters(original, "func")
        host: Any = original
        if digest(host) not in KNOWN:
            raise AutoperfError("another decorator than the one that is known")
        direct = _Direct(probe, host, switch)
        probe.at_stop.append(direct.decorated.undo)

        def extensible(call: Any, func: Any) -> Any:
            made = call(func)
            return direct.made(func, made) if isinstance(made, FunctionType) else made

        return extensible

    return build


class _Direct:
    """Makes the functions that stand in for the host's own, with what they share."""

    def __init__(self, probe: Probe, decorator: Any, switch: Switch) -> None:
        self.decorated = Decorated()
        self._space: dict[str, Any] = decorator.__globals__
        self._known = [self._space.get(name) for name in _CALLS]
        self._calls = list(self._known)
        self._classes = probe.extension_classes
        self._replay = Replay(decorator, "call_extensions_sync", "call_extensions_async")
        self._switch = switch
        self._classes.together.joins("", switch)
        self._count = 0
        probe.extension_lookups.count_hits_with(lambda: 2 * self._count)

    def made(self, func: Any, host: FunctionType) -> Any:
        """Something that is called, and looks, like ``host``."""
        points = _points(func)
        # A function that only looks like one (a partial, a mark) is awaited by the host in a way of its own.
        plain = isinstance(func, FunctionType) and not inspect.isasyncgenfunction(func)
        is_async = inspect.iscoroutinefunction(func)
        if points is None or not plain or (is_async and not func.__code__.co_flags & inspect.CO_COROUTINE):
            return host
        empty = self._classes.pair(*points)
        build = self._asynchronous if is_async else self._synchronous
        direct: Any = fenced(_SEAM, host, self._switch, build(func, empty))
        functools.update_wrapper(direct, host)
        direct.__wrapped__ = func
        self.decorated.add(direct)
        return direct

    def _synchronous(self, func: Function, empty: Callable[[Any], bool]) -> Function:
        replay, unset, shared, usual = self._replay, self._space["_UNSET"], self, self._usual()

        def direct(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            # The agent of both points is the one that it is before the call.
            agent = _agent(args, kwargs)
            if not usual() or agent is _UNKNOWN or not empty(agent):
                return call(*args, **kwargs)
            result = unset
            error = None
            try:
                result = call.via(func)(*args, **kwargs)
            except BaseException as raised:
                error = raised
            if error is None and usual() and empty(agent):
                shared._count += 1
                return None if result is unset else result
            return call.via(replay.synchronous(func, result, error, agent=agent))(*args, **kwargs)

        return direct

    def _asynchronous(self, func: Function, empty: Callable[[Any], bool]) -> Function:
        replay, unset, shared, usual = self._replay, self._space["_UNSET"], self, self._usual()

        async def direct(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            agent = _agent(args, kwargs)
            if not usual() or agent is _UNKNOWN or not empty(agent):
                return await call(*args, **kwargs)
            try:
                coroutine = func(*args, **kwargs)
            except TypeError:
                coroutine = None
            if coroutine is None:
                # Arguments that do not fit: nothing has run, and the host makes something else of it.
                return await call(*args, **kwargs)
            result = unset
            error = None
            try:
                result = await call.via(lambda: coroutine)()
            except BaseException as raised:
                error = raised
            if error is None and usual() and empty(agent):
                shared._count += 1
                return None if result is unset else result
            return await call.via(replay.asynchronous(func, result, error, agent=agent))(*args, **kwargs)

        return direct

    def _usual(self) -> Callable[[], bool]:
        """Whether nobody but us stands in front of the calls that the decorated functions make."""
        switch, space, calls, trusted = self._switch, self._space, self._calls, self._trust

        def usual() -> bool:
            return switch.on and (
                (
                    space.get("call_extensions_async") is calls[0]
                    and space.get("call_extensions_sync") is calls[1]
                )
                or trusted()
            )

        return usual

    def _trust(self) -> bool:
        now = [self._space.get(name) for name in _CALLS]
        if any(without_ours(a) is not without_ours(b) for a, b in zip(now, self._known, strict=True)):
            self._switch.stand_aside(f"{' or '.join(_CALLS)}, which it relies on, was replaced")
            self._calls[:] = _CALLS  # no function is one of these: asked again each time
            return False
        self._switch.act_again()
        self._calls[:] = now
        return True


def _agent(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The agent that the host would look for extensions for; `_UNKNOWN` before it has its class."""
    kind = getattr(sys.modules.get("agent"), "Agent", None)
    if kind is None:
        return _UNKNOWN
    if kwargs:
        found = kwargs.get("agent")
        if isinstance(found, kind) and getattr(found, "__dict__", None):
            return found
    for found in args:
        if isinstance(found, kind) and getattr(found, "__dict__", None):
            return found
    return None


def _points(func: Any) -> tuple[str, str] | None:
    """The host's names for the points around ``func``."""
    module, name = getattr(func, "__module__", ""), getattr(func, "__qualname__", "")
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    modules = [part for part in module.split(".") if part]
    names = [part for part in name.split(".") if part and part != "<locals>"]
    if not modules or not names:
        return None
    base = os.path.join("_functions", *modules, *names)
    return os.path.join(base, "start"), os.path.join(base, "end")
