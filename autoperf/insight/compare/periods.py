"""What one stretch of time was made of: durations, failures, tokens and samples by what they belong to."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from autoperf.insight.facts.tally import Tally, Tokens, timed, tokens_of
from autoperf.insight.traces.layers import operation
from autoperf.insight.traces.timings import OTHER, PARTS
from autoperf.memo.series import ranked
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import OPEN

# What a person compares; other spans are parts of these.
KINDS: Final = (
    names.MESSAGE,
    names.INVOKE_AGENT,
    names.STEP,
    names.PREPARE_PROMPT,
    names.CHAT,
    *PARTS,
    names.EXECUTE_TOOL,
    names.MCP_CONNECT,
)
PROCESS: Final = "process"
_NAMED: Final = {
    names.EXECUTE_TOOL: names.TOOL_NAME,
    names.CHAT: names.REQUEST_MODEL,
    names.MCP_CONNECT: names.MCP_SERVER,
}
# Their names are the host's only chat model, or a number.
_NAMELESS: Final = frozenset({names.MESSAGE, names.STEP, names.PREPARE_PROMPT})
_TOKENS: Final = {"input tokens": names.INPUT_TOKENS, "output tokens": names.OUTPUT_TOKENS}
_KEYS_KEPT: Final = 2000
# Samples next to each other are alike; means of so many seconds are taken for measurements of their own.
BLOCK_S: Final = 300.0
# What a sample as it was taken weighs beside one that is the mean of a minute.
_SAMPLE_S: Final = 5.0
_SAMPLED: Final = ("cpu", "memory", "lag")


class Key(NamedTuple):
    """What was measured: a kind of span, or `PROCESS`; its name, or ""; and the quantity.

    The quantity is ``duration`` (ms), ``input tokens``, ``output tokens``, and of a process ``cpu`` (cores),
    ``memory`` (bytes, resident) and ``lag`` (ms that its slowest event loop answered late).
    """

    kind: str
    name: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of one `Key`; percentiles by nearest rank, ``failed`` None where nothing can fail.

    Of samples the percentiles are over time; ``count`` is of the means that are compared, ``total`` their
    sum.
    """

    key: Key
    count: int
    failed: int | None
    p50: float
    p95: float
    total: float

    @property
    def error_rate(self) -> float | None:
        """The share that failed, 0 to 1."""
        return None if self.failed is None else self.failed / self.count

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "kind": self.key.kind,
            "name": self.key.name,
            "quantity": self.key.quantity,
            "count": self.count,
            "failed": self.failed,
            "p50": self.p50,
            "p95": self.p95,
            "total": self.total,
        }


class Period:
    """Everything measured in one stretch of time, or by the processes that were chosen.

    ``tally`` counts what was begun; ``spans`` and ``samples`` what was timed, ``stalls`` the event loops that
    answered nobody for longer than 250 ms; ``hits`` and ``lookups`` are those of tools and extensions, as
    sampled.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.spans = 0
        self.samples = 0
        self.stalls = 0
        self.hits = 0.0
        self.lookups = 0.0
        self.first: float | None = None
        self.last: float | None = None
        self._values: dict[Key, array[float]] = {}
        self._failed: dict[Key, int] = {}
        self.tally = Tally()
        self._tokens: dict[str, Tokens] = {}
        self._blocks: dict[tuple[str, int, float], list[float]] = {}
        self._sampled: dict[str, list[tuple[float, float]]] = {}

    def add_span(
        self, name: str, start_ns: int, end_ns: int, status: str, attributes: Mapping[str, Any]
    ) -> None:
        """Count one span in; its duration only where it ended by itself (`timed`)."""
        kind = operation(name)
        if kind not in KINDS:
            return
        self.tally.add(name, attributes)
        key = Key(kind, self._name(kind, name, attributes), "duration")
        if kind == names.CHAT:
            self._tokens[key.name] = self._tokens.get(key.name, Tokens()) + tokens_of(attributes)
        if status == OPEN or not timed(attributes):
            return
        self.spans += 1
        self._seen(start_ns / 1e9)
        key = self._put(key, max(0, end_ns - start_ns) / 1e6)
        self._failed[key] = self._failed.get(key, 0) + (status == "error")
        for part, attribute in PARTS.items():
            seconds = attributes.get(attribute)
            if isinstance(seconds, (int, float)) and kind == names.CHAT:
                self._put(Key(part, key.name, "duration"), seconds * 1e3)
        for quantity, attribute in _TOKENS.items():
            number = attributes.get(attribute)
            if kind == names.CHAT and isinstance(number, (int, float)):
                self._put(Key(kind, key.name, quantity), float(number))

    def add_sample(self, sample: Mapping[str, Any]) -> None:
        """Count one sample of the monitor in: its fields, ``at`` and ``pid``."""
        self.samples += 1
        self._seen(float(sample["at"]))
        self.hits += sample.get("hits") or 0
        self.lookups += sample.get("lookups") or 0
        lag = sample.get("lag")
        late = max(lag.values(), default=None) if isinstance(lag, Mapping) else None
        values = {"cpu": sample.get("cpu"), "memory": sample.get("memory"), "lag": late}
        for quantity in _SAMPLED:
            value = values[quantity]
            if isinstance(value, (int, float)):
                number = float(value * 1e3 if quantity == "lag" else value)
                block = (quantity, int(sample.get("pid") or 0), float(sample["at"]) // BLOCK_S)
                self._blocks.setdefault(block, []).append(number)
                seconds = float(sample.get("span") or _SAMPLE_S)
                self._sampled.setdefault(quantity, []).append((number, seconds))

    def figures(self, *kinds: str) -> list[Figures]:
        """What was measured, most of it first in each kind; with ``kinds`` only those."""
        found = [self._figures(key, values) for key, values in self.values()]
        order = (*KINDS, PROCESS)
        chosen = [one for one in found if not kinds or one.key.kind in kinds]
        return sorted(chosen, key=lambda one: (order.index(one.key.kind), -one.total, one.key))

    def values(self) -> Iterator[tuple[Key, list[float]]]:
        """Every key with its values as they were added; of samples `BLOCK_S` s' means, process by process."""
        for key, values in self._values.items():
            yield key, list(values)
        for quantity in _SAMPLED:
            means = [
                sum(of) / len(of) for (name, _, _), of in sorted(self._blocks.items()) if name == quantity
            ]
            if means:
                yield Key(PROCESS, "", quantity), means

    def failed(self, key: Key) -> int | None:
        """How many of ``key`` failed; None where nothing can fail."""
        return self._failed.get(key)

    def of(self, kind: str) -> Figures | None:
        """All durations of one kind together, whatever their names; None without any."""
        values: list[float] = []
        failed: int | None = None
        for key, some in self._values.items():
            if key.kind == kind and key.quantity == "duration":
                values += some
                if (number := self._failed.get(key)) is not None:
                    failed = (failed or 0) + number
        return _figures(Key(kind, "", "duration"), values, failed) if values else None

    def tokens(self, model: str) -> Tokens:
        """The tokens of one model, and what they cover."""
        return self._tokens.get(model, Tokens())

    def _figures(self, key: Key, values: list[float]) -> Figures:
        found = _figures(key, values, self._failed.get(key))
        if key.kind != PROCESS:
            return found
        p50, p95 = _over_time(self._sampled[key.quantity], (0.5, 0.95))
        return replace(found, p50=p50, p95=p95)

    def _put(self, key: Key, value: float) -> Key:
        if key not in self._values and len(self._values) >= _KEYS_KEPT:
            key = key._replace(name=OTHER)
        self._values.setdefault(key, array("d")).append(value)
        return key

    def _name(self, kind: str, name: str, attributes: Mapping[str, Any]) -> str:
        if kind in _NAMELESS:
            return ""
        return str(attributes.get(_NAMED.get(kind, "")) or name.partition(" ")[2])

    def _seen(self, at: float) -> None:
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)


def _figures(key: Key, values: list[float], failed: int | None) -> Figures:
    ordered = sorted(values)
    p50, p95 = ranked(ordered, 0.5) or 0.0, ranked(ordered, 0.95) or 0.0
    return Figures(key, len(ordered), failed, p50, p95, sum(ordered))


def _over_time(sampled: list[tuple[float, float]], shares: Sequence[float]) -> list[float]:
    """The values below which the process was for these shares (ascending) of the time that was sampled."""
    ordered = sorted(sampled)
    whole = sum(seconds for _, seconds in ordered)
    found: list[float] = []
    passed = 0.0
    for value, seconds in ordered:
        passed += seconds
        while len(found) < len(shares) and passed >= shares[len(found)] * whole * (1 - 1e-9):
            found.append(value)
    return found
