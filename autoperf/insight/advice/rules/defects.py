"""Advice on defects of Agent Zero that a later version has fixed: for the versions that have them.

Which versions have one was read from the source of every tag between the first and the last, and from the
change that removed it. A version between the last one known to have it and the first one known to be free of
it counts as neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from autoperf.insight.advice.growth import growth
from autoperf.insight.facts import Facts, Recommendation
from autoperf.insight.facts.causes import MACHINE
from autoperf.telemetry import names
from autoperf.telemetry.git_version import number

_MIB: Final = 1 << 20
_CALLS: Final = 3
_LONG_S: Final = 30.0
_IN_MCP: Final = re.compile(r"\bmcp_handler\.py:")
_HOUR_S: Final = 3600.0


@dataclass(frozen=True)
class Defect:
    """``first`` and ``last`` have it, ``fixed`` has not; ``seen`` tells what was measured of it, or "".

    Where it blocks a loop, ``place`` is the end of the stack; ``grows`` is the number that it makes grow.
    """

    first: str
    last: str
    fixed: str
    title: str
    thread: str
    gain: str
    seen: Callable[[Facts], str]
    meanwhile: str = ""
    place: re.Pattern[str] | None = None
    grows: str = ""


def affected(defect: Defect, version: str | None) -> bool:
    """Whether the running ``version`` is known to have the defect."""
    running, first, last = number(version), number(defect.first), number(defect.last)
    return running is not None and first is not None and last is not None and first <= running <= last


def known(facts: Facts) -> Iterator[Recommendation]:
    """Defects of the running version that show in what was measured."""
    for defect in DEFECTS:
        evidence = defect.seen(facts) if affected(defect, facts.host.version) else ""
        if evidence:
            also = f"; until then {defect.meanwhile}" if defect.meanwhile else ""
            yield Recommendation(
                "known defect",
                "high",
                f"Agent Zero {facts.host.version} has a known defect: {defect.title}",
                f"{evidence}; reported as {defect.thread}",
                defect.gain,
                f"update Agent Zero to {defect.fixed} or newer{also}",
            )


def explains(facts: Facts, place: str) -> bool:
    """Whether a loop that is blocked at ``place`` is a defect of the running version that shows."""
    return any(
        defect.place is not None
        and defect.place.search(place)
        and affected(defect, facts.host.version)
        and defect.seen(facts)
        for defect in DEFECTS
    )


def grows_by_defect(facts: Facts, name: str) -> bool:
    """Whether a number grows for a defect of the running version that shows."""
    return any(
        defect.grows == name and affected(defect, facts.host.version) and defect.seen(facts)
        for defect in DEFECTS
    )


def _growing_files(tool: str) -> Callable[[Facts], str]:
    def seen(facts: Facts) -> str:
        calls = _calls(facts, tool)
        found = growth(facts, "files")
        if calls < _CALLS or found is None or found[0].slope * found[0].seconds < _CALLS:
            return ""
        rate = found[0].slope * _HOUR_S
        return f"open files grow by {rate:.0f} an hour, {found[1][-1]:.0f} now; {calls} calls of {tool}"

    return seen


def _calls(facts: Facts, tool: str) -> int:
    rows = facts.process.get("tools") or ()
    return int(sum(row.get("count") or 0 for row in rows if row.get("name") == tool))


def _growing_threads(facts: Facts) -> str:
    found = growth(facts, "threads")
    if found is None or found[0].slope * found[0].seconds < _CALLS:
        return ""
    return f"threads grow by {found[0].slope * _HOUR_S:.0f} an hour, {found[1][-1]:.0f} now"


def _blocked_in_mcp(facts: Facts) -> str:
    times = [
        float(stall["seconds"])
        for stall in facts.stalls
        if any(_IN_MCP.search(place) for place in (stall.get("stack") or ())[-1:])
        and stall.get("cause") not in (*MACHINE, "lock")
    ]
    # Two calls can wait for each other, and then for ever.
    if len(times) < _CALLS and max(times, default=0.0) < _LONG_S:
        return ""
    often = f"{len(times)} times, {sum(times):.0f} s in all," if len(times) > 1 else f"for {times[0]:.0f} s"
    return f"{often} no chat moved while an MCP call held a lock"


def _cut_off_at_ten_seconds(facts: Facts) -> str:
    """Calls of tools of MCP servers, whose names have a dot, that failed after the cap."""
    cut = [
        timing
        for timing in facts.timed(names.EXECUTE_TOOL)
        if "." in timing.name and timing.errors and 9_900 <= timing.max_ms < 15_000
    ]
    failures = sum(timing.errors for timing in cut)
    tools = ", ".join(timing.name for timing in cut[:3])
    return f"{failures} calls of {tools} failed, the longest after 10 s" if failures else ""


def _pagers(facts: Facts) -> str:
    """Pagers that are there in each of the latest samples that have seen children."""
    rows = [row for row in facts.samples if isinstance(row.get("children"), dict)]
    late = [row for row in rows if row["at"] >= rows[-1]["at"] - 600.0] if rows else []
    if len(late) < _CALLS or late[-1]["at"] - late[0]["at"] < 300.0:
        return ""
    counts = [sum(row["children"].get(name, (0, 0))[0] for name in ("pager", "less", "more")) for row in late]
    minutes = (late[-1]["at"] - late[0]["at"]) / 60
    return f"at least {min(counts)} pagers run for {minutes:.0f} minutes" if min(counts) else ""


DEFECTS: Final = (
    Defect(
        "v0.9.4",
        "v1.10",
        "v1.12",
        "each terminal session leaves a file open",
        "#1596",
        "no `too many open files`",
        _growing_files("code_execution_tool"),
        "restart it at a quiet time",
        grows="files",
    ),
    Defect(
        "v0.8.6",
        "v1.9",
        "v1.10",
        "the browser agent leaves event loops and connections open",
        "#906",
        "no `too many open files`",
        _growing_files("browser_agent"),
        "restart it at a quiet time",
        grows="files",
    ),
    Defect(
        "v0.8.5",
        "v1.20",
        "v2.0",
        "one slow MCP call blocks all chats",
        "#1553",
        "other chats go on while one waits for an MCP server",
        _blocked_in_mcp,
        place=_IN_MCP,
    ),
    Defect(
        "v0.9.1",
        "v0.9.7",
        "v0.9.8",
        "calls of remote MCP servers end after 10 s, whatever the settings say",
        "#946",
        "calls may take as long as the settings allow",
        _cut_off_at_ten_seconds,
    ),
    Defect(
        "v0.8.1",
        "v0.9.7",
        "v0.9.8",
        "threads of tasks and chats that were ended stay behind",
        "#813",
        "fewer threads and less memory after days",
        _growing_threads,
        "restart it at a quiet time",
        grows="threads",
    ),
    Defect(
        "v0.9.4",
        "v1.20",
        "v2.0",
        "pagers started by git in a terminal session use a core each, for ever",
        "#1697",
        "a core for each of them",
        _pagers,
        "set GIT_PAGER=cat and PAGER=cat in its environment",
    ),
)
