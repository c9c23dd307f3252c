"""One trace in one line: who, how long, how many tools, tokens and errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from autoperf.insight.layers import operation
from autoperf.telemetry import names


@dataclass(frozen=True, slots=True)
class Summary:
    """``name`` is None while the root is open, or where it was ``cut_off`` before it was stored.

    Tokens are None where no provider reported any.
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

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return max(0, self.end_ns - self.start_ns) / 1e9

    @property
    def tool_calls(self) -> int:
        """Tools executed, subordinates' included."""
        return sum(self.tools.values())

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
    tools: dict[str, int] = {}
    agents: dict[str, None] = {}
    tokens: dict[str, int | None] = {names.INPUT_TOKENS: None, names.OUTPUT_TOKENS: None}
    chat = None
    model_calls = 0
    for name, attributes in marks:
        kind = operation(name)
        chat = chat or attributes.get(names.CONVERSATION_ID)
        if agent := attributes.get(names.AGENT_NAME):
            agents[str(agent)] = None
        if kind == names.EXECUTE_TOOL:
            tool = str(attributes.get(names.TOOL_NAME) or name.partition(" ")[2])
            tools[tool] = tools.get(tool, 0) + 1
        elif kind == names.CHAT:
            model_calls += 1
            for key, so_far in tokens.items():
                number = attributes.get(key)
                if isinstance(number, (int, float)):
                    tokens[key] = (so_far or 0) + int(number)
    return Summary(
        trace["trace_id"], trace["name"], trace["start_ns"], trace["end_ns"], trace["spans"], trace["errors"],
        None if chat is None else str(chat), tuple(agents), tools, model_calls,
        tokens[names.INPUT_TOKENS], tokens[names.OUTPUT_TOKENS], pid, cut_off,
    )  # fmt: skip
