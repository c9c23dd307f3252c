"""Tables and lists in Markdown, short enough to be read by a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autoperf.errors.wording import printable
from autoperf.telemetry.redaction import homeless


def table(head: Sequence[str], rows: Iterable[Sequence[str]], most: int = 12) -> list[str]:
    """Lines of a table with at most ``most`` rows; none without a row."""
    found = list(rows)
    if not found:
        return []
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    lines += [_row(row) for row in found[:most]]
    return [*lines, f"({len(found) - most} more)"] if len(found) > most else lines


def cell(text: object, longest: int = 60) -> str:
    """``text`` as it may stand in a table: one line, no mark-up of its own, the user's home not named."""
    shown = homeless(printable(str(text))).replace("|", "/").replace("`", "'")
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
