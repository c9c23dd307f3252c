"""What the tool `performance_optimizer` can do: its actions, each answered in short Markdown for a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from autoperf.errors import AutoperfError, class_name, fail_open
from autoperf.errors.wording import printable
from autoperf.instrumentation.agentzero.tool import ACTIONS, NAME, Call
from autoperf.process.optimizer import caches, history, overview, tuning
from autoperf.process.optimizer.allowance import Allowance, RefusedError
from autoperf.process.optimizer.arguments import ArgumentError
from autoperf.process.optimizer.monitor import Monitoring
from autoperf.process.optimizer.profile import Profiling
from autoperf.process.optimizer.timing import benchmark
from autoperf.process.runtime import Runtime

__all__ = ["Optimizer"]
# Nobody reads more, and every line costs tokens in each later prompt of the chat.
LINES: Final = 40
_COLUMNS: Final = 1000
_READ_ONLY: Final = (
    "`{action}` is refused: AUTOPERF_TOOL=read-only lets {name} look at this process, not change it."
)


class Run(Protocol):
    """Carries one action out."""

    def __call__(self, call: Call, /) -> str:
        """The answer; raises `ArgumentError` for an argument that it does not take."""


@dataclass(frozen=True)
class Action:
    """One action: ``takes`` names its arguments, ``changes`` says whether anything is another after it.

    ``goes_on`` says that work goes on after the answer.
    """

    run: Run
    meaning: str
    takes: str = ""
    changes: bool = False
    goes_on: bool = False


class Optimizer:
    """Answers the calls of one process; thread-safe as far as it keeps anything."""

    def __init__(self, runtime: Runtime, clock: Callable[[], float] = time.monotonic) -> None:
        self._read_only = runtime.config.tool == "read-only"
        tuner = tuning.Tuning(runtime)
        self._allowance = Allowance(runtime.probe.note_tool_use, clock)
        runtime.probe.after_fork.append(self._allowance.forked)
        self.actions = _actions(runtime, tuner, Profiling(runtime))
        assert tuple(self.actions) == ACTIONS

    def answer(self, call: Call) -> str:
        """See `autoperf.instrumentation.agentzero.tool.Optimizer.answer`; never raises."""
        action = self.actions.get(call.action)
        if action is None:
            asked = f"There is no action `{_short(call.action)}`. " if call.action else ""
            return asked + self._usage()
        if action.changes and self._read_only:
            return _READ_ONLY.format(action=call.action, name=NAME)
        try:
            with self._allowance.call(call.action, bounded=action.changes or action.goes_on):
                return _bounded(action.run(call))
        except RefusedError as reason:
            return f"`{call.action}` is refused: {reason}."
        except ArgumentError as problem:
            return _bounded(f"`{call.action}`: {problem}\n{self._usage()}")
        except AutoperfError as error:
            return _bounded(f"`{call.action}`: {error}")
        except Exception as error:
            fail_open(NAME, error)
            return f"`{call.action}` failed: {class_name(error)}. Nothing else is affected; go on without it."

    def _usage(self) -> str:
        lines = [
            f"- `{name}`{f' ({action.takes})' if action.takes else ''}: {action.meaning}"
            for name, action in self.actions.items()
            if not (action.changes and self._read_only)
        ]
        return "\n".join(["Give one of these as `action`:", *lines])


def _actions(runtime: Runtime, tuner: tuning.Tuning, profiling: Profiling) -> dict[str, Action]:
    def on_runtime(run: Callable[[Runtime, Call], str]) -> Run:
        return lambda call, /: run(runtime, call)

    monitoring = Monitoring(runtime)
    return {
        "status": Action(on_runtime(overview.status), "what was measured up to now"),
        "recommendations": Action(on_runtime(overview.advice), "what to change, with the evidence"),
        "optimize": Action(tuner.optimize, "apply now what can be applied while running", changes=True),
        "undo": Action(tuner.undo, "take back what `optimize` changed", changes=True),
        "start_monitoring": Action(
            monitoring.start, "take samples, for an hour", "`interval` in seconds", changes=True
        ),
        "stop_monitoring": Action(monitoring.stop, "take none, for 10 minutes", changes=True),
        "clear_cache": Action(
            on_runtime(caches.clear_cache), "drop what is kept", "`which`: names, or all", changes=True
        ),
        "preload": Action(
            on_runtime(caches.preload), "read and compile tools ahead", "`tools`: names", changes=True
        ),
        "benchmark": Action(on_runtime(benchmark), "time the host's look-ups with and without, 2 s at most"),
        "profile": Action(
            profiling.profile, "sample what runs; call it again to see", "`seconds` at most", goes_on=True
        ),
        "history": Action(
            on_runtime(history.history),
            "tools and models, this period against the one before",
            "`hours` of a period",
        ),
        "report": Action(on_runtime(history.report), "write a page for people"),
    }


def _bounded(text: str) -> str:
    # By our own line ends alone: others came in with a name.
    lines = [printable(line[:_COLUMNS]) for line in text.split("\n")]
    if len(lines) <= LINES:
        return "\n".join(lines)
    return "\n".join([*lines[: LINES - 1], f"({len(lines) - LINES + 1} more lines left out)"])


def _short(text: str) -> str:
    shown = "".join(char if char.isprintable() and char != "`" else "?" for char in text)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."
