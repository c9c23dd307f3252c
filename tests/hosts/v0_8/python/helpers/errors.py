"""Exceptions as text for people and for the model."""

import asyncio
import re
import traceback


def handle_error(e: Exception):
    if isinstance(e, asyncio.CancelledError):
        raise e


def error_text(e: Exception) -> str:
    return str(e)


def format_error(e: Exception, start_entries: int = 6, end_entries: int = 4) -> str:
    """The traceback with its middle cut out: which frames stay depends on how many there are."""
    lines = "".join(traceback.format_exception(type(e), e, e.__traceback__)).split("\n")
    error_message = next((line for line in reversed(lines) if re.match(r"[\w.]+Error:", line)), "")
    kept = _trim(lines, start_entries, end_entries)
    if not kept:
        return error_message or str(e)
    result = "Traceback (most recent call last):\n" + "\n".join(kept)
    return f"{result}\n\n{error_message}" if error_message else result


def _trim(lines: list[str], start_entries: int, end_entries: int) -> list[str]:
    if not (start_entries or end_entries):
        return []
    frames = [i for i, line in enumerate(lines) if line.strip().startswith("File ")]
    surplus = len(frames) - start_entries - end_entries
    if surplus <= 0:
        return lines
    notice = f"\n({surplus} stack lines left out)\n"
    return [*lines[: frames[surplus]], notice, *lines[frames[surplus + end_entries] :]]
