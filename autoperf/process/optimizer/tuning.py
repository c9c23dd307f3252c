"""The actions that apply what was recommended, as far as a running process can, and take it back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from autoperf.insight.advice.collect import recommendations_for
from autoperf.insight.facts import Recommendation
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.process import controls
from autoperf.process.optimizer.arguments import is_set
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.options import OPTIONS, shown
from autoperf.process.runtime import Runtime


@dataclass(frozen=True)
class Change:
    """One option that was given another value at run time; ``at`` in Unix seconds."""

    option: str
    before: Any
    after: Any
    why: str
    at: float


class Tuning:
    """What was changed in this process by the tool, newest last."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._changes: list[Change] = []
        self._lock = threading.Lock()
        runtime.probe.after_fork.append(self._forked)

    def optimize(self, call: Call) -> str:
        """Apply what is safe and ours; with ``undo`` the same as `undo`."""
        if is_set(call.arguments, "undo"):
            return self.undo(call)
        found = recommendations_for(self._runtime)
        with self._lock:
            applied = [change for one in found if (change := self._apply(one)) is not None]
            self._tell()
        rest = [one for one in found if not any(change.why == one.title for change in applied)]
        lines = [*self._applied(applied), *(self._left(rest))]
        return "\n".join(lines) or "Nothing to optimize: nothing is recommended by what was measured so far."

    def undo(self, _call: Call) -> str:
        """Put every option back to what it was before the first change."""
        with self._lock:
            changes, self._changes = self._changes, []
            rows = []
            for change in reversed(changes):
                current, before = controls.change(self._runtime, change.option, shown(change.before))
                rows.append((change.option, shown(current), shown(before)))
            self._tell()
        if not rows:
            return "Nothing to take back: `optimize` has changed nothing in this process."
        return "\n".join(["Taken back:", *table(("option", "from", "to"), rows)])

    def _tell(self) -> None:
        options = {change.option: shown(change.after) for change in self._changes}
        self._runtime.probe.note_tool_use({"options": options})

    def _forked(self) -> None:
        self._lock = threading.Lock()

    def _apply(self, one: Recommendation) -> Change | None:
        if one.setting is None or one.setting[0] not in controls.CHANGEABLE:
            return None
        option, text = one.setting
        if any(change.option == option for change in self._changes):
            # What it was made from counts from the start of the process: it says nothing of the new value.
            return None
        before, after = controls.change(self._runtime, option, text)
        change = Change(option, before, after, one.title, time.time())
        self._changes.append(change)
        return change

    def _applied(self, applied: list[Change]) -> list[str]:
        if not applied:
            return []
        rows = [
            (change.option, shown(change.before), shown(change.after), cell(change.why)) for change in applied
        ]
        keep = " ".join(f"{_variable(change.option)}={shown(change.after)}" for change in applied)
        return [
            "Changed now, `undo` takes it back:",
            *table(("option", "from", "to", "because"), rows),
            f"After a restart the old values are back; to keep the new ones: {keep}",
        ]

    def _left(self, rest: list[Recommendation]) -> list[str]:
        if not rest:
            return []
        lines = ["Recommended, but not to be changed in a running process:"]
        for one in rest:
            earlier = self._earlier(one)
            note = f" (changed here already, to {shown(earlier.after)})" if earlier is not None else ""
            lines.append(f"- {one.title} ({one.weight}): {cell(one.action, 300)}{note}")
        return lines

    def _earlier(self, one: Recommendation) -> Change | None:
        option = one.setting[0] if one.setting is not None else None
        return next((change for change in self._changes if change.option == option), None)


def _variable(option: str) -> str:
    return next(row.variable for row in OPTIONS if row.name == option)
