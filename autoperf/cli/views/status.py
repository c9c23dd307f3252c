"""Text for 80 columns: pure functions from data to lines, which pass over what a record does not have."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from autoperf.cli.views.terminal import columns, fitted, squeezed
from autoperf.errors.wording import count, duration, milliseconds, percent, printable
from autoperf.errors.wording import is_number as _number
from autoperf.insight.facts.patches import STATES
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.tool import tool_use

if TYPE_CHECKING:
    from autoperf.process.installation.doctor import Finding

WIDTH = 80
_ROWS = 12
_MARKS = {"ok": "+", "note": "-", "loss": "!", "problem": "!"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> list[str]:
    """Columns as wide as needed; the last ``numbers`` of them are right-aligned.

    Where the width does not suffice the first column loses its middle.
    """
    cells = [list(head), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(columns(row[i]) for row in cells) for i in range(len(head))]
    widths[0] = max(min(widths[0], WIDTH - sum(widths[1:]) - 2 * len(head)), 16)
    lines = []
    for row in cells:
        row[0] = squeezed(row[0], widths[0])
        aligned = [
            text.rjust(width) if i >= len(head) - numbers else fitted(text, width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(aligned)).rstrip())
    return lines


def findings(found: Sequence[Finding]) -> list[str]:
    """Findings under their topics, each in the order in which they came."""
    lines: list[str] = []
    for topic in dict.fromkeys(finding.topic for finding in found):
        lines += ["", topic] if lines else [topic]
        for finding in found:
            if finding.topic == topic:
                options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
                mark = f"  {_MARKS.get(finding.level, '?')} "
                lines += textwrap.wrap(
                    finding.text, WIDTH, initial_indent=mark, subsequent_indent="    ", **options
                )
    return lines


def snapshot(process: Process) -> list[str]:
    """One recorded process."""
    row = process.record
    host = row.get("host") or {}
    lines = [_heading(process)]
    if host or process.version:
        lines.append(f"Agent Zero {process.version}  {host.get('root', '')}".rstrip())
    if row.get("patches"):
        lines += _wrapped(process.patches.text, "")
        for state in STATES:
            names = process.patches.of(state)
            lines += _wrapped(f"{state}: {', '.join(names)}") if names else []
    lines += [f"  ! {text}" for text in (*process.patches.lost, *process.problems, *process.notes)]
    parts = (
        _lookups(process),
        _kept(process),
        _counters(process),
        _monitor(process),
        _tools(row),
        _points(row),
    )
    for section in parts:
        lines += ["", *section] if section else []
    return lines


def _heading(process: Process) -> str:
    row, heading = process.record, f"process {process.record.get('pid', '?')} {process.ending.text}"
    if process.ending.running and _number(row.get("updated")):
        heading += f", numbers {duration(process.now - row['updated'])} old"
    return f"{heading}; autoperf {row.get('autoperf', '?')}, Python {row.get('python', '?')}"


def _lookups(process: Process) -> list[str]:
    asked = [one for one in process.caches.values() if one.lookups]
    rows = [
        (one.name, count(one.lookups), count(one.hits), count(one.misses), percent(one.hit_rate))
        for one in asked
    ]
    if not rows:
        return []
    lines = table(("lookups", "calls", "hits", "misses", "hit rate"), rows, 4)
    return [*lines, *(line for one in asked if one.why for line in _wrapped(f"{one.name}: {one.why}"))]


def _kept(process: Process) -> list[str]:
    rows = [
        (
            one.name,
            f"{count(one.currsize)}/{count(one.maxsize)}",
            count(one.loads),
            count(one.evictions),
            count(one.invalidations),
            count(one.reexecutions),
            milliseconds(_thousandfold(one.seconds_loading)),
            milliseconds(_thousandfold(one.seconds_saved)),
        )
        for one in process.caches.values()
        if one.stores
    ]
    head = ("cache", "kept", "loads", "evicted", "stale", "re-run", "loading", "saved")
    return table(head, rows, 7) if rows else []


def _counters(process: Process) -> list[str]:
    row, own, lines = process.record, process.cost, []
    for name in ("interventions", "mcp", "replies"):
        numbers = [f"{key} {count(value)}" for key, value in (row.get(name) or {}).items() if _number(value)]
        lines += [f"  {name}: {', '.join(numbers)}"] if numbers else []
    lines += [] if own is None else [f"  {line}" for line in textwrap.wrap(own.line(), WIDTH - 2)]
    lines += _wrapped(f"performance_optimizer: {tool_use(row)}") if tool_use(row) else []
    spans = row.get("telemetry") or {}
    if spans:
        where = ", ".join(["the local store", *map(_exporter, spans.get("exporters") or [])])
        lines += _wrapped(f"spans: {count(spans.get('spans'))} to {where}")
    metrics = spans.get("metrics") or {}
    if metrics:
        host = ["a provider of the host's"] if metrics.get("host_provider") else []
        lines += _wrapped(f"metrics to {', '.join([*host, *map(_exporter, metrics.get('exporters') or [])])}")
    return lines


def _monitor(process: Process) -> list[str]:
    sample = (process.record.get("monitor") or {}).get("sample") or {}
    numbers = [
        f"{label} {shown(sample[key])}" for key, label, shown in _VITALS if _number(sample.get(key))
    ] + [
        f"{printable(str(name))} {count(number)} ({mebibytes(memory)})"
        for name, (number, memory) in (sample.get("children") or {}).items()
    ]
    lines = _wrapped(f"process: {', '.join(numbers)}") if numbers else []
    lags = [f"{printable(str(name))} {lag:.3f} s" for name, lag in (sample.get("lag") or {}).items()]
    if lags:
        lines += _wrapped(f"longest without a break, of event loops since the last sample: {', '.join(lags)}")
    return lines + (_wrapped(process.stalls.text) if process.stalls.text else [])


def mebibytes(value: float) -> str:
    """A number of bytes as MiB."""
    return f"{value / (1 << 20):,.0f} MiB"


_VITALS: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("cpu", "CPU in cores", lambda value: f"{value:.2f}"),
    ("memory", "memory", mebibytes),
    ("unique", "of its own", mebibytes),
    ("memory_limit", "limit", mebibytes),
    ("threads", "threads", count),
    ("files", "open files", count),
)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")


def _exporter(one: Any) -> str:
    return str(one.get("endpoint") or one.get("kind")) if isinstance(one, dict) else str(one)


def _tools(row: Mapping[str, Any]) -> list[str]:
    return _timings("tool", row.get("tools") or [], overhead=True)


def _points(row: Mapping[str, Any]) -> list[str]:
    return _timings("extension point", row.get("extension_points") or [], overhead=False)


def _timings(what: str, entries: list[dict[str, Any]], *, overhead: bool) -> list[str]:
    keys = ["p50_ms", "p95_ms", "max_ms", "total_ms", *(["overhead_ms"] if overhead else [])]
    ordered = sorted(entries, key=lambda entry: -float(entry.get("total_ms") or 0))
    rows = [
        (
            str(entry.get("name", "?")),
            count(entry.get("count")),
            count(entry.get("errors")),
            *(milliseconds(entry.get(key)) for key in keys),
        )
        for entry in ordered[:_ROWS]
    ]
    if not rows:
        return []
    head = (what, "calls", "errors", *(key.removesuffix("_ms") for key in keys))
    more = [f"  and {len(entries) - _ROWS} more: see --json"] if len(entries) > _ROWS else []
    return [*table(head, rows, len(head) - 1), *more]


def _thousandfold(value: Any) -> Any:
    return 1000 * value if _number(value) else None
