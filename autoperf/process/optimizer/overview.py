"""The actions that tell how the process is, and what to change: status, recommendations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from autoperf.errors.wording import count, is_number, milliseconds, percent
from autoperf.features import of_seam, way_out
from autoperf.insight.advice.collect import recommendations_for
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.tool import tool_use
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.runtime import Runtime

_MIB: Final = 1 << 20
_TOOLS_SHOWN: Final = 8
_ADVICE_SHOWN: Final = 9
# Whoever asks for hit rates means these; others are asked for far more often.
_FIRST: Final = ("tools", "extensions")


def status(runtime: Runtime, _call: Call) -> str:
    """Process, look-ups, caches, slowest tools, from the counters in memory."""
    return "\n".join(lines_of(runtime.facts()))


def lines_of(process: Process) -> list[str]:
    """The same of any process, for a model: no reason of a failure, which may quote what passed through."""
    row = process.record
    lines = [*_heading(process), *_process(process)]
    lines += [] if process.cost is None else [process.cost.line()]
    lines += [f"performance_optimizer: {tool_use(row)}"] if tool_use(row) else []
    lines += _failures(row)
    lines += [f"! {cell(text, 200)}" for text in process.notes]
    for part in (_lookups(process), _caches(process), _tools(row)):
        lines += ["", *part] if part else []
    return lines


def _heading(process: Process) -> Iterator[str]:
    row = process.record
    checks, telemetry = (row.get(key) or {} for key in ("interventions", "telemetry"))
    yield (
        f"**autoperf {row.get('autoperf')}**; process {row.get('pid')} {process.ending.text}; "
        f"Agent Zero {process.version}, Python {row.get('python')}; {process.patches.text}"
    )
    spans = f"{count(telemetry.get('spans'))} spans recorded" if telemetry else "no spans"
    raised = f"{count(checks.get('raised'))} interventions"
    yield f"{count(checks.get('calls'))} intervention checks, {raised}; {spans}"


def _process(process: Process) -> Iterator[str]:
    monitor = process.record.get("monitor") or {}
    sample = monitor.get("sample") or {}
    numbers = [
        text
        for key, text in (
            ("cpu", "CPU {:.2f} cores"),
            ("threads", "{:,} threads"),
            ("files", "{:,} open files"),
        )
        if is_number(sample.get(key))
        for text in [text.format(sample[key])]
    ]
    for key, name in (("memory", "memory"), ("memory_limit", "limit")):
        numbers += [f"{name} {sample[key] / _MIB:,.0f} MiB"] if is_number(sample.get(key)) else []
    lag = max((sample.get("lag") or {}).values(), default=None)
    numbers += [] if lag is None else [f"longest time a loop was busy {milliseconds(lag * 1000)}"]
    state = f"every {monitor.get('interval', 0):g} s" if monitor.get("running") else "off, its last sample"
    if numbers:
        yield f"monitor {state}: {', '.join(numbers)}"
    else:
        yield f"monitor {'on' if monitor.get('running') else 'off'}, no sample yet"
    if process.stalls.text:
        yield cell(process.stalls.text, 200)


def _failures(row: Mapping[str, Any]) -> Iterator[str]:
    shown = list(row.get("failures") or ())[:5]
    failed = [f"{cell(one.get('seam'))} ({count(one.get('count'))})" for one in shown]
    if failed:
        outs = dict.fromkeys(one.get("way_out") or way_out(of_seam(str(one.get("seam")))) for one in shown)
        passed = f"failures of autoperf, each passed over: {', '.join(failed)}"
        yield f"{passed}; to leave it out: {', '.join(outs)}"


def _lookups(process: Process) -> list[str]:
    asked = [one for one in process.caches.values() if one.lookups]
    asked.sort(key=lambda one: (one.name not in _FIRST, -(one.lookups or 0)))
    rows = [
        (one.name, count(one.lookups), count(one.hits), percent(one.hit_rate), cell(one.why)) for one in asked
    ]
    return table(("look-up", "calls", "hits", "hit rate", "why none"), rows, 10)


def _caches(process: Process) -> list[str]:
    rows = [
        (
            one.name,
            f"{count(one.currsize)} of {count(one.maxsize)}",
            count(one.evictions),
            count(one.expirations),
            count(one.invalidations),
            milliseconds(None if one.seconds_saved is None else 1000 * one.seconds_saved),
        )
        for one in process.caches.values()
        if one.stores
    ]
    return table(("cache", "kept", "no room", "too old", "changed", "loading spared"), rows)


def _tools(row: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            cell(one.get("name", "?")),
            count(one.get("count")),
            count(one.get("errors")),
            *(milliseconds(one.get(key)) for key in ("p50_ms", "p95_ms", "total_ms")),
        )
        for one in row.get("tools") or ()
        if one.get("count")
    ]
    return table(("tool", "calls", "errors", "median", "p95", "total"), rows, _TOOLS_SHOWN)


def advice(runtime: Runtime, _call: Call) -> str:
    """Each piece of advice with its evidence, what to expect, and what to do."""
    found = recommendations_for(runtime)
    if not found:
        return "Nothing to recommend, by what was measured so far."
    lines = []
    for one in found[:_ADVICE_SHOWN]:
        lines.append(f"- **{one.title}** ({one.weight}): {cell(one.evidence, 300)}")
        lines.append(f"  expect: {cell(one.gain, 200)}")
        lines.append(f"  do: {cell(one.action, 300)}")
    if len(found) > _ADVICE_SHOWN:
        lines.append(f"({len(found) - _ADVICE_SHOWN} more; all: `autoperf advise`)")
    return "\n".join(lines)
