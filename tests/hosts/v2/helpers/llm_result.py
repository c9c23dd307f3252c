"""One turn of the model: text, or native function calls."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class FunctionCall:
    name: str
    arguments: dict[str, Any]
    call_id: str


@dataclass
class LLMResult:
    response: str
    function_calls: list[FunctionCall] = field(default_factory=list)


def function_call_output_item(call_id: str, output: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def original_tool_name(native_name: str, name_map: dict[str, str] | None) -> str:
    return (name_map or {}).get(native_name, native_name)
