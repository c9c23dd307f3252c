"""What `autoperf benchmark` has measured, as text for 80 columns: pure functions from its data to lines."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Mapping
from typing import Any

from autoperf.benchmark.measure.samples import LAST_CPU, START_CPU
from autoperf.cli.views.status import WIDTH
from autoperf.errors import told
from autoperf.errors.wording import is_number, milliseconds, percent, printable

# With many variants only these are written out; all of them are in --json.
_MAIN = ("CPU", "wall", "CPU without the model client", "start, CPU", "start, wall", "peak memory")
_PAIR = 2


def lines(report: Mapping[str, Any]) -> list[str]:
    """Every part that the report has, with an empty line between two."""
    parts = [scenario(one) for one in report.get("scenarios", [])]
    if "noise" in report:
        parts.append(noise(report["noise"]))
    known = {
        "conversation": conversation,
        "seams": seams,
        "tracing": tracing,
        "monitor": monitor,
        "launcher": launcher,
    }
    parts += [known[name](report[name]) for name in report if name in known]
    return [line for number, part in enumerate(parts) for line in (*([""] if number else []), *part)]


def scenario(data: Mapping[str, Any]) -> list[str]:
    """One scenario: what it is, whether transcripts are equal, and a table of times and ratios."""
    api = {"openai": ", provider openai"}.get(data["provider"], "")
    counts = ", ".join(f"{count:,} {name}" for name, count in data["counts"].items() if count)
    rounds = f"{data['rounds']} round{'s' if data['rounds'] > 1 else ''}"
    shown = wrapped(
        f"{data['scenario']}: {data['meaning']}{api} ({'; '.join(filter(None, (counts, rounds)))})"
    )
    compared = "" if data["scenario"] == "start" else "transcripts equal"
    for variant, differences in data["differences"].items():
        shown += [f"transcripts differ, bare (1) and {variant} (2):", *map(printable, differences)]
    if compared and not data["differences"]:
        shown.append(compared)
    shown += _pair_table(data) if len(data["variants"]) == _PAIR else _matrix(data)
    for rates in data["hit_rates"].values():
        if rates and len(data["variants"]) == _PAIR:
            shown += wrapped(
                "hit rates: " + "; ".join(f"{n} {percent(r['median'])}" for n, r in rates.items())
            )
    for variant, failures in data["failures"].items():
        shown += [f"failure of ours, {variant}: {told(failure)}" for failure in failures]
    for variant in data["variants"][1:]:
        told = constant(data, variant)
        shown += wrapped(told if len(data["variants"]) == _PAIR else f"{variant}: {told}") if told else []
    return [*shown, *(line for note in data["notes"] for line in wrapped(f"note: {note}"))]


def constant(data: Mapping[str, Any], variant: str) -> str:
    """What ``variant`` adds once a process, what it adds to each message, and when the one is made up for."""
    start, message = (_added(data, what, variant) for what in (START_CPU, LAST_CPU))
    if start is None or message is None:
        return ""
    said = f"CPU, added: {_signed(start)} once (the start), {_signed(message)} by each message past the first"
    if message >= 0:
        return f"{said}: a message costs more than it saves here" if message > 0 else said
    return said if start <= 0 else f"{said}: the start is made up for after {math.ceil(start / -message)}"


def _added(data: Mapping[str, Any], what: str, variant: str) -> float | None:
    """The median over the rounds of what ``variant`` takes more than the bare host, in seconds."""
    row = next((row["variants"] for row in data["rows"] if row["what"] == what), None)
    if row is None:
        return None
    pairs = zip(row[data["variants"][0]]["each"], row[variant]["each"], strict=True)
    added = [ours - bare for bare, ours in pairs if is_number(bare) and is_number(ours)]
    return statistics.median(added) if added else None


def _signed(seconds: float) -> str:
    return f"{'+' if seconds >= 0 else '-'}{_value(abs(seconds), 's')}"


def _pair_table(data: Mapping[str, Any]) -> list[str]:
    bare, ours = data["variants"]
    shown = [f"  {'median':<34}{bare:>10}{ours:>10}{'ratio':>8}  lowest..highest"]
    for row in data["rows"]:
        times = [_value(row["variants"][name]["median"], row["unit"]) for name in (bare, ours)]
        what = textwrap.shorten(row["what"], 34, placeholder="..")
        shown.append(f"  {what:<34}{times[0]:>10}{times[1]:>10}{_ratio(row['variants'][ours])}".rstrip())
    return shown


def _matrix(data: Mapping[str, Any]) -> list[str]:
    shown: list[str] = []
    for row in data["rows"]:
        if row["what"] not in _MAIN:
            continue
        shown.append(f"  {row['what']:<34}{'median':>10}{'ratio':>8}  lowest..highest")
        for name in data["variants"]:
            one = row["variants"][name]
            shown.append(f"    {name:<32}{_value(one['median'], row['unit']):>10}{_ratio(one)}".rstrip())
    return shown


def _ratio(variant: Mapping[str, Any]) -> str:
    ratio = variant.get("ratio") or {}
    if not is_number(ratio.get("median")):
        return ""
    return f"{ratio['median']:>8.2f}  {ratio['lowest']:.2f}..{ratio['highest']:.2f}"


def _value(value: Any, unit: str) -> str:
    if not is_number(value):
        return "-"
    if unit == "KiB":
        return f"{value / 1024:.1f} MiB"
    if unit == "times":
        return f"{value:.2f} x"
    return milliseconds(1000 * value) if value < 10e-3 or value >= 1e3 else _seconds(value)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def noise(data: Mapping[str, Any]) -> list[str]:
    """How far the fixed work between the runs was apart, and what that means for the numbers."""
    readings = [1000 * seconds for seconds in data["readings_seconds"]]
    if not readings:
        return []
    load = f"load {data['load_before']:.1f} before, " if is_number(data["load_before"]) else ""
    told = (
        f"the same fixed work between the runs took {min(readings):.1f} to {max(readings):.1f} ms "
        f"({data['apart']:.0%} apart), {load}{data['cores']} cores"
    )
    if data["noisy"]:
        return wrapped(f"noisy machine: {told}; wall times and single rounds are not to be relied on")
    return wrapped(f"quiet machine: {told}")


def conversation(data: Mapping[str, Any]) -> list[str]:
    """One comparison: transcripts, patches, hit rates, seconds."""
    rates = ", ".join(f"{name} {percent(rate)}" for name, rate in data["hit_rates_last_message"].items())
    shown = ["transcripts differ:" if data["differences"] else "transcripts equal"]
    shown += map(printable, data["differences"])
    shown.append(f"{data['patches']} patches; hits in the last message: {rates}")
    columns = ("bare wall", "autoperf", "bare CPU", "autoperf", "CPU ratio")
    shown.append(f"{'seconds':<12}" + "".join(f"{column:>11}" for column in columns))
    keys = ("bare_wall", "autoperf_wall", "bare_cpu", "autoperf_cpu", "cpu_ratio")
    for row in data["seconds"]:
        numbers = ("-" if row[key] is None else format(row[key], ".2f") for key in keys)
        shown.append(f"{row['what']:<12}" + "".join(f"{number:>11}" for number in numbers))
    return [*shown, *(f"failure of ours: {told(row)}" for row in data["failures"])]


def seams(data: Mapping[str, Any]) -> list[str]:
    """Microseconds a call: bare, under autoperf, and that without inotify; ratios with their range."""
    columns = ("bare", "autoperf", "ratio", "rounds", "no inotify", "ratio", "rounds")
    shown = [f"{'CPU us a call':<32}" + "".join(f"{column:>12}" for column in columns)]
    for name, seam in data.items():
        cells = [f"{statistics.median(seam['bare_ns']) / 1000:.2f}"]
        for key, ratio in (("autoperf_ns", "ratio"), ("without_inotify_ns", "ratio_without_inotify")):
            each = [bare / ours for bare, ours in zip(seam["bare_ns"], seam[key], strict=True)]
            cells += [f"{statistics.median(seam[key]) / 1000:.2f}", f"{seam[ratio]:.2f}x"]
            cells.append(f"{min(each):.3g}..{max(each):.3g}")
        shown.append(f"{name:<32}" + "".join(f"{cell:>12}" for cell in cells))
    return shown


def tracing(data: Mapping[str, Any]) -> list[str]:
    """What tracing adds, with every pair's number."""
    all_pairs = ", ".join(f"{added:+.1%}" for added in data["cpu_added_each"])
    return [
        f"a message of 20 tools and a 20 KB answer: tracing adds {data['cpu_added']:+.1%} CPU and "
        f"{data['wall_added']:+.1%} wall time",
        f"  median of {len(data['traced'])} pairs in one process; CPU of each: {all_pairs}",
    ]


def monitor(data: Mapping[str, Any]) -> list[str]:
    """What the monitor takes of one core."""
    told = [
        f"{100 * data[name]['share']:.3f} % {words} ({data[name]['seconds']:.0f} s)"
        for name, words in (("work", "at work"), ("rest", "at rest"))
    ]
    return [f"the monitor's thread takes of one core: {', '.join(told)}"]


def launcher(data: Mapping[str, Any]) -> list[str]:
    """Milliseconds of a start with and without the launcher, and with the bootstrap."""
    beside = data["bystander"]
    return [
        f"launcher, median of {data['rounds']} alternating runs",
        f"  plain exec {data['plain_ms']:.1f} ms, Python that execs {data['python_ms']:.1f} ms, "
        f"autoperf run {data['autoperf_ms']:.1f} ms",
        f"  added {data['added_ms']:.1f} ms; {data['ratio_to_python']:.2f} x a Python that execs",
        f"a Python that is not the host: {beside['bare']:.1f} ms, with the bootstrap "
        f"{beside['bootstrap']:.1f} ms; peak memory {beside['bare_kib']:.0f} and "
        f"{beside['bootstrap_kib']:.0f} KiB",
    ]


def wrapped(text: str) -> list[str]:
    """Lines of the usual width, all but the first indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
