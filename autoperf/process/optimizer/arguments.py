"""Arguments as a model gives them: numbers as text, lists as text, and things that are neither."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_NAMES_TAKEN: Final = 50
_LONGEST: Final = 5000  # characters of an argument
_NAME: Final = re.compile(r"[\w.-]{1,80}(?: [\w.-]{1,80}){0,4}", re.ASCII)
_TRUE: Final = frozenset({"1", "true", "yes", "on"})


class ArgumentError(ValueError):
    """What is wrong with an argument, and what would be right, in one sentence."""


def number(arguments: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    """The number ``name``, None where it is not given; one outside of the bounds is a problem."""
    given = arguments.get(name)
    if given is None or given == "":
        return None
    try:
        # Anything else than text and numbers has a text as long and deep as it likes.
        short = str(given) if isinstance(given, (str, int, float)) else ""
        value = float(short[:_LONGEST].strip().rstrip("s "))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ArgumentError(f"`{name}` is a number from {least:g} to {most:g}")
    return value


def names(arguments: Mapping[str, Any], name: str) -> list[str]:
    """The names given under ``name``: a list, a JSON list, or a text with commas; each once, in order."""
    given = arguments.get(name)
    if isinstance(given, str) and len(given) > _LONGEST:
        raise ArgumentError(f"`{name}` is a list of at most {_NAMES_TAKEN} names")
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise ArgumentError(f"`{name}` is a list of names, or names with commas between them") from None
    if given is None:
        return []
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)) or len(parts) > _NAMES_TAKEN:
        raise ArgumentError(f"`{name}` is a list of at most {_NAMES_TAKEN} names")
    found = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    if len(found) < sum(part != "" for part in parts) or not all(map(_NAME.fullmatch, found)):
        raise ArgumentError(f"`{name}` holds names only: letters, digits, `_`, `-`, `.`")
    return list(dict.fromkeys(found))


def is_set(arguments: Mapping[str, Any], name: str) -> bool:
    """Whether the switch ``name`` is on."""
    given = arguments.get(name)
    return isinstance(given, (str, int)) and str(given)[:_LONGEST].strip().lower() in _TRUE
