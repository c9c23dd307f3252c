"""Tool requests, found in the text of a reply and brought into one form."""

from __future__ import annotations

from typing import Any

from helpers.dirty_json import DirtyJson
from helpers.modules import load_classes_from_file, load_classes_from_folder

__all__ = [
    "extract_json_root_string",
    "extract_tool_request",
    "is_misformatted_tool_request",
    "is_tool_request",
    "load_classes_from_file",
    "load_classes_from_folder",
    "normalize_tool_request",
]


def extract_json_root_string(content: str) -> str | None:
    """Return the first complete JSON object of a text as it is written there."""
    start = content.find("{")
    if start < 0:
        return None
    parser = DirtyJson()
    try:
        parser.parse(content[start:])
    except Exception:
        return None
    return content[start : start + parser.index] if parser.completed else None


def extract_tool_request(content: str) -> dict[str, Any] | None:
    """Return the request that the whole text is; None while it is incomplete or has text around it."""
    content = content.strip()
    if not content or extract_json_root_string(content) != content:
        return None
    request = DirtyJson.parse_string(content)
    try:
        normalize_tool_request(request)
    except ValueError:
        return None
    return request  # type: ignore[no-any-return]


def is_misformatted_tool_request(content: str) -> bool:
    """Say whether a text looks as if it was meant to be a tool request."""
    return '"tool_name"' in content and content.rstrip().endswith(("}", "```"))


def is_tool_request(content: str) -> bool:
    """Say whether a text is a tool request, or was meant to be one."""
    return extract_tool_request(content) is not None or is_misformatted_tool_request(content)


def normalize_tool_request(tool_request: Any) -> tuple[str, dict[str, Any]]:
    """Return name and arguments, `action` among them if the name is `tool:action`; raise ValueError."""
    if not isinstance(tool_request, dict):
        raise ValueError("a tool request is a JSON object")
    name, args = tool_request.get("tool_name"), tool_request.get("tool_args")
    if not isinstance(name, str) or not name:
        raise ValueError("a tool request names its tool in `tool_name`")
    if not isinstance(args, dict):
        raise ValueError("a tool request has an object `tool_args`")
    name, _, action = name.partition(":")
    return name, {"action": action, **args} if action else dict(args)
