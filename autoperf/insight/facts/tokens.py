"""Tokens as providers reported them, and of how many calls they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from autoperf.wording import count, short_count


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
