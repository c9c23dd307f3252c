"""One trace in one line: who, how long, how many tools, tokens and errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from autoperf.insight.facts.tally import Tally, Tokens
from autoperf.insight.traces.layers import operation
from autoperf.telemetry import names


@dataclass(frozen=True, slots=True)
class Summary:
    """``name`` is None while the root is open, or where it was ``cut_off`` before it was stored.

    Tokens are None where no provider reported any; ``tokens_reported`` of the ``model_calls`` told any.
    ``messages`` are the user's messages begun in it: 1 or 0.
    """

    trace_id: str
    name: str | None
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    chat: str | None
    agents: tuple[str, ...]
    tools: dict[str, int]
    model_calls: int
    input_tokens: int | None
    output_tokens: int | None
    pid: int | None
    cut_off: bool = False
    tokens_reported: int = 0
    messages: int = 0

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return max(0, self.end_ns - self.start_ns) / 1e9

    @property
    def tool_calls(self) -> int:
        """Tools executed, subordinates' included."""
        return sum(self.tools.values())

    @property
    def tokens(self) -> Tokens:
        """The tokens, and what they cover."""
        return Tokens(self.input_tokens, self.output_tokens, self.model_calls, self.tokens_reported)

    @property
    def by_user(self) -> bool:
        """Whether it is the trace of a user's message, and not of background work or a scheduled task."""
        return self.name is not None and operation(self.name) == names.MESSAGE

    @property
    def in_background(self) -> bool:
        """Whether it is neither a user's message nor a scheduled task, but goes on beside or before them."""
        return self.name is not None and operation(self.name) not in (names.MESSAGE, names.SCHEDULED_TASK)

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self) | {"seconds": round(self.seconds, 6), "tool_calls": self.tool_calls}


def summarise(
    trace: dict[str, Any],
    marks: Iterable[tuple[str, dict[str, Any]]],
    pid: int | None = None,
    *,
    cut_off: bool = False,
) -> Summary:
    """A row of the table of traces with the ``(name, attributes)`` of its agent, model and tool spans."""
    agents: dict[str, None] = {}
    tally = Tally()
    chat = None
    for name, attributes in marks:
        tally.add(name, attributes)
        chat = chat or attributes.get(names.CONVERSATION_ID)
        if agent := attributes.get(names.AGENT_NAME):
            agents[str(agent)] = None
    tokens = tally.tokens
    return Summary(
        trace["trace_id"], trace["name"], trace["start_ns"], trace["end_ns"], trace["spans"], trace["errors"],
        None if chat is None else str(chat), tuple(agents), tally.tools, tokens.calls,
        tokens.input, tokens.output, pid, cut_off, tokens.reported, tally.messages,
    )  # fmt: skip
