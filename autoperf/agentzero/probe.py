"""What the wrappers share: counters, execution statistics, and the way to spans."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol

from autoperf.agentzero.content import Content
from autoperf.agentzero.hostcache import ExtensionClasses
from autoperf.agentzero.streams import Caller, Stream
from autoperf.series import Series
from autoperf.telemetry import names

_NAME_LENGTH: Final = 100
_NAMES_KEPT: Final = 1000
OTHER: Final = "(other)"


class SpanHandle(Protocol):
    """A span that is open."""

    def set(self, key: str, value: Any) -> None:
        """Set one attribute."""


class Tracing(Protocol):
    """The part of telemetry that wrappers use; see `autoperf.telemetry.Telemetry`."""

    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
    ) -> AbstractContextManager[SpanHandle]:
        """A span around a block; with ``new_trace`` a root; with ``from_ns`` only if it took that long."""

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
    ) -> None:
        """A span after the fact, child of the current one; Unix time in ns."""

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value for the instrument of that name in `names`, in the unit noted there."""


class Execution:
    """Statistics of one tool or one extension point."""

    __slots__ = ("_row", "_seen", "errors", "overhead", "series")

    def __init__(self) -> None:
        self.series = Series()
        self.overhead = Series()
        self.errors = 0
        self._seen = (-1, -1, -1)
        self._row: dict[str, Any] = {}

    def as_row(self, name: str) -> dict[str, Any]:
        """As ``status`` shows it; ``overhead_ms`` is the host's and our time around the tool, in total."""
        seen = (self.series.count, self.overhead.count, self.errors)
        if seen != self._seen:
            self._row, self._seen = self._described(name), seen
        return dict(self._row)

    def _described(self, name: str) -> dict[str, Any]:
        row = {"name": name, "errors": self.errors, **self.series.as_row()}
        if self.overhead.count:
            row["overhead_ms"] = round(self.overhead.total * 1000, 3)
        return row


class Executions:
    """Statistics by name; beyond 1,000 names the rest is counted under ``(other)``. Thread-safe."""

    def __init__(self) -> None:
        self._by_name: dict[str, Execution] = {}
        self._lock = threading.Lock()

    def of(self, name: Any) -> Execution:
        """The statistics of ``name``, which is cut at 100 characters."""
        key = str(name)[:_NAME_LENGTH]
        found = self._by_name.get(key)
        if found is not None:
            return found
        with self._lock:
            if len(self._by_name) >= _NAMES_KEPT:
                key = OTHER
            return self._by_name.setdefault(key, Execution())

    def count(self) -> int:
        """How many executions there were in all."""
        return sum(execution.series.count for execution in list(self._by_name.values()))

    def forked(self) -> None:
        """Replace every lock; see `Probe.forked`."""
        self._lock = threading.Lock()
        for execution in self._by_name.values():
            execution.series.forked()
            execution.overhead.forked()

    def as_rows(self) -> list[dict[str, Any]]:
        """One row a name, most time first."""
        rows = [execution.as_row(name) for name, execution in list(self._by_name.items())]
        return sorted(rows, key=lambda row: -row["total_ms"])


class Lookups:
    """How many lookups there were, and how many of them needed a source file to be read.

    One lookup is one ``get_tool`` or one extension call. It is a hit when nothing was read from a source
    file: the class was kept, or kept code was executed again, or there verifiably was nothing to load.
    """

    __slots__ = ("_counters", "hits", "misses")

    def __init__(self) -> None:
        self._counters: list[Callable[[], int]] = []
        self.hits = 0
        self.misses = 0

    def count_hits_with(self, counter: Callable[[], int]) -> None:
        """Add a wrapper's own counter of hits: a closure variable is the cheapest thing to count with."""
        self._counters.append(counter)

    def count(self, *, hit: bool) -> None:
        """Count one lookup."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1

    def as_row(self) -> dict[str, Any]:
        """Lookups, hits, misses and the share of hits (None before the first lookup)."""
        total = self.total()
        hits = total - self.misses
        rate = round(hits / total, 4) if total else None
        return {"lookups": total, "hits": hits, "misses": self.misses, "hit_rate": rate}

    def total(self) -> int:
        """All lookups."""
        return self.hits + self.misses + sum(counter() for counter in self._counters)


class Interventions:
    """Idle checks are only counted; waits and raised interventions also become spans."""

    __slots__ = ("_idle", "busy", "raised", "waited")

    def __init__(self) -> None:
        self._idle: list[Callable[[], int]] = []
        self.busy = 0
        self.waited = 0
        self.raised = 0

    def count_idle_with(self, counter: Callable[[], int]) -> None:
        """Add a wrapper's own counter of idle checks: nothing counts cheaper than a closure variable."""
        self._idle.append(counter)

    def as_row(self) -> dict[str, int]:
        """All calls, and those that waited or raised."""
        return {"calls": self.total(), "waited": self.waited, "raised": self.raised}

    def total(self) -> int:
        """All checks."""
        return self.busy + sum(counter() for counter in self._idle)


class Step:
    """One pass of the host through its tool processing, to tell the tool's own time from the rest."""

    __slots__ = ("own_seconds", "tool")

    def __init__(self) -> None:
        self.tool: str | None = None
        self.own_seconds = 0.0


class Turn:
    """One monologue as the wrappers inside it see it: whose it is."""

    __slots__ = ("agent", "conversation")

    def __init__(self, agent: str, conversation: str) -> None:
        self.agent = agent
        self.conversation = conversation

    def attributes(self) -> dict[str, Any]:
        """The agent and the chat, for any span inside."""
        given = {names.AGENT_NAME: self.agent, names.CONVERSATION_ID: self.conversation}
        return {key: value for key, value in given.items() if value}


class Lookup:
    """What one extension call, in the context it runs in, found and had to read."""

    __slots__ = ("classes", "reads")

    def __init__(self) -> None:
        self.classes = 0
        self.reads = 0


def restore(variable: ContextVar[Any], token: Token[Any]) -> None:
    """Reset a context variable; in a context that is gone (a coroutine closed elsewhere) it stays."""
    try:  # noqa: SIM105 - contextlib.suppress costs more than all the rest, and this runs at every call
        variable.reset(token)
    except (ValueError, RuntimeError):
        pass


class Probe:
    """Counters of one process; ``tracing`` is None when spans and execution statistics are off."""

    def __init__(self, tracing: Tracing | None) -> None:
        self.tracing = tracing
        self.tools = Executions()
        self.points = Executions()
        self.tool_lookups = Lookups()
        self.extension_lookups = Lookups()
        self.interventions = Interventions()
        self.extension_classes = ExtensionClasses()
        self.mcp_lookups = 0
        self.mcp_found = 0
        self.content = Content()
        self.turn: ContextVar[Turn | None] = ContextVar("autoperf_turn", default=None)
        self.caller: ContextVar[Caller | None] = ContextVar("autoperf_caller", default=None)
        self.stream: ContextVar[Stream | None] = ContextVar("autoperf_stream", default=None)
        self.step: ContextVar[Step | None] = ContextVar("autoperf_step", default=None)
        self.lookup: ContextVar[Lookup | None] = ContextVar("autoperf_lookup", default=None)

    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
    ) -> AbstractContextManager[Any]:
        """A span around a block, or nothing when tracing is off; see `Tracing.span`."""
        if self.tracing is None:
            return NO_SPAN
        return self.tracing.span(name, attributes, kind, new_trace=new_trace, from_ns=from_ns)

    def pulse(self) -> tuple[int, ...]:
        """Numbers that have moved whenever anything here has; cheap to compare."""
        return (
            self.tool_lookups.total(),
            self.extension_lookups.total(),
            self.interventions.total(),
            self.mcp_lookups,
            self.tools.count(),
            self.points.count(),
        )

    def forked(self) -> None:
        """In a child made by fork: locks that another thread held at that moment would stay held for ever."""
        self.tools.forked()
        self.points.forked()

    def record(self, name: str, start_ns: int, end_ns: int, attributes: dict[str, Any]) -> None:
        """A span after the fact, or nothing when tracing is off."""
        if self.tracing is not None:
            self.tracing.record(name, start_ns, end_ns, attributes)

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value for an instrument, or nothing when tracing is off; see `Tracing.measure`."""
        if self.tracing is not None:
            self.tracing.measure(name, value, attributes)


class _NoSpan:
    def set(self, key: str, value: Any) -> None:
        """Ignore the attribute."""


NO_SPAN: Final = nullcontext(_NoSpan())


def agent_attributes(agent: Any, keys: tuple[str, str]) -> dict[str, Any]:
    """The agent's name and its chat's id under the two attribute keys given."""
    context = getattr(agent, "context", None)
    values = (getattr(agent, "agent_name", None), getattr(context, "id", None))
    return {key: str(value) for key, value in zip(keys, values, strict=True) if value}


def is_intervention(error: BaseException) -> bool:
    """Whether the host raised this to hand a user's message to the agent, which is no failure."""
    return type(error).__name__ == "InterventionException"
