"""How many messages, calls of tools and of models there were, and their tokens: begun, however they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autoperf.errors.wording import count, short_count
from autoperf.telemetry import names

# A span with one of these says nothing of how long its work takes.
_UNTIMED: Final = (names.CUT_OFF, names.OPEN, names.INTERRUPTED)


@dataclass(frozen=True)
class Tokens:
    """Sums over ``calls`` model calls, of which ``reported`` told any; None where none did."""

    input: int | None = None
    output: int | None = None
    calls: int = 0
    reported: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            _sum(self.input, other.input),
            _sum(self.output, other.output),
            self.calls + other.calls,
            self.reported + other.reported,
        )

    @property
    def coverage(self) -> str:
        """What the sums cover, where that is not every call: ``reported for 2 of 58 calls``."""
        if not self.calls or self.reported == self.calls:
            return ""
        return f"reported for {count(self.reported)} of {count(self.calls)} calls"

    @property
    def cell(self) -> str:
        """In and out for a table, with the calls they cover of all; why there is none where there is none."""
        if not self.calls:
            return "no call"
        if not self.reported:
            return "not reported"
        shown = f"{short_count(self.input)}/{short_count(self.output)}"
        return f"{shown} ({self.reported:,}/{self.calls:,})" if self.coverage else shown

    @property
    def text(self) -> str:
        """In and out with what they cover, as a clause; "" without a call."""
        if not self.calls:
            return ""
        if not self.reported:
            return f"tokens {self.coverage}"
        shown = f"{short_count(self.input)}/{short_count(self.output)} tokens"
        return f"{shown} ({self.coverage})" if self.coverage else shown


PARTLY: Final = "Tokens with (2/58) were reported for 2 of 58 calls."


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other


def timed(attributes: Mapping[str, Any]) -> bool:
    """Whether a span ended by itself: was neither cut off nor stopped from outside, and does not go on."""
    return not any(attributes.get(mark) for mark in _UNTIMED)


def tokens_of(attributes: Mapping[str, Any]) -> Tokens:
    """Of one call of a model, as its span has them."""
    used = [_number(attributes.get(key)) for key in (names.INPUT_TOKENS, names.OUTPUT_TOKENS)]
    return Tokens(used[0], used[1], 1, int(used != [None, None]))


@dataclass
class Tally:
    """``tools`` are calls by name; ``tokens`` are those of all calls of models."""

    messages: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def tool_calls(self) -> int:
        """Tools executed, subordinates' included."""
        return sum(self.tools.values())

    @property
    def model_calls(self) -> int:
        """Calls of models, each once however often it was tried."""
        return self.tokens.calls

    def add(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Count one span in."""
        kind, _, rest = name.partition(" ")
        if kind == names.MESSAGE:
            self.messages += 1
        elif kind == names.EXECUTE_TOOL:
            tool = str(attributes.get(names.TOOL_NAME) or rest)
            self.tools[tool] = self.tools.get(tool, 0) + 1
        elif kind == names.CHAT:
            self.tokens += tokens_of(attributes)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
