"""Tool requests out of model replies."""

from typing import Any

from helpers.modules import (
    load_classes_from_file,
    load_classes_from_folder,
)  # by name: others take them from here

from .dirty_json import DirtyJson


def json_parse_dirty(json: str) -> dict[str, Any] | None:
    if not json or not isinstance(json, str) or "{" not in json:
        return None
    try:
        data = DirtyJson.parse_string(json.strip())
    except Exception:
        return None
    if isinstance(data, dict):
        return data
    return None


def extract_json_root_string(content: str) -> str | None:
    """The first complete object of the text, or None while it is still being written."""
    for start in _json_root_object_starts(content):
        parser = DirtyJson()
        try:
            parser.parse(content[start:])
        except Exception:
            continue
        if parser.completed:
            return content[start : start + parser.index]
    return None


def _json_root_object_starts(content: str) -> list[int]:
    found: list[int] = []
    depth, quote, index = 0, "", 0
    while index < len(content):
        char = content[index]
        if quote:
            index += char == "\\"
            quote = "" if char == quote else quote
        elif depth and char in "\"'`":
            quote = char
        elif char == "{" or (depth and char == "["):
            if not depth:
                found.append(index)
            depth += 1
        elif depth and char in "]}":
            depth -= 1
        index += 1
    return found



def extract_tool_request(content: str) -> dict[str, Any] | None:
    """The first complete object of the text that is a tool request."""
    body = extract_json_root_string(content)
    request = json_parse_dirty(body) if body else None
    try:
        normalize_tool_request(request)
    except ValueError:
        return None
    return request


def normalize_tool_request(tool_request: Any) -> tuple[str, dict[str, Any]]:
    """Name and arguments; ``tool:action`` becomes the plain name with an ``action`` argument."""
    if not isinstance(tool_request, dict):
        raise ValueError("A request is an object")
    name = tool_request.get("tool_name") or tool_request.get("tool")
    if not name or not isinstance(name, str):
        raise ValueError("A request names its tool: tool_name is a text")
    args = tool_request.get("tool_args", tool_request.get("args"))
    if not isinstance(args, dict):
        raise ValueError("A request has arguments: tool_args is an object")
    args = dict(args)
    if ":" in name:
        name, action = name.split(":", 1)
        if not name or not action:
            raise ValueError("Tool request has an empty name or action")
        args.setdefault("action", action)
    return name, args
