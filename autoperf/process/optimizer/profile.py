"""The action `profile`: begins to sample, and shows at the next call what was hot."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from autoperf.errors.wording import count, duration
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.monitor.profiler import Function, Profile, Sampler
from autoperf.process.optimizer.arguments import number
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.runtime import Runtime

_SECONDS: Final = 120.0
MOST_SECONDS: Final = 300.0
_SHOWN: Final = 12


class Messages:
    """Follows a chat: this message, the quiet after it, the next one, the end of that."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._stage = 0

    def phase(self) -> str:
        """``look`` while a message is worked on, ``pause`` in between, ``end`` after the next one."""
        over = self._call.message_is_over()
        if over == (self._stage % 2 == 0):
            self._stage += 1
        if self._stage >= 3:
            return "end"
        return "pause" if self._stage == 1 else "look"


class Profiling:
    """At most one profile at a time in a process, whichever chat has asked for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._root = str(runtime.root)
        self._sampler: Sampler | None = None
        self._lock = threading.Lock()
        runtime.probe.after_fork.append(self._forked)
        runtime.probe.at_stop.append(self._stop)

    def profile(self, call: Call) -> str:
        """Begin, for ``seconds`` of looking at most; or show what was seen since it began."""
        with self._lock:
            sampler, self._sampler = self._sampler, None
            if sampler is not None:
                return "\n".join(shown(sampler.stop()))
            seconds = number(call.arguments, "seconds", 1, MOST_SECONDS) or _SECONDS
            self._sampler = Sampler(self._root, Messages(call).phase, seconds)
            self._sampler.start()
        return (
            f"Sampling all threads from now on, to the end of the next message, for {seconds:g} s at most. "
            "Call `profile` again to end it and see the functions that were hot."
        )

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._sampler = None

    def _stop(self) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.stop()


def shown(profile: Profile) -> list[str]:
    """Threads, the functions by their share, and in which of the host's own functions that was."""
    total = profile.samples
    if not profile.looks:
        return ["No sample was taken yet."]
    lines = [
        f"{count(profile.looks)} looks in {duration(profile.seconds)}, {count(total)} at busy threads; the "
        f"sampling took {profile.cost / max(profile.seconds, 1e-9):.1%} of a core"
    ]
    if not total:
        return [*lines, "Every thread waited, at every look: nothing was hot."]
    threads = ", ".join(f"{cell(name)} {n / total:.0%}" for name, n in profile.busy.most_common(4))
    owners: Counter[str] = Counter()
    for function, n in profile.own.items():
        owners[function.owner] += n
    shares = ", ".join(f"{name} {n / total:.0%}" for name, n in owners.most_common())
    lines += [f"threads: {threads}", f"innermost function: {shares}", ""]
    lines += _table("innermost function", profile.own, profile)
    if profile.host:
        lines += ["", *_table("innermost of the host's functions", profile.host, profile)]
    return [*lines, "Wall time. What reads files or sends is seen somewhat too often, few looks tell little."]


def _table(head: str, counted: Counter[Function], profile: Profile) -> list[str]:
    rows = [_row(function, n, profile) for function, n in counted.most_common(_SHOWN)]
    return table((head, "whose", "share", "with what it calls"), rows, _SHOWN)


def _row(function: Function, looks: int, profile: Profile) -> tuple[str, str, str, str]:
    return (
        f"{cell(function.name, 50)} ({cell(function.place, 60)})",
        function.owner,
        f"{looks / profile.samples:.1%}",
        f"{profile.within[function] / profile.samples:.1%}",
    )
