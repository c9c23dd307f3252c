"""A host's function with its own code, and quicker answers to what it asks other functions of its module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType, CoroutineType, FunctionType
from typing import Any, Awaitable, Final  # noqa: UP035 - the host's own

from autoperf.errors.standins import looked_up, standing_in
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses

Call = Callable[..., Any]
_SEAM: Final = "extension calls"
# All that the host's extension calls ask for (v0.9.9 on). What asks for more is left as it is.
_ASKED: Final = frozenset(
    {"_log_extension_call", "_get_extension_classes", "execute", "isinstance", "Awaitable"}
    | {"ValueError", "__name__"}
)


def extension_call(original: Call, classes: ExtensionClasses) -> Call:
    """``call_extensions_async`` or ``_sync`` that finds its classes in the host's cache at once.

    An extension's error passes through the same code on the same lines. ``original`` itself where its code
    is not the one that is known.
    """
    host = original.__globals__
    log, known, logs = host.get("_log_extension_call"), classes.reader(), classes.logs
    hosts_log = looked_up(host, "_log_extension_call")
    hosts_classes = looked_up(host, "_get_extension_classes")

    def _log_extension_call(name: Any) -> None:
        if host["_log_extension_call"] is not log or logs():
            hosts_log(name)

    def _get_extension_classes(extension_point: Any, agent: Any = None, **kwargs: Any) -> Any:
        found = known(extension_point, agent)
        return hosts_classes(extension_point, agent=agent, **kwargs) if found is None else found

    answers: dict[str, Call] = {
        ours.__name__: standing_in(_SEAM, ours, theirs)
        for ours, theirs in ((_log_extension_call, hosts_log), (_get_extension_classes, hosts_classes))
        if ours.__name__ in host
    }
    if host.get("Awaitable") is Awaitable:
        answers["isinstance"] = standing_in(_SEAM, _is_awaitable, isinstance)
    return _answered(original, answers)


def _is_awaitable(value: Any, kind: Any) -> bool:
    # What nearly every extension returns; typing's own look at it takes as long as all the rest.
    if value is None or type(value) is CoroutineType:
        return value is not None
    return isinstance(value, kind)


def _answered(original: Call, answers: Mapping[str, Call]) -> Call:
    code = getattr(original, "__code__", None)
    if type(original) is not FunctionType or original.__closure__ or type(code) is not CodeType:
        return original
    inner = any(isinstance(constant, CodeType) for constant in code.co_consts)
    if inner or not _ASKED.issuperset(code.co_names) or not set(answers) <= set(code.co_names):
        return original
    names = {**original.__globals__, **answers}
    function = FunctionType(code, names, original.__name__, original.__defaults__)
    function.__kwdefaults__ = original.__kwdefaults__
    function.__qualname__ = original.__qualname__
    return function
