"""A tool whose name has streamed in is compiled while its arguments still stream."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from autoperf.agentzero.codecache import CodeCache
from autoperf.agentzero.probe import Probe
from autoperf.agentzero.toolplaces import profile_of, tool_files
from autoperf.errors import guarded
from autoperf.patching import Switch, expect_parameters
from autoperf.stamps import Stamp, stamp_or_none

Build = Callable[[Any, Switch], Any]
SEAM: Final = "preload"
_NAME: Final = re.compile(r'"tool_name"\s*:\s*"([A-Za-z0-9_-]{1,80})(?::[^"\\]*)?"')
_LONGEST: Final = 200  # characters of a match; so much is looked at again with every chunk
_KEPT: Final = 500


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """The growing reply, where names are looked for; what is ready is found by the loading of `tools`."""
    if probe.code is None or not targets:
        return
    preloading = Preloading(probe, probe.code)
    yield targets["reply"], preloading.reply


class _Reply:
    """How far the reply that an agent receives was searched; ``length`` tells it from the one before."""

    __slots__ = ("found", "length")

    def __init__(self) -> None:
        self.found = False
        self.length = 0


class Preloading:
    """What one process makes ready; files are read on a thread, and read again when they are used."""

    def __init__(self, probe: Probe, code: CodeCache) -> None:
        self.root = probe.root
        self.code = code
        self.names = probe.memo("preloaded tools")  # a hit: all of its files had been read before
        self.compiled = 0
        self.thread: threading.Thread | None = None
        self._replies: WeakKeyDictionary[Any, _Reply] = WeakKeyDictionary()
        self._ready: dict[tuple[str, str], list[tuple[str, Stamp | None]]] = {}
        probe.clears("preloaded tools", self._clear)
        probe.after_fork.append(self._forked)

    def reply(self, original: Callable[..., Awaitable[Any]], switch: Switch) -> Callable[..., Awaitable[Any]]:
        """For ``Agent.handle_response_stream(self, stream)``, called with every prefix of a reply."""
        expect_parameters(original, "self", "stream")

        def handle_response_stream(self_: Any, stream: str) -> Awaitable[Any]:
            if switch.on:
                with guarded(SEAM):
                    self.look(self_, stream)
            return original(self_, stream)

        return handle_response_stream

    def look(self, agent: Any, stream: str) -> None:
        """Make the tool ready whose name is complete in ``stream``; once for each reply."""
        reply = self._replies.get(agent)
        if reply is None:
            reply = self._replies[agent] = _Reply()
        if len(stream) < reply.length:
            reply.found, reply.length = False, 0
        start, reply.length = reply.length, len(stream)
        if reply.found:
            return
        match = _NAME.search(stream, max(0, start - _LONGEST))
        if match is not None:
            reply.found = True
            self.make_ready(match[1], profile_of(agent))

    def make_ready(self, name: str, profile: str) -> None:
        """Read and compile the files that ``name`` may mean, on a thread, unless they are as they were."""
        known = self._ready.get((name, profile))
        fresh = known is not None and all(_stamp(path) == stamp for path, stamp in known)
        self.names.count(hit=fresh)
        if fresh or (self.thread is not None and self.thread.is_alive()):
            return
        self.thread = threading.Thread(
            target=self._read, args=(name, profile), name="autoperf-preload", daemon=True
        )
        self.thread.start()

    def _read(self, name: str, profile: str) -> None:
        with guarded(SEAM):
            found = tool_files(self.root, name, profile)
            read = [(path, _stamp(path)) for path in found]
            for path in found:
                self._compile(path)
            if len(self._ready) < _KEPT:
                self._ready[name, profile] = read

    def _compile(self, path: str) -> None:
        # What is wrong with the file the host finds out for itself when the tool is used.
        with contextlib.suppress(OSError, SyntaxError, ValueError, ImportError, EOFError, RecursionError):
            self.compiled += self.code.compile_ahead(path)

    def _clear(self) -> int:
        count = len(self._ready)
        self._ready.clear()
        return count

    def _forked(self) -> None:
        self.thread = None


def _stamp(path: str) -> Stamp | None:
    return stamp_or_none(Stamp.of, path)
