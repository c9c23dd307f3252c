"""The text of a file that was read before and has not changed since."""

from __future__ import annotations

import inspect
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.lru import Recent
from autoperf.memo.snapshot import Look, Stamp, newest, signature
from autoperf.memo.watch import Snapshot
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.sources import digest

SEAM: Final = "files"
# helpers.files.read_file by source: it opens get_abs_path(relative_path) and reads it, v0.9.7 - v2.6
KNOWN: Final = {"5ad8c903a940e266fcb42db30b9d67a7c76d02f2406962de5d006a420cfa5af0"}
_CHARACTERS: Final = 4_000_000
_LONGEST: Final = 200_000
_ENTRY: Final = 300

Read = Callable[..., Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Read, Switch], Read]]]:
    """``file``: ``read_file(relative_path, encoding)``."""
    if "file" in targets:
        yield targets["file"], unless_cached(probe.root, reading(probe))


def reading(probe: Probe) -> Callable[[Read, Switch], Read]:
    """Replaces ``read_file``: a file is opened again when its times, size or inode are others."""
    counter = probe.memo(SEAM)

    def build(original: Any, _switch: Switch) -> Read:
        expect_parameters(original, "relative_path", "encoding")
        host: Any = inspect.unwrap(original)
        if digest(host) not in KNOWN or host.__defaults__ != ("utf-8",):
            raise AutoperfError("another way of reading files than the one that is known")
        names: dict[str, Any] = host.__globals__
        kept: Recent[tuple[str, str], _Text] = Recent(_CHARACTERS, _weight)
        holds = probe.watch.intact
        probe.clears(SEAM, kept.clear)

        def read_file(call: Any, relative_path: Any, encoding: Any = "utf-8") -> Any:
            if type(relative_path) is not str or type(encoding) is not str:
                return call(relative_path, encoding)
            absolute = names["get_abs_path"](relative_path)
            seen, known = None, None
            with guarded(SEAM):
                known = kept.get((absolute, encoding))
                if known is not None and not holds(known):
                    known = None
                seen = None if known is not None else _look(absolute)
            if known is not None:
                counter.hits += 1
                return known.text
            counter.misses += 1
            text = call(relative_path, encoding)
            if seen is not None:
                with guarded(SEAM):
                    if type(text) is str and 0 < len(text) <= _LONGEST:
                        kept.put((absolute, encoding), _Text(absolute, seen, text))
            return text

        return read_file

    return build


class _Text(Snapshot):
    __slots__ = ("text",)

    def __init__(self, path: str, seen: Look, text: str) -> None:
        super().__init__({path: seen})
        self.text = text


def _weight(_key: tuple[str, str], value: _Text) -> int:
    return _ENTRY + len(value.text)


def _look(path: str) -> Look:
    """How a plain file looks whose next change is sure to show; None for anything else, and for nothing."""
    try:
        seen = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(seen.st_mode) or not seen.st_size:
        return None
    found = signature(seen)
    return found if Stamp(found, newest(found)).settled(time.time_ns()) else None
