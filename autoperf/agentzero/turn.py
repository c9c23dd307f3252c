"""A message or a monologue as the wrappers in it see it: whose it is, and its step's share of spans."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from autoperf.agentzero.underway import Work
from autoperf.telemetry import names

# Of the short-lived pieces alone: prompt, model call and tool come on top, 40 in all at most.
_SHARE: Final = 20
NEVER_NS: Final = 1 << 62

OpenSpan = Callable[[str, dict[str, Any]], AbstractContextManager[Any]]


class Turn:
    """Made at the start of a message and of a monologue, current in its context until its end.

    Timers and tasks that copied the context keep it for longer: it holds nothing but names then.
    """

    __slots__ = ("_left", "_omitted", "_open", "_step", "_work", "agent", "conversation", "steps")

    def __init__(self, agent: str, conversation: str) -> None:
        self.agent = agent
        self.conversation = conversation
        self.steps = 0
        self._open: AbstractContextManager[Any] | None = None
        self._step: Any = None
        self._left = _SHARE
        self._omitted = 0
        self._work: weakref.ref[Work] | None = None

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

    def begin_step(self, open_span: OpenSpan) -> None:
        """Open the span of the next step, in the context of the monologue; an open one ends."""
        self.end_step()
        self._left, self._omitted = _SHARE, 0
        self._open = open_span(names.STEP, {names.STEP_NUMBER: self.steps, **self.attributes()})
        self._step = self._open.__enter__()
        self.steps += 1

    def end_step(self) -> None:
        """End the open step, if there is one."""
        opened, self._open = self._open, None
        step, self._step = self._step, None
        if opened is not None:
            if self._omitted:
                step.set(names.SPANS_OMITTED, self._omitted)
            opened.__exit__(None, None, None)

    def threshold(self, usual_ns: int) -> int:
        """How long a short piece of work has to take to become a span; ever, once the share is used up."""
        return usual_ns if self._left > 0 else NEVER_NS

    def spend(self) -> None:
        """One short piece of work took long enough to be a span, and became one or had no share left."""
        if self._left > 0:
            self._left -= 1
        else:
            self._omitted += 1
