"""Owns everything of ours in one instrumented process: configuration, caches, telemetry, patches."""

from __future__ import annotations

import atexit
import importlib.util
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import begin_anew, emptyfences, failures, guarded, say
from autoperf.errors.frames import host
from autoperf.errors.meters import meters
from autoperf.errors.standins import nothing, standing_in
from autoperf.instrumentation.agentzero import Layout, seams, versions
from autoperf.instrumentation.agentzero.activity.stack_owner import whereabouts
from autoperf.instrumentation.agentzero.context import Probe, is_intervention
from autoperf.instrumentation.agentzero.layout import Source
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading, Loaded
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.tracing.content import Content
from autoperf.memo.cache import Cache
from autoperf.memo.counters import Rates
from autoperf.monitor import Archive, Monitor, Readings, Stall, Stalls
from autoperf.patching.patch import PatchSet
from autoperf.process import record
from autoperf.process.config import Config
from autoperf.telemetry import names
from autoperf.telemetry.store import launches, state_directory
from autoperf.telemetry.tracing import Telemetry

if TYPE_CHECKING:
    from autoperf.insight.facts.process import Process

_EXPIRY_INTERVAL_S: Final = 30.0
_STILL: Final = 5  # ticks at which nothing has happened, after which they come more seldom
_current: Runtime | None = None


def _after_fork() -> None:
    if _current is not None:
        _current.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def current() -> Runtime | None:
    """The runtime of this process, if it is instrumented."""
    return _current


def _root_sums(rows: Any) -> dict[str, float]:
    from autoperf.insight.traces.layers import root_sums  # only where spans are exported

    return root_sums(rows)


# What a recommendation on a cache is made from.
_COUNTED: Final = ("lookups", "hits", "evictions", "expirations", "invalidations", "seconds_loading")


class Runtime:
    """One per process. Made with `start`; `stop` puts every original back and forgets it."""

    def __init__(self, root: Path, layout: Layout, config: Config) -> None:
        self.root = root
        host.root = os.path.join(root, "")
        self.layout = layout
        self.config = config
        self.started = time.time()
        self.caches: dict[str, Cache[Loaded]] = {}
        if config.on("tools"):
            self.caches["tools"] = Cache(config.tool_cache_size, config.tool_cache_ttl)
        if config.on("extensions"):
            self.caches["extensions"] = Cache(config.extension_cache_size, config.extension_cache_ttl)
        if config.on("prompts"):
            self.caches["prompts"] = Cache(config.tool_cache_size, config.tool_cache_ttl)
        self.code = CodeCache(max(config.tool_cache_ttl, config.extension_cache_ttl))
        self.probe = Probe(None, config.detail, config.inotify)
        self.probe.root = str(root)
        self._rates = Rates(self.probe.tool_lookups, self.probe.extension_lookups)
        self.probe.mcp_limits = Limits(config.mcp_idle, config.mcp_sessions, config.mcp_standby_mb << 20)
        self.probe.code = self.code
        self.probe.stream_hz = config.stream_hz
        self.probe.tool_mode = config.tool
        self.probe.content = Content(config.content_limit, on=config.capture_content)
        loading = ClassLoading(self.caches, self.code)
        source = Source(root)
        self.version = versions.host_version(root, layout, source)
        rows = seams.patches(layout, config.features, self.probe, self.code, loading)
        rows = list(versions.placed(rows, layout, source, self.version))
        rows += versions.switched_off(seams.places(layout), source, config.features)
        self.patches = PatchSet(rows, on_change=self._announce_when_settled)
        failures.features = {row.target: row.feature for row in reversed(rows)}  # the first row of a target
        self.monitor = Monitor(
            lambda: Readings(config.state_dir),
            lambda: Stalls(str(root), whereabouts),
            config.monitor_interval,
        )
        self._archive: Archive | None = None
        self.telemetry: Telemetry | None = None
        self._announced = config.quiet
        self._states: list[str] = []
        self._expired_at = time.monotonic()
        self._pulse: tuple[int, ...] = ()
        self._sampled = 0  # the monitor's pulse in what was described last
        self._still = 0  # ticks in a row at which nothing had happened
        self._patched = 0
        self.changed: dict[str, dict[str, Any]] = {}
        self._described: dict[str, Any] = {}
        self._reported = False
        self.inherited: dict[str, Any] = {}
        self._undo = ExitStack()
        self.starting = 0.0  # CPU seconds of loading autoperf and starting it, past which it is ready

    @classmethod
    def start(cls, root: Path, layout: Layout, config: Config) -> Runtime:
        """Instrument this process: telemetry first, then the patches, each as its module is imported.

        When telemetry cannot start, the patches work without it; that is recorded and shown by ``status``.
        """
        global _current
        meters.restart()
        emptyfences.make()
        runtime = cls(root, layout, config)
        try:
            runtime._begin()
        except BaseException:
            runtime._undo.close()  # what cannot be set up completely is not set up at all
            raise
        _current = runtime
        return runtime

    def _begin(self) -> None:
        config = self.config
        if importlib.util.find_spec("_ctypes") is None and not config.quiet:
            say("this Python was built without ctypes: files are looked at whenever they are asked for")
        with guarded("telemetry"):
            self._start_telemetry(spans=config.on("trace"))
        if self.telemetry is None and config.on("trace"):
            # An OpenTelemetry of the host's that ours cannot stand on: the record of the process needs none.
            with guarded("telemetry"):
                self._start_telemetry(spans=False)
        self._undo.callback(self._leave)
        if config.on("monitor"):
            self._undo.callback(self.monitor.stop)
            with guarded("monitor"):
                if self.probe.tracing is not None:  # else nobody tells what is under way, nor ticks perhaps
                    self.monitor.at_rest = self.probe.underway.at_rest
                    self.probe.underway.wakes = self.monitor.wake
                self.monitor.start()
        self._undo.callback(self.patches.stop)
        self.patches.start()
        announce = standing_in("start line", self._announce, nothing)
        atexit.register(announce)
        self._undo.callback(atexit.unregister, announce)
        self._undo.callback(announce)

    def stop(self) -> None:
        """Undo every patch, last first, and end telemetry within its bound."""
        global _current
        if _current is self:
            _current = None
        self._undo.close()

    def _leave(self) -> None:
        for work in self.probe.at_stop:
            with guarded("stop"):
                work()

    def _start_telemetry(self, *, spans: bool) -> None:
        self.telemetry = Telemetry.start(
            self.config,
            resource={names.SERVICE_VERSION: self.version.text},
            snapshot=self._tick,
            rests=self._rests,
            store_dir=self.config.state_dir,
            spans=spans,
            control_flow=is_intervention,
            sums=_root_sums,
        )
        self._undo.callback(self.telemetry.shutdown)
        if spans:
            self.probe.tracing = self.telemetry

    def _rests(self) -> bool:
        """Whether nothing is under way, and nothing has happened for a while."""
        return self._still >= _STILL and self.probe.tracing is not None and self.probe.underway.at_rest()

    def _tick(self) -> dict[str, Any]:
        # Telemetry's thread asks every second, at rest every few: idle work, off the host's loop.
        if self._described and not self._reported:
            self._reported = True
            launches.remove(os.environ)  # what was described a second ago is recorded by now
        self.probe.replies.expire()
        self.probe.roots.expire()
        for work in self.probe.idle_work:
            with guarded("idle work"):
                work()
        self.monitor.tick()
        samples, stalls = self.monitor.take()
        if samples:
            samples[-1] = {**samples[-1], **self._rates.since_last()}
        self._keep(samples, stalls)
        if time.monotonic() - self._expired_at >= _EXPIRY_INTERVAL_S:
            self._expired_at = time.monotonic()
            for cache in self.caches.values():
                cache.expire()
            self.code.cache.expire()
            self._described = {}
        self._announce_when_at_rest()
        pulse = (*self.probe.pulse(), self._patched, self.patches.aside, len(failures.as_rows()))
        self._still = self._still + 1 if pulse == self._pulse else 0
        # A host at rest is not described anew each time.
        if not self._described or self._still == 0 or self._sampled != self.monitor.pulse:
            self._pulse, self._sampled, self._described = pulse, self.monitor.pulse, self.snapshot()
        return self._described

    def _keep(self, samples: list[dict[str, Any]], stalls: list[Stall]) -> None:
        store = None if self.telemetry is None else self.telemetry.store
        if store is not None and (self._archive is None or self._archive.store is not store):
            self._archive = Archive(store)  # of this process: a forked child has another
        if self._archive is not None:
            self._archive.keep(samples, stalls)

    def note_change(self, cache: str) -> None:
        """A cache has another size or age from now on: what it counts is told apart from before."""
        if cache in self.caches:
            lookups = self.probe.tool_lookups if cache == "tools" else self.probe.extension_lookups
            counted = self.caches[cache].info().as_row() | lookups.as_row()
            self.changed[cache] = {key: value for key, value in counted.items() if key in _COUNTED}

    def forked(self) -> None:
        """In a child made by fork: nothing of ours may wait for a thread that stayed behind.

        What was counted before is the parent's.
        """
        begin_anew(*(cache.forked for cache in self.caches.values()), self.code.cache.forked)
        begin_anew(self.monitor.forked, self.probe.forked, meters.restart)
        with guarded("fork"):
            self.started = time.time()
            self._pulse, self._described, self._still = (), {}, 0
            self.inherited = {}
            self.inherited = {"lookups": record.lookups(self), "caches": record.stored(self)}

    def snapshot(self) -> dict[str, Any]:
        """Everything measured so far, as plain data; ``autoperf status --json`` prints it."""
        return record.snapshot(self)

    def facts(self) -> Process:
        """This process as it is now, with everything that is said of it."""
        from autoperf.insight.facts.ending import ALIVE
        from autoperf.insight.facts.process import Process

        now = time.time()
        stalls = tuple(stall._asdict() for stall in list(self.monitor.recent_stalls))
        return Process({**self.snapshot(), "updated": now}, ALIVE, now, stalls)

    def _announce_when_settled(self) -> None:
        self._patched += 1
        if self.patches.settled:
            self._announce()

    def _announce_when_at_rest(self) -> None:
        # Some modules of the host are imported late, some never: the line does not wait for those.
        if self._announced:
            return
        states = [row.state for row in self.patches.rows]
        if states == self._states and self.patches.usable:
            self._announce()
        self._states = states

    def _announce(self) -> None:
        if self._announced:
            return
        self._announced = True
        with guarded("start line"):
            from autoperf.insight.facts.patches import patches  # 10 ms, which no start waits for

            told = {"patches": record.rows(self), "features": sorted(self.config.features)}
            say(f"Agent Zero {self.version.text}, {patches(told).text}, {self._destination()}")

    def _destination(self) -> str:
        if self.telemetry is None or self.probe.tracing is None:
            return "no traces"
        from autoperf.telemetry.export.otlp import switched_off

        if switched_off():
            return "no traces (OTEL_SDK_DISABLED)"
        exporters = [str(e.get("endpoint") or e.get("kind")) for e in self.telemetry.counts()["exporters"]]
        state = self.config.state_dir
        where = ([] if state_directory.refusal(state) else [str(state)]) + exporters
        return f"traces in {' and '.join(where)}" if where else "no traces kept"
