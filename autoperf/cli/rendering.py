"""Text for 80 columns: pure functions from data to lines, which pass over what a record does not have."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from autoperf.cli.terminal import columns, fitted, squeezed
from autoperf.errors import told
from autoperf.insight import counters
from autoperf.wording import count, duration, milliseconds, percent, printable
from autoperf.wording import is_number as _number

if TYPE_CHECKING:
    from autoperf.diagnosis import Finding

WIDTH = 80
_ROWS = 12
_MARKS = {"ok": "+", "note": "-", "problem": "!"}


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


def snapshot(row: dict[str, Any], running: bool, now: float) -> list[str]:
    """One recorded process; ``now`` in Unix seconds."""
    host = row.get("host") or {}
    lines = [_heading(row, running, now)]
    if host:
        lines.append(f"Agent Zero {host.get('generation', '')}  {host.get('root', '')}".rstrip())
    patches = row.get("patches") or []
    if patches:
        applied, wanted = counters.patches(patches)
        features = ", ".join(row.get("features") or []) or "none"
        lines.append(f"{applied} of {wanted} patches applied; features: {features}")
        lines += [
            f"  ! {p.get('target')}: {p.get('state')}, {p.get('reason') or 'no reason recorded'}"
            for p in patches
            if p.get("state") in ("failed", "inert")
        ]
    parts = (_lookups, _caches, _counters, _monitor, _tools, _points, _failures)
    for section in (part(row) for part in parts):
        lines += ["", *section] if section else []
    return lines


def _heading(row: dict[str, Any], running: bool, now: float) -> str:
    started, ended = row.get("started"), row.get("ended")
    last = ended if ended is not None else now if running else row.get("updated")
    state = "runs" if running else "ended"
    heading = f"process {row.get('pid', '?')} {state}"
    if isinstance(started, (int, float)) and isinstance(last, (int, float)):
        heading += f" {'since' if running else 'after'} {duration(last - started)}"
    if running and isinstance(row.get("updated"), (int, float)):
        heading += f", numbers {duration(now - row['updated'])} old"
    return f"{heading}; autoperf {row.get('autoperf', '?')}, Python {row.get('python', '?')}"


def _lookups(row: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            count(one.get("lookups")),
            count(one.get("hits")),
            count(one.get("misses")),
            percent(one.get("hit_rate")),
        )
        for name, one in (row.get("lookups") or {}).items()
        if one.get("lookups")
    ]
    return table(("lookups", "calls", "hits", "misses", "hit rate"), rows, 4) if rows else []


def _caches(row: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            f"{count(one.get('currsize'))}/{count(one.get('maxsize'))}",
            count(one.get("loads")),
            count(one.get("evictions")),
            count(one.get("invalidations")),
            count(one.get("reexecutions")),
            milliseconds(_thousandfold(one.get("seconds_loading"))),
            milliseconds(_thousandfold(one.get("seconds_saved"))),
        )
        for name, one in (row.get("caches") or {}).items()
    ]
    return (
        table(("cache", "kept", "loads", "evicted", "stale", "re-run", "loading", "saved"), rows, 7)
        if rows
        else []
    )


def _counters(row: dict[str, Any]) -> list[str]:
    lines = []
    for name in ("interventions", "mcp", "replies"):
        numbers = [f"{key} {count(value)}" for key, value in (row.get(name) or {}).items() if _number(value)]
        lines += [f"  {name}: {', '.join(numbers)}"] if numbers else []
    for line in counters.of_the_tool(row):
        lines += _wrapped(line)
    spans = row.get("telemetry") or {}
    if spans:
        where = ", ".join(["the local store", *map(_exporter, spans.get("exporters") or [])])
        lines.append(
            f"  spans: {count(spans.get('spans'))} to {where}; {count(spans.get('dropped'))} dropped"
        )
    metrics = spans.get("metrics") or {}
    if metrics:
        host = ["a provider of the host's"] if metrics.get("host_provider") else []
        where = ", ".join([*host, *map(_exporter, metrics.get("exporters") or [])])
        lines.append(f"  metrics to {where}; {count(metrics.get('dropped'))} dropped")
    return lines


def _monitor(row: dict[str, Any]) -> list[str]:
    monitor = row.get("monitor") or {}
    sample = monitor.get("sample") or {}
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
    last = monitor.get("last_stall")
    if last:
        where = printable(str((last.get("stack") or [last.get("inside") or "an unknown place"])[-1]))
        of = "".join(f", {key} {printable(str(last[key]))}" for key in ("tool", "chat") if last.get(key))
        lines += _wrapped(
            f"{count(monitor.get('stalls'))} stalls; the last, {last['seconds']:.1f} s, in {where}{of}"
        )
    return lines


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


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _exporter(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one)
    lost = f"{count(one['dropped'])} lost" if one.get("dropped") else ""
    notes = ", ".join(filter(None, (lost, one.get("problem"))))
    return f"{one.get('endpoint') or one.get('kind')}{f' ({notes})' if notes else ''}"


def _tools(row: dict[str, Any]) -> list[str]:
    return _timings("tool", row.get("tools") or [], overhead=True)


def _points(row: dict[str, Any]) -> list[str]:
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


def _failures(row: dict[str, Any]) -> list[str]:
    return [f"  ! {printable(told(one))}" for one in row.get("failures") or []]


def _thousandfold(value: Any) -> Any:
    return 1000 * value if _number(value) else None
