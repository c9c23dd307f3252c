"""A message or a monologue as the wrappers in it see it: whose it is, and its step's share of spans."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from autoperf.instrumentation.agentzero.activity.activity import Work
from autoperf.telemetry import names

# Of the short-lived pieces alone: prompt, model call and tool come on top, 40 in all at most.
_SHARE: Final = 20
# Beyond that share what took this long has a span all the same, and no message is so short that less has one.
_LONG_NS: Final = 50_000_000
SHORT_NS: Final = 1_000_000
_NAMES_KEPT: Final = 100
NEVER_NS: Final = 1 << 62
_clock: Final = time.perf_counter

OpenSpan = Callable[[str, dict[str, Any]], AbstractContextManager[Any]]


class Turn:
    """Made at the start of a message and of a monologue, current in its context until its end.

    Timers and tasks that copied the context keep it for longer: it holds nothing but names then.
    """

    __slots__ = (
        "_begun",
        "_left",
        "_open",
        "_outside",
        "_short",
        "_step",
        "_work",
        "agent",
        "conversation",
        "layers",
        "steps",
    )

    def __init__(self, agent: str, conversation: str, within: Turn | None = None) -> None:
        self.agent = agent
        self.conversation = conversation
        self.steps = 0
        self._begun: float = _clock() if within is None else within._begun
        self._open: AbstractContextManager[Any] | None = None
        self._step: Any = None
        self._left = _SHARE
        self._outside: dict[str, list[int]] = {}  # as `_short`, of before the step that is open
        self._short: dict[str, list[int]] = {}
        self._work: weakref.ref[Work] | None = None
        self.layers: dict[str, float] = {} if within is None else within.layers

    @property
    def work(self) -> Work | None:
        """What shows the monologue as under way; None once it is not."""
        return None if self._work is None else self._work()

    @work.setter
    def work(self, work: Work) -> None:
        self._work = weakref.ref(work)

    def attributes(self) -> dict[str, Any]:
        """The agent and the chat, for any span inside."""
        given = {names.AGENT_NAME: self.agent, names.CONVERSATION_ID: self.conversation}
        return {key: value for key, value in given.items() if value}

    def beside(self) -> Turn:
        """The same for work that goes on beside the turn: it must not see what the turn does meanwhile."""
        return Turn(self.agent, self.conversation)

    def called(self, attributes: Mapping[str, Any]) -> None:
        """A model call has ended: what it measured counts towards the whole message."""
        for key in names.LAYERS_OF_A_CALL:
            seconds = attributes.get(key)
            if seconds is not None:
                self.layers[key] = self.layers.get(key, 0.0) + seconds

    def tell_layers(self, root: Any) -> None:
        """Set the sums over all model calls on the span ``root``."""
        for key, seconds in self.layers.items():
            root.set(key, seconds)

    def begin_step(self, open_span: OpenSpan) -> None:
        """Open the span of the next step, in the context of the monologue; an open one ends."""
        self.end_step()
        self._open = open_span(names.STEP, {names.STEP_NUMBER: self.steps, **self.attributes()})
        self._left, self._outside, self._short = _SHARE, self._short, {}
        self._step = self._open.__enter__()
        self.steps += 1

    def end_step(self) -> None:
        """End the open step, if there is one."""
        opened, self._open = self._open, None
        step, self._step = self._step, None
        if opened is not None:
            self.tell_short(step)
            self._outside, self._short = {}, self._outside
            opened.__exit__(None, None, None)

    def tell_short(self, span: Any) -> None:
        """Set on ``span`` what was too short for spans: in the open step, or outside of all steps."""
        short, self._short = self._short, {}
        if short:
            span.set(names.SHORT_NAMES, list(short))
            span.set(names.SHORT_COUNTS, [number for number, _ in short.values()])
            span.set(names.SHORT_SECONDS, [ns / 1e9 for _, ns in short.values()])

    def least_ns(self) -> int:
        """What always has a span: 50 ms, or 1 % of the message so far (1 % of all of it is no less)."""
        return min(_LONG_NS, max(SHORT_NS, int((_clock() - self._begun) * 1e7)))

    def threshold(self, usual_ns: int) -> int:
        """How long a short piece of work that begins now has to take to become a span."""
        least = self.least_ns()
        return min(usual_ns, least) if self._left > 0 else least

    def spend(self) -> bool:
        """One short piece of work became a span; whether the step's share had room for it."""
        self._left -= 1
        return self._left >= 0

    def add_up(self, name: str, length_ns: int) -> None:
        """One piece of work was too short for a span: it is told by name, with the number and time of all."""
        known = self._short.get(name)
        if known is None:
            if len(self._short) >= _NAMES_KEPT:
                name = "(other)"
            known = self._short.setdefault(name, [0, 0])
        known[0] += 1
        known[1] += length_ns
