"""The one screen of ``autoperf top``: pure functions from a `View` to lines of a given width."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from autoperf.cli.views.sparklines import PLAIN, line
from autoperf.cli.views.status import mebibytes
from autoperf.cli.views.terminal import columns, cut, fitted, squeezed
from autoperf.errors.wording import count, duration, is_number, milliseconds, percent, printable
from autoperf.insight.facts.causes import told
from autoperf.insight.live import View

_LABEL: Final = 8
_NUMBERS: Final = 34
_WIDEST_SPARK: Final = 60
_NARROW: Final = 72
_VERY_NARROW: Final = 56
_TOOLS: Final = 8
_STALLS: Final = 6
_CHATS: Final = 12
_LASTING: Final = 3
_TROUBLES: Final = 3
# That a stall is over is recorded about as late as this; until then it is not said to go on.
_RECORDED_S: Final = 1.5
_KIND: Final = {"tool": "tool ", "model": "model ", "prompt": "prompt", "message": "message"}
_MIB: Final = 1 << 20
Row = tuple[str, ...]


def frame(view: View, width: int, height: int | None = None, marks: str = PLAIN) -> list[str]:
    """Lines of ``width`` columns at most; with ``height``, lists are as long as the screen has room for."""
    spared = (_CHATS, _TOOLS, _STALLS)
    if height is not None:
        record = view.process.record
        lists = (record.get("underway") or (), record.get("tools") or (), view.process.stalls.rows)
        spared = tuple(min(len(rows), height) for rows in lists)  # type: ignore[assignment]
    lines = _lines(view, width, marks, spared)
    while height is not None and len(lines) > height and max(spared) > 1:
        # The longest list first; one row of each is worth more than many of one.
        longest = max(range(len(spared)), key=lambda i: spared[i])
        spared = tuple(rows - (i == longest) for i, rows in enumerate(spared))  # type: ignore[assignment]
        lines = _lines(view, width, marks, spared)
    if height is not None and len(lines) > height:
        lines = [line for line in lines if line]
    return lines[:height]


def _lines(view: View, width: int, marks: str, rows: tuple[int, int, int]) -> list[str]:
    chats, tools, stalls = rows
    sections = (
        _vitals(view, width, marks),
        _chats(view, width, chats),
        _rates(view, width),
        _tools(view, width, tools),
        _stalls(view, width, stalls),
    )
    lines = _heading(view, width)
    for section in sections:
        lines += ["", *section] if section else []
    return [cut(printable(one), width).rstrip() for one in lines]


def _heading(view: View, width: int) -> list[str]:
    row, now, ending = view.process.record, view.process.now, view.process.ending
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    begun = f"process {row.get('pid', '?')}"
    short = "" if ending.seconds is None else f" {duration(ending.seconds)}"
    titles = (
        f"{begun} {ending.text}   Agent Zero {view.process.version}",
        f"{begun} {ending.text}",
        f"{begun} {ending.state}{short}",
    )
    room = width - columns(clock) - 2
    lines = [f"{fitted(_first_fitting(titles, room).rstrip(), room)}  {clock}"]
    wrong = [*view.process.problems, *view.process.notes]
    # That it hangs, or is gone, is what matters first.
    wrong.sort(key=lambda text: text != ending.trouble)
    if view.process.patches.losses:
        wrong.insert(int(bool(ending.trouble)), view.process.patches.text)
    lines += [f"! {text}" for text in wrong[:_TROUBLES]]
    if len(wrong) > _TROUBLES:
        lines.append(f"! and {len(wrong) - _TROUBLES} more: see autoperf status")
    seen = float(row.get("updated") or 0)
    if ending.running:
        seen = max(seen, now - _RECORDED_S)
    lasting = [stall for stall in view.process.stalls.rows if stall.get("lasting")]
    for stall in lasting[:_LASTING]:
        lines.append(_goes_on(stall, seen, "has" if ending.running else "had", width))
    return lines


def _goes_on(stall: Mapping[str, Any], seen: float, has: str, width: int) -> str:
    lasted = duration(seen - float(stall.get("at") or seen))
    loop, places = printable(str(stall.get("loop"))), _places(stall)
    whole = [f"! loop {loop} {has} answered nobody for {lasted}: {place}" for place in places]
    return _first_fitting([*whole, f"! {loop} stalled {lasted}: {places[-1]}"], width)


def _first_fitting(texts: Iterable[str], width: int) -> str:
    """The first of ``texts``, each shorter than the one before, that fits; else the last."""
    text = ""
    for text in texts:
        if columns(text) <= width:
            break
    return text


def _vitals(view: View, width: int, marks: str) -> list[str]:
    sample = (view.process.record.get("monitor") or {}).get("sample") or {}
    lags = {name: lag for name, lag in (sample.get("lag") or {}).items() if is_number(lag)}
    lines = []
    if is_number(sample.get("cpu")):
        limit = f" of {sample['cpu_limit']:.2f}" if is_number(sample.get("cpu_limit")) else ""
        lines.append(
            _vital("CPU", f"{sample['cpu']:.2f}{limit} cores", _past(view, "cpu"), width, marks, 1.0)
        )
    if is_number(sample.get("memory")):
        limit = (
            f", limit {mebibytes(sample['memory_limit'])}" if is_number(sample.get("memory_limit")) else ""
        )
        text = mebibytes(sample["memory"]) + limit
        past = _past(view, "memory")
        floor = min((value for value in past if value is not None), default=0.0)
        # From its lowest up: memory that grows by a tenth would look like memory that stands still.
        risen = [None if value is None else value - floor for value in past]
        lines.append(_vital("memory", text, risen, width, marks, 16.0 * _MIB))
    if lags:
        loop, worst = max(lags.items(), key=lambda item: item[1])
        text = f"{milliseconds(1000 * worst)} {printable(loop)}"
        past = [max(one.get("lag", {}).values(), default=None) for one in view.samples]
        lines.append(_vital("lag", text, past, width, marks, 0.25))
    held = [f"{name} {count(sample[key])}" for key, name in _HELD if is_number(sample.get(key))] + [
        f"{printable(str(name))} {count(number)} ({mebibytes(memory)})"
        for name, (number, memory) in (sample.get("children") or {}).items()
    ]
    return [*lines, *(_filled(f"{'holds':{_LABEL}}", held, width)[:3] if held else ())]


_HELD: Final = (("threads", "threads"), ("files", "open files"))


def _past(view: View, name: str) -> list[float | None]:
    return [one.get(name) for one in view.samples]


def _vital(label: str, text: str, past: Sequence[float | None], width: int, marks: str, least: float) -> str:
    room = min(width - _LABEL - _NUMBERS, _WIDEST_SPARK)
    if room < 8:
        return f"{label:{_LABEL}}{text}"
    return f"{label:{_LABEL}}{fitted(text, _NUMBERS - 2)}  {line(past, room, marks, least)}"


def _chats(view: View, width: int, most: int) -> list[str]:
    works = view.process.record.get("underway")
    if works is None or not view.process.ending.running:
        return []
    rows = at_work(works, view.process.now)
    busy = {work.get("chat") for work in works if work.get("chat")}
    known = (view.process.record.get("host") or {}).get("chats")
    chats = f"{_plural(known)}, {len(busy)} at work" if is_number(known) else f"{_plural(len(busy))} at work"
    if not rows:
        return [chats]
    table = [("chat", "agent", "step", "doing", "since"), *rows[:most]]
    if width < _VERY_NARROW and len({row[1] for row in rows}) == 1:
        table = [(row[0], *row[2:]) for row in table]
    return [chats, *_table(table[0], table[1:], width, give=-2), *_more(len(rows), most)]


def _plural(chats: Any) -> str:
    return f"{count(chats)} chat" if chats == 1 else f"{count(chats)} chats"


def at_work(works: Sequence[dict[str, Any]], now: float) -> list[Row]:
    """A row for each thing at the end of a chain: an agent with its step, and what it waits for there."""
    steps = {(w.get("chat"), w.get("agent")): w for w in works if w.get("kind") == "agent"}
    rows: list[Row] = []
    for work in works:
        kind, whose = work.get("kind"), (work.get("chat"), work.get("agent"))
        if kind in ("message", "agent") and any(_below(other, work) for other in works):
            continue
        agent = steps.get(whose)
        step = str(agent["step"]) if agent and agent.get("step") else ""
        since = work.get("step_since") if kind == "agent" and step else work.get("since")
        doing = _KIND.get(str(kind), "between calls") + printable(str(work.get("name", "")))
        lasted = _between(since, now)
        rows.append((printable(str(whose[0] or "-")), printable(str(whose[1] or "-")), step, doing, lasted))
    return rows


def _between(begin: Any, end: Any) -> str:
    return duration(float(end) - float(begin)) if is_number(begin) and is_number(end) else "?"


def _below(other: dict[str, Any], work: dict[str, Any]) -> bool:
    if other is work or other.get("chat") != work.get("chat"):
        return False
    if work.get("kind") == "message":
        return other.get("kind") != "message"
    return other.get("agent") == work.get("agent") and other.get("kind") not in ("message", "agent")


def _rates(view: View, width: int) -> list[str]:
    shown = [
        f"{printable(name)} {percent(one.hit_rate)}"
        for name, one in view.process.caches.items()
        if one.hit_rate is not None
    ]
    lines = _filled("hits    ", shown, width) if shown else []
    return lines[:3]


def _filled(label: str, parts: Sequence[str], width: int) -> list[str]:
    lines, indent = [label], " " * len(label)
    for part in parts:
        begun = lines[-1]
        glue = "" if begun in (label, indent) else ", "
        if glue and columns(begun) + columns(glue + part) > width:
            lines.append(indent + part)
        else:
            lines[-1] = begun + glue + part
    return lines


def _tools(view: View, width: int, most: int) -> list[str]:
    entries = sorted(view.process.record.get("tools") or [], key=lambda one: -float(one.get("p95_ms") or 0))
    keys: Row = ("count", "p95_ms")
    if width >= _VERY_NARROW:
        keys = ("count", "errors", "p50_ms", "p95_ms")
    if width >= _NARROW:
        keys = (*keys, "max_ms", "total_ms")
    rows = [
        (
            printable(str(one.get("name", "?"))),
            *(milliseconds(one.get(key)) if key.endswith("_ms") else count(one.get(key)) for key in keys),
        )
        for one in entries
    ]
    head = ("slowest tools", *("calls" if key == "count" else key.removesuffix("_ms") for key in keys))
    return (
        [*_table(head, rows[:most], width, give=0, numbers=len(keys)), *_more(len(rows), most)]
        if rows
        else []
    )


def _stalls(view: View, width: int, most: int) -> list[str]:
    found = view.process.stalls
    recent = [stall for stall in found.rows if not stall.get("lasting")][::-1]
    if not recent:
        return [found.number] if found.total else []
    begun = [time.strftime("%H:%M:%S", time.localtime(one.get("at") or 0)) for one in recent]
    lasted = [f"{float(one.get('seconds') or 0):.2f} s" for one in recent]
    room = width - len("00:00:00") - max(len("lasted"), *map(len, lasted)) - 4
    places = [_first_fitting(_places(one), room) for one in recent]
    rows = list(zip(begun, lasted, places, strict=True))
    head = (f"{count(found.total)} stalls", "lasted", "cause")
    return [*_table(head, rows[:most], width, give=2), *_more(found.total or 0, min(most, len(rows)))]


def _places(stall: Mapping[str, Any]) -> list[str]:
    """By what, in which tool and for which chat; then with less of it, for less room."""
    found = [printable(told(stall))]
    for key in ("tool", "chat"):
        if stall.get(key):
            found.append(f"{found[-1]}, {key} {printable(str(stall[key]))}")
    return found[::-1]


def _more(found: int, shown: int) -> list[str]:
    return [f"  and {found - shown} more"] if found > shown else []


def _table(head: Row, rows: Sequence[Row], width: int, *, give: int, numbers: int = 0) -> list[str]:
    """Columns as wide as needed; the column ``give`` loses its middle where the width does not suffice."""
    cells = [head, *rows]
    give %= len(head)
    widths = [max(columns(row[i]) for row in cells) for i in range(len(head))]
    others = sum(widths) - widths[give] + 2 * (len(head) - 1)
    widths[give] = max(8, min(widths[give], width - others))
    lines = []
    for row in cells:
        shown = [squeezed(text, widths[i]) for i, text in enumerate(row)]
        aligned = [
            " " * (widths[i] - columns(text)) + text if i >= len(head) - numbers else fitted(text, widths[i])
            for i, text in enumerate(shown)
        ]
        lines.append("  ".join(aligned))
    return lines
