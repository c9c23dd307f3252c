"""What one model call brings back."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ResponseFunctionCall:
    """A tool call that the model made as such, not as JSON in its text."""

    name: str
    arguments: dict[str, Any]
    call_id: str


@dataclass
class LLMResult:
    """The text of a reply and the native calls that came with it."""

    response: str = ""
    reasoning: str = ""
    function_calls: list[ResponseFunctionCall] = field(default_factory=list)
