"""A tool whose name has streamed in is made ready while its arguments still stream."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from autoperf.errors import guarded
from autoperf.errors.meters import meters
from autoperf.errors.standins import nothing, standing_in
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.places import profile_of, tool_files
from autoperf.memo.snapshot import Stamp, stamp_or_none
from autoperf.patching.patch import Switch, expect_parameters

Build = Callable[[Any, Switch], Any]
SEAM: Final = "preload"
_NAME: Final = re.compile(r'"tool_name"\s*:\s*"([A-Za-z0-9_-]{1,80})(?::[^"\\]*)?"')
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LONGEST: Final = 200  # characters of a match; so much is looked at again with every chunk
_KEPT: Final = 500


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Where names of tools stream in; what is ready is found by the loading of `tools`."""
    if probe.code is None or not targets:
        return
    preloading = Preloading(probe, probe.code)
    places = {"reply": preloading.reply, "item": preloading.item, "delta": preloading.delta}
    for name, target in targets.items():
        yield target, places[name]


class _Reply:
    """How far the reply that an agent receives was searched; ``length`` tells it from the one before."""

    __slots__ = ("found", "length")

    def __init__(self) -> None:
        self.found = False
        self.length = 0


class Preloading:
    """What one process makes ready, on a thread.

    Every file that the name may mean is read and compiled, and checked again when it is used. What was
    executed before, and can be executed unseen, is executed again (`AheadLoading`).
    """

    def __init__(self, probe: Probe, code: CodeCache) -> None:
        self.root = probe.root
        self.code = code
        self.ahead = probe.ahead
        self.names = probe.memo("preloaded tools")  # a hit: all of its files had been read before
        self.compiled = self.executed = 0
        self.thread: threading.Thread | None = None
        self._replies: WeakKeyDictionary[Any, _Reply] = WeakKeyDictionary()
        self._ready: dict[tuple[str, str | None], list[tuple[str, Stamp | None]]] = {}
        probe.clears("preloaded tools", self._clear)
        probe.after_fork.append(self._forked)

    def reply(
        self, original: Callable[..., Awaitable[Any]], _switch: Switch
    ) -> Callable[..., Awaitable[Any]]:
        """For ``Agent.handle_response_stream(self, stream)``, called with every prefix of a reply."""
        expect_parameters(original, "self", "stream")

        async def handle_response_stream(call: Any, self_: Any, stream: str) -> Any:
            with guarded(SEAM):
                self.look(self_, stream)
            return await call(self_, stream)

        return handle_response_stream

    def item(self, original: Callable[..., Any], _switch: Switch) -> Callable[..., Any]:
        """For ``ResponsesEventParser._remember_function_call(self, item, event)``: no arguments yet."""
        expect_parameters(original, "self", "item", "event")

        def remember_function_call(call: Any, self_: Any, item: Any, event: Any) -> Any:
            with guarded(SEAM):
                self.called(_value(item, "name"))
            return call(self_, item, event)

        return remember_function_call

    def delta(self, original: Callable[..., Any], _switch: Switch) -> Callable[..., Any]:
        """For ``ChatCompletionsStreamParser._append_function_delta(self, tool_call, delta)``: its pieces."""
        expect_parameters(original, "self", "tool_call", "delta")

        def append_function_delta(call: Any, self_: Any, tool_call: Any, delta: Any) -> Any:
            if delta:
                with guarded(SEAM):
                    self.called(_value(delta, "name"))
            return call(self_, tool_call, delta)

        return append_function_delta

    def called(self, name: Any) -> None:
        """Make the tool ready that a model calls natively; on whose behalf is not known here."""
        if isinstance(name, str) and _PLAIN.fullmatch(name):
            self.make_ready(name, None)

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

    def make_ready(self, name: str, profile: str | None) -> None:
        """Have the files that ``name`` may mean ready, made so on a thread where they are not yet.

        ``profile`` None stands for any.
        """
        known = self._ready.get((name, profile))
        fresh = known is not None and all(_stamp(path) == stamp for path, stamp in known)
        if fresh and known is not None and self.ahead is not None:
            fresh = not any(self.ahead.wanted(path) for path, _ in known)
        self.names.count(hit=fresh)
        if fresh or (self.thread is not None and self.thread.is_alive()):
            return
        self.thread = threading.Thread(
            target=standing_in(SEAM, self._prepare, nothing),
            args=(name, profile),
            name="autoperf-preload",
            daemon=True,
        )
        self.thread.start()

    def _prepare(self, name: str, profile: str | None) -> None:
        with guarded(SEAM):
            found = tool_files(self.root, name, profile)
            read = [(path, _stamp(path)) for path in found]
            for path in found:
                if self.ahead is not None and self.ahead.load(path):
                    self.executed += 1
                else:
                    self._compile(path)
            if len(self._ready) < _KEPT:
                self._ready[name, profile] = read
        meters.thread(ends=True)

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


def _value(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
