"""Exceptions as text for people and for the model."""

import asyncio
import re
import traceback
from typing import Literal


def handle_error(e: Exception):
    if isinstance(e, asyncio.CancelledError):
        raise e


def error_text(e: Exception) -> str:
    return str(e)


def format_error(
    e: Exception,
    start_entries: int = 20,
    end_entries: int = 15,
    error_message_position: Literal["top", "bottom", "none"] = "top",
) -> str:
    """The traceback with its middle cut out, its last line moved to where it is wanted."""
    lines = "".join(traceback.format_exception(type(e), e, e.__traceback__)).split("\n")
    error_message = next((line for line in reversed(lines) if re.match(r"[\w.]+Error:", line)), "")
    kept = _trim(lines, start_entries, end_entries)
    if error_message:
        last = max((i for i, line in enumerate(kept) if line.strip() == error_message.strip()), default=-1)
        kept = [line for i, line in enumerate(kept) if i != last]
    result = "Traceback (most recent call last):\n" + "\n".join(kept) if kept else ""
    orders = {"top": [error_message, result], "bottom": [result, error_message]}
    paragraphs = orders.get(error_message_position, [result])
    return "\n\n".join(filter(None, paragraphs)) or str(e)


def _trim(lines: list[str], start_entries: int, end_entries: int) -> list[str]:
    if not (start_entries or end_entries):
        return []
    frames = [i for i, line in enumerate(lines) if line.strip().startswith("File ")]
    surplus = len(frames) - start_entries - end_entries
    if surplus <= 0:
        return lines
    notice = f"\n({surplus} stack lines left out)\n"
    return [*lines[: frames[surplus]], notice, *lines[frames[surplus + end_entries] :]]


class RepairableException(Exception):
    """An error the model may see and repair by itself."""


class InterventionException(Exception):
    """A message of the user arrived: the rest of this iteration is skipped."""


class HandledException(Exception):
    """An error that was reported already."""
