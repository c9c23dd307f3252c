"""A module of the host that was read line by line, recognised by its source."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import FunctionType
from typing import Any

from autoperf.agentzero.sources import digest
from autoperf.errors import AutoperfError


class KnownModule:
    """The module that defines ``original``, one of its functions, which is about to be replaced.

    ``names`` are the module's, live. Raises ``AutoperfError`` with ``refusal`` where its source is none of
    ``digests``.
    """

    def __init__(self, original: Any, digests: Collection[str], refusal: str) -> None:
        module = sys.modules[original.__module__]
        if digest(module) not in digests:
            raise AutoperfError(refusal)
        self.names: dict[str, Any] = vars(module)
        self._as_found = [
            (name, value)
            for name, value in self.names.items()
            if type(value) is FunctionType and value is not original
        ]

    def intact(self) -> bool:
        """Whether its functions, and those it took over from elsewhere, still are those it was read with."""
        names = self.names
        return all(names.get(name) is value for name, value in self._as_found)
