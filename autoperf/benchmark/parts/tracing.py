"""What tracing costs: the same message in one process, with and without, again and again in new chats."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoperf.benchmark.host import run as checkouts
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, call, tools
from autoperf.telemetry.store.store import Store

_TOOLS = 20
_LENGTH = 20_000
_SPANS = 5 * _TOOLS  # a step has more, and the messages that switch have two steps
_WARM = 2  # what a first message loads and compiles is no part of it
_SWITCH = """\
from {package}.tool import Response, Tool

import autoperf
from autoperf.process import runtime
from autoperf.process.config import parse_features


class AutoperfSwitch(Tool):
    async def execute(self, features="", **kwargs):
        root = runtime.current().root
        autoperf.uninstrument()
        autoperf.instrument(root, features=parse_features(features), quiet=True)
        return Response(message=f"now {{features}}", break_loop=False)
"""


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of each message, in pairs of two next to each other in time."""

    without: Sequence[tuple[float, float]]
    traced: Sequence[tuple[float, float]]

    def added(self, which: int = 0) -> list[float]:
        """For each pair, what tracing added, as a share of the message without; 0 is CPU, 1 wall."""
        pairs = zip(self.without, self.traced, strict=True)
        return sorted(ours[which] / bare[which] - 1 for bare, ours in pairs)

    def median(self, which: int = 0) -> float:
        """The middle of `added`."""
        return statistics.median(self.added(which))


def measure(
    checkout: Path,
    workdir: Path,
    prefix: Sequence[str],
    state: Path,
    *,
    pairs: int = 6,
    progress: Callable[[str], Any] = str,
    **options: Any,
) -> Cost:
    """Hold ``pairs`` pairs of a message with 20 tool calls and an answer of 20,000 characters.

    In between, a tool of ours takes the instrumentation back and puts it in place with or without tracing; of
    the two messages that follow the second is measured, when all is warm. ``state`` is where ``prefix`` keeps
    the traces, ``options`` go to `checkout.run`. Raises ``HostError`` when the host does not run, or other
    messages were traced than planned.
    """
    progress(f"tracing, {pairs} pairs of messages")
    run = checkouts.run(checkout, _conversation(pairs), workdir, prefix=prefix, **options)
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for traced, turn in zip(_order(pairs), run.turns[_WARM + 2 :: 3], strict=True):
        if turn.cpu is None:
            raise HostError("this system does not tell the CPU time of another process")
        found[traced].append((turn.cpu, turn.wall))
    kept = [trace for trace in Store.open(state).traces(10_000) if trace["spans"] > _SPANS]
    planned = _WARM + 2 * pairs
    if len(kept) != planned:
        raise HostError(f"{len(kept)} messages were traced instead of {planned}: nothing was compared")
    return Cost(found[False], found[True])


def _order(pairs: int) -> list[bool]:
    """Traced or not, message by message: each pair the other way round than the one before."""
    return [traced for pair in range(pairs) for traced in ((False, True) if pair % 2 else (True, False))]


def _conversation(pairs: int) -> Conversation:
    (first, _) = tools(_TOOLS, 2, _LENGTH).turns
    work = Turn(first.message, first.replies, fresh=True)
    turns = [work] * _WARM
    for traced in _order(pairs):
        features = "all" if traced else "-trace"
        turns += [
            Turn("Switch.", (call("autoperf_switch", features=features), answer("Done.")), fresh=True),
            work,
            work,
        ]
    files = {**tools().tool_files, "autoperf_switch.py": _SWITCH}
    return Conversation("tracing", tuple(turns), files)
