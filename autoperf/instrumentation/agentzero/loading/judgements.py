"""What was found out about the sources of modules that the host loads by path, kept beyond their classes."""

from __future__ import annotations

from types import CodeType, ModuleType
from typing import Final

from autoperf.instrumentation.agentzero.loading import purity
from autoperf.instrumentation.agentzero.loading.code import CodeCache

_KEPT: Final = 1000


class Judgements:
    """By path. Finding out takes milliseconds, so it is done once for a source, not again for each use."""

    def __init__(self, code: CodeCache) -> None:
        self._code = code
        self._kept: dict[str, tuple[CodeType, purity.Judgement | None]] = {}

    def of(self, module: ModuleType) -> purity.Judgement | None:
        """The judgement on a module that was executed by path; None where it may do or hold anything."""
        path = getattr(module, "__file__", None)
        code = None if path is None else self._code.cache.peek(path)
        if path is None or code is None:
            return None
        kept, judgement = self._kept.get(path, (None, None))
        if kept == code and (judgement is None or judgement.stands()):
            return judgement
        try:
            judgement = _judged(module, path, code)
        except SystemError:
            return None  # another thread parsed at the same time (CPython gh-106905): for now
        if path in self._kept or len(self._kept) < _KEPT:
            self._kept[path] = code, judgement
        return judgement


def _judged(module: ModuleType, path: str, code: CodeType) -> purity.Judgement | None:
    try:
        with open(path, "rb") as file:
            return purity.judge(module, file.read(), code)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
