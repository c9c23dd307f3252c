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
    start = content.find("{")
    if start < 0 or "[" in content[:start]:
        return None
    parser = DirtyJson()
    try:
        parser.parse(content[start:])
    except Exception:
        return None
    return content[start : start + parser.index] if parser.completed else None
