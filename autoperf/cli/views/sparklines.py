"""A row of numbers as one line of blocks, the newest at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# Where the encoding has no blocks, and where it has.
PLAIN: Final = "_.-=+*#%"
BLOCKS: Final = "▁▂▃▄▅▆▇█"


def line(values: Sequence[float | None], width: int, marks: str, least: float) -> str:
    """The latest ``width`` values from 0 up to their largest, or to ``least`` where none is as large.

    What is measured in every second sample only is not drawn with gaps.
    """
    shown = [value for value in values if value is not None][-width:]
    top = max([least, *shown])
    return "".join(_mark(value / top, marks) for value in shown).rjust(width)


def _mark(share: float, marks: str) -> str:
    return marks[min(len(marks) - 1, int(max(0.0, share) * len(marks)))]
