"""The actions that tell how the process is, and what to change: status, recommendations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from autoperf.advising import recommendations_for
from autoperf.agentzero.optimizer import Call
from autoperf.insight import counters
from autoperf.optimizer.markdown import cell, table
from autoperf.runtime import Runtime
from autoperf.wording import count, duration, is_number, milliseconds, percent

_MIB: Final = 1 << 20
_TOOLS_SHOWN: Final = 8
_ADVICE_SHOWN: Final = 9
# Whoever asks for hit rates means these; others are asked for far more often.
_FIRST: Final = ("tools", "extensions")


def status(runtime: Runtime, _call: Call) -> str:
    """Process, look-ups, caches, slowest tools, from the counters in memory."""
    row = runtime.snapshot()
    lines = [*_heading(row), *_process(row["monitor"]), *counters.of_the_tool(row), *_failures(row)]
    for part in (_lookups(row), _caches(row), _tools(row)):
        lines += ["", *part] if part else []
    return "\n".join(lines)


def _heading(row: Mapping[str, Any]) -> Iterator[str]:
    applied, wanted = counters.patches(row["patches"])
    yield (
        f"**autoperf {row['autoperf']}**, {duration(time.time() - row['started'])} in process {row['pid']}; "
        f"Agent Zero {row['host']['generation']}, Python {row['python']}; {applied} of {wanted} patches"
    )
    checks, telemetry = row["interventions"], row["telemetry"]
    spans = (
        f"{count(telemetry['spans'])} spans recorded, {count(telemetry['dropped'])} lost"
        if telemetry
        else "no spans"
    )
    yield f"{count(checks['calls'])} intervention checks, {count(checks['raised'])} interventions; {spans}"


def _process(monitor: Mapping[str, Any]) -> Iterator[str]:
    sample = monitor["sample"]
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
    lag = max(sample.get("lag", {}).values(), default=None)
    numbers += [] if lag is None else [f"longest time a loop was busy {milliseconds(lag * 1000)}"]
    state = f"every {monitor['interval']:g} s" if monitor["running"] else "off, its last sample"
    if numbers:
        yield f"monitor {state}: {', '.join(numbers)}"
    else:
        yield f"monitor {'on' if monitor['running'] else 'off'}, no sample yet"
    last = monitor["last_stall"]
    if last:
        place = (last["stack"] or [last["inside"] or "an unknown place"])[-1]
        tool = f", tool {cell(last['tool'])}" if last["tool"] else ""
        of = f"the last, {last['seconds']:.1f} s, in {cell(place, 90)}{tool}"
        yield f"{count(monitor['stalls'])} stalls of an event loop; {of}"


def _failures(row: Mapping[str, Any]) -> Iterator[str]:
    # The reasons may quote what passed through: names of places only.
    failed = [f"{cell(one['seam'])} ({count(one['count'])})" for one in row["failures"]]
    if failed:
        out = ", ".join(dict.fromkeys(one["way_out"] for one in row["failures"][:5]))
        yield f"failures of autoperf, each passed over: {', '.join(failed[:5])}; to leave it out: {out}"


def _lookups(row: Mapping[str, Any]) -> list[str]:
    rows = [
        (name, count(one["lookups"]), percent(one["hit_rate"]))
        for name, one in sorted(
            row["lookups"].items(), key=lambda item: (item[0] not in _FIRST, -item[1]["lookups"])
        )
        if one["lookups"]
    ]
    return table(("look-up", "calls", "hits"), rows, 10)


def _caches(row: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            name,
            f"{count(one['currsize'])} of {count(one['maxsize'])}",
            count(one["evictions"]),
            count(one["expirations"]),
            count(one["invalidations"]),
            milliseconds(1000 * one["seconds_saved"]),
        )
        for name, one in row["caches"].items()
    ]
    return table(("cache", "kept", "no room", "too old", "changed", "loading spared"), rows)


def _tools(row: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            cell(one["name"]),
            count(one["count"]),
            count(one["errors"]),
            *(milliseconds(one.get(key)) for key in ("p50_ms", "p95_ms", "total_ms")),
        )
        for one in row["tools"]
        if one["count"]
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
