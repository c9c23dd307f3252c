"""The SDK's module of spans, imported also where one of the process's variables makes that impossible."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, SimpleNamespace
from typing import Any, Final

_MODULE: Final = "opentelemetry.sdk.trace"
# All versions read it as the module is executed, and raise where it is no number.
_READ_AT_IMPORT: Final = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
# What logs that a variable is malformed, the first of them as it is imported.
_COMPLAINING: Final = ("opentelemetry.context", "opentelemetry.sdk.environment_variables._internal")


class _Without(Mapping[str, str]):
    """The environment without one variable; the process's own stays as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, name: str) -> str:
        if name == self._name:
            raise KeyError(name)
        return os.environ[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in os.environ if name != self._name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Unheard(logging.Filter):
    """Inside, OpenTelemetry does not log on this thread that variables are malformed: `Variables` says it."""

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        for name in _COMPLAINING:
            logging.getLogger(name).addFilter(self)

    def __exit__(self, *_: object) -> None:
        for name in _COMPLAINING:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is another thread's."""
        return record.thread != self._thread


def load() -> None:
    """Import the module; raises ``ImportError`` when there is none."""
    try:
        importlib.import_module(_MODULE)
    except ValueError:
        _load_without(_READ_AT_IMPORT)


def _load_without(variable: str) -> None:
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.loader is None:
        raise ImportError(_MODULE)
    module = importlib.util.module_from_spec(spec)
    code: CodeType = spec.loader.get_code(_MODULE)  # type: ignore[attr-defined]
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _importing(_Without(variable))}
    sys.modules[_MODULE] = module
    try:
        exec(code, vars(module))
    except BaseException:
        del sys.modules[_MODULE]
        raise
    parent, _, name = _MODULE.rpartition(".")
    setattr(sys.modules[parent], name, module)


def _importing(environ: Mapping[str, str]) -> Callable[..., Any]:
    def imported(name: str, *scope: Any, **named: Any) -> Any:
        module = builtins.__import__(name, *scope, **named)
        names = named.get("fromlist") or (scope[2] if len(scope) > 2 else None) or ()
        return SimpleNamespace(**{**vars(os), "environ": environ}) if name == "os" and names else module

    return imported
