"""The exceptions that steer an agent's loop, and the text an exception becomes in its history."""

import traceback

from helpers import files


class HandledException(Exception):
    """Ends the turn: the error has already been reported."""


class InterventionException(Exception):
    """Breaks off the current step because the user said something in between."""


class RepairableException(Exception):
    """An error that the model is told about, so that it can do better in its next step."""


def error_text(e: Exception) -> str:
    """Return the message alone."""
    return str(e)


def format_error(e: Exception, start_entries: int = 4, end_entries: int = 2) -> str:
    """Return the message and the first and last frames of the traceback, with paths below the base folder."""
    frames = traceback.extract_tb(e.__traceback__)
    lines = [f"  {_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
    if len(lines) > start_entries + end_entries:
        skipped = len(lines) - start_entries - end_entries
        lines[start_entries:-end_entries] = [f"  ... {skipped} frames ..."]
    return "\n".join([f"{type(e).__name__}: {e}", *lines])


def _short(path: str) -> str:
    return path.replace(files.get_base_dir(), "").replace("\\", "/").lstrip("/")
