"""The table of instruments: what is measured as it happens, and what is read when metrics are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autoperf.telemetry import names

Reading = tuple[float, dict[str, str]]
# Snapshot of the process (`autoperf.process.runtime.Runtime.snapshot`), with its vitals under ``process``.
State = Mapping[str, Any]

COUNTER: Final = "counter"
UP_DOWN_COUNTER: Final = "up_down_counter"
GAUGE: Final = "gauge"

# GenAI conventions, metrics: the boundaries each histogram should have.
_SHORT: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_LONG: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_TOKENS: Final = tuple(float(4**power) for power in range(14))
# Ours: a loop at rest answers in well under a millisecond.
_LAG: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Histogram:
    """A distribution of what `Telemetry.measure` is given."""

    name: str
    unit: str
    meaning: str
    boundaries: tuple[float, ...]


@dataclass(frozen=True)
class Observed:
    """A number that is read at each collection; ``read`` gives values and their attributes."""

    name: str
    kind: str
    unit: str
    meaning: str
    read: Callable[[State], Iterator[Reading]]


HISTOGRAMS: Final = (
    Histogram(names.OPERATION_DURATION, "s", "GenAI operation duration.", _SHORT),
    Histogram(names.TOKEN_USAGE, "{token}", "Number of input and output tokens used.", _TOKENS),
    Histogram(names.FIRST_CHUNK_DURATION, "s", "Time from the request to its first chunk.", _SHORT),
    Histogram(names.EXECUTE_TOOL_DURATION, "s", "The duration of a single tool execution.", _SHORT),
    Histogram(names.INVOKE_AGENT_DURATION, "s", "The duration of a single agent invocation.", _LONG),
    Histogram(names.LOOP_LAG, "s", "How late an event loop comes to a call from another thread.", _LAG),
)


def _numbers(row: Any, key: str, attributes: dict[str, str]) -> Iterator[Reading]:
    value = row.get(key) if isinstance(row, Mapping) else None
    if isinstance(value, (int, float)):
        yield value, attributes


def _of_caches(key: str, table: str = "caches") -> Callable[[State], Iterator[Reading]]:
    def read(state: State) -> Iterator[Reading]:
        for cache, row in (state.get(table) or {}).items():
            yield from _numbers(row, key, {names.CACHE_NAME: str(cache)})

    return read


def _of(group: str, key: str) -> Callable[[State], Iterator[Reading]]:
    def read(state: State) -> Iterator[Reading]:
        yield from _numbers(state.get(group), key, {})

    return read


def _by(group: str, attribute: str, keys: Mapping[str, str]) -> Callable[[State], Iterator[Reading]]:
    def read(state: State) -> Iterator[Reading]:
        for key, value in keys.items():
            yield from _numbers(state.get(group), key, {attribute: value})

    return read


def _extension_calls(state: State) -> Iterator[Reading]:
    yield from _numbers((state.get("lookups") or {}).get("extensions"), "lookups", {})


_CPU: Final = {"cpu_user": "user", "cpu_system": "system"}
_SWITCHES: Final = {"switches_voluntary": "voluntary", "switches_involuntary": "involuntary"}

# Process conventions for ``process``; the others are our own.
OBSERVED: Final = (
    Observed(names.CACHE_HITS, COUNTER, "{hit}", "Found without loading.", _of_caches("hits", "lookups")),
    Observed(names.CACHE_MISSES, COUNTER, "{miss}", "Had to be loaded.", _of_caches("misses", "lookups")),
    Observed(names.CACHE_EVICTIONS, COUNTER, "{entry}", "Dropped for want of room.", _of_caches("evictions")),
    Observed(names.CACHE_SIZE, UP_DOWN_COUNTER, "{entry}", "Entries kept.", _of_caches("currsize")),
    Observed(
        names.CACHE_SAVED,
        COUNTER,
        "s",
        "Sum over all hits of what a warm load of the same entry was measured to take.",
        _of_caches("seconds_saved"),
    ),
    Observed(names.EXTENSION_CALLS, COUNTER, "{call}", "Calls of extension points.", _extension_calls),
    Observed(
        names.INTERVENTION_CHECKS,
        COUNTER,
        "{check}",
        "Checks for a user's intervention.",
        _of("interventions", "calls"),
    ),
    Observed(
        names.INTERVENTION_WAITS,
        COUNTER,
        "{check}",
        "Checks that waited while the agent was paused.",
        _of("interventions", "waited"),
    ),
    Observed(
        names.INTERVENTION_RAISES,
        COUNTER,
        "{check}",
        "Checks that handed a user's message to the agent.",
        _of("interventions", "raised"),
    ),
    Observed(
        names.CPU_UTILIZATION,
        GAUGE,
        "1",
        "CPU time since the last collection, by the time passed and the CPUs this process may use.",
        _by("process", names.CPU_MODE, _CPU),
    ),
    Observed(names.MEMORY_USAGE, UP_DOWN_COUNTER, "By", "Physical memory in use.", _of("process", "memory")),
    Observed(names.THREAD_COUNT, UP_DOWN_COUNTER, "{thread}", "Threads.", _of("process", "threads")),
    Observed(
        names.OPEN_FILES,
        UP_DOWN_COUNTER,
        "{file_descriptor}",
        "File descriptors in use.",
        _of("process", "files"),
    ),
    Observed(
        names.CONTEXT_SWITCHES,
        COUNTER,
        "{context_switch}",
        "Times this process was switched away from.",
        _by("process", names.CONTEXT_SWITCH_TYPE, _SWITCHES),
    ),
)
