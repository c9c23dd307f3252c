"""From the store to periods: a stretch of time, a version, a run; and two of them side by side."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.insight.compare.differences import Difference, differences
from autoperf.insight.compare.periods import Period
from autoperf.insight.facts.host import version
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.recorder import Record, recorder
from autoperf.insight.history import History
from autoperf.insight.processes import as_seen, newest
from autoperf.monitor.samples import samples, stalls
from autoperf.telemetry import names
from autoperf.telemetry.redaction import homeless
from autoperf.telemetry.store.store import Store

_FOREVER: Final = float("inf")
_RUNS: Final = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which measurements a period is made of: all conditions hold. Times in s since the epoch.

    ``version`` is the host's, ``autoperf`` ours, ``features`` exactly those that were on.
    """

    label: str
    since: float = 0.0
    until: float = _FOREVER
    pid: int | None = None
    version: str | None = None
    autoperf: str | None = None
    features: frozenset[str] | None = None
    started: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is one run from its start to its end."""
        return self.started is not None and (self.since, self.until) == (0.0, _FOREVER)

    def takes(self, record: Record | None) -> bool:
        """Whether what the process of ``record`` measured belongs here; None is a process not recorded."""
        wanted = (
            (self.pid, "pid"),
            (self.started, "started"),
            (self.version, "version"),
            (self.autoperf, "autoperf"),
            (self.features, "features"),
        )
        known = {} if record is None else _facts(record)
        return all(value is None or known.get(name) == value for value, name in wanted)


def _facts(record: Record) -> dict[str, Any]:
    return {
        "pid": record.get("pid"),
        "started": record.get("started"),
        "version": version(record) or None,
        "autoperf": record.get("autoperf"),
        "features": frozenset(record.get("features") or ()),
    }


def period(directory: Path, selection: Selection) -> Period:
    """What ``selection`` takes of the store in ``directory``; an `AutoperfError` without a store."""
    return periods(directory, [selection])[0]


def periods(directory: Path, selections: Sequence[Selection]) -> list[Period]:
    """One period for each selection, all read in one pass; up to some seconds for a full store."""
    made = [Period(selection.label) for selection in selections]
    since = min((one.since for one in selections), default=0.0)
    until = max((one.until for one in selections), default=_FOREVER)
    with History(directory) as history:
        places = _Places(selections, made, recorder(history.processes()))
        for name, start_ns, end_ns, status, pid, attributes in history.measured(since, until):
            for one in places.of(pid, start_ns / 1e9):
                one.add_span(name, start_ns, end_ns, status, attributes)
    with Store.open(directory) as store:
        for sample in samples(store, since, until):
            for one in places.of(sample["pid"], sample["at"]):
                one.add_sample(sample)
        for stall in stalls(store, since, until):
            for one in places.of(stall["pid"], stall["at"]):
                one.stalls += 1
    whole = {
        (one.pid, one.started): period for one, period in zip(selections, made, strict=True) if one.whole
    }
    for record in newest(directory, _RUNS) if whole else ():
        if (period := whole.get((record.get("pid"), record.get("started")))) is not None:
            _as_counted(period, as_seen(directory, record))
    return made


def _as_counted(period: Period, process: Process) -> None:
    """A whole run has the look-ups and the stalls that its process counted: samples stop before its end."""
    asked = [process.caches[name] for name in ("tools", "extensions") if name in process.caches]
    measured = [one for one in asked if one.hits is not None]
    if measured:
        period.hits = sum(one.hits or 0.0 for one in measured)
        period.lookups = sum(one.lookups or 0.0 for one in measured)
    period.stalls = process.stalls.total or 0


class _Places:
    """To which periods a moment of a process belongs: many are asked of a full store, for hundreds of hours.

    What takes a process is found out once for each; of these the time is cut where one begins or ends.
    """

    def __init__(
        self,
        selections: Sequence[Selection],
        made: Sequence[Period],
        known: Callable[[Any, float], Record | None],
    ) -> None:
        self._pairs = list(zip(selections, made, strict=True))
        self._known = known
        self._of_record: dict[int, tuple[list[float], list[list[Period]]]] = {}
        self._cut: dict[tuple[int, ...], tuple[list[float], list[list[Period]]]] = {}

    def of(self, pid: Any, at: float) -> list[Period]:
        """The periods that what ``pid`` did at ``at`` (s since the epoch) belongs to."""
        record = self._known(pid, at)
        line = self._of_record.get(id(record))
        if line is None:
            line = self._of_record[id(record)] = self._line(record)
        edges, between = line
        return between[bisect_right(edges, at)]

    def _line(self, record: Record | None) -> tuple[list[float], list[list[Period]]]:
        taking = tuple(n for n, (one, _) in enumerate(self._pairs) if one.takes(record))
        if taking not in self._cut:
            chosen = [self._pairs[n] for n in taking]
            edges = sorted({edge for one, _ in chosen for edge in (one.since, one.until)})
            between = [[period for one, period in chosen if one.since <= at < one.until] for at in edges]
            self._cut[taking] = edges, [[], *between]
        return self._cut[taking]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two periods and what differs between them."""

    before: Period
    after: Period
    differences: list[Difference]


def compare(directory: Path, before: Selection, after: Selection) -> Comparison:
    """Both periods of one store; an `AutoperfError` names the one in which nothing was measured."""
    first, second = periods(directory, [before, after])
    for one in (first, second):
        if not one.spans and not one.samples:
            raise AutoperfError(
                f"nothing was measured in {one.label}; see `autoperf history` for what there is"
            )
    return Comparison(first, second, differences(first, second))


def runs(directory: Path, limit: int = 50) -> list[Selection]:
    """Each recorded process of ``directory`` as a selection, newest first, ``limit`` at most."""
    with History(directory) as history:
        recorded = history.processes()
    rows = [row for row in recorded if isinstance(row.get("started"), (int, float))]
    rows.sort(key=lambda row: -float(row["started"]))
    return [_run(row) for row in rows[:limit]]


def _run(row: Record) -> Selection:
    begun = time.strftime("%m-%d %H:%M", time.localtime(row["started"]))
    version = _facts(row)["version"]
    return Selection(
        f"{begun} pid:{row.get('pid')}", pid=row.get("pid"), started=row["started"], version=version
    )


def last_two(directory: Path) -> tuple[Selection, Selection]:
    """The newest run with a message in it, and the one before it: what ``compare`` takes by itself."""
    with History(directory) as history:
        known = recorder(history.processes())
        talked = set()
        for name, start_ns, end_ns, status, pid, attributes in history.measured(0, _FOREVER, names.MESSAGE):
            one = Period("")
            one.add_span(name, start_ns, end_ns, status, attributes)
            if one.spans and (record := known(pid, start_ns / 1e9)) is not None:
                talked.add((record.get("pid"), record["started"]))
    chosen = [run for run in runs(directory) if (run.pid, run.started) in talked]
    if len(chosen) < 2:
        raise AutoperfError(
            f"{homeless(str(directory))} has fewer than two runs with a message to compare; "
            "name two periods, such as: autoperf compare yesterday today"
        )
    return chosen[1], chosen[0]
