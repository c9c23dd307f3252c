"""A waterfall as lines of text: the tree on the left, the time axis on the right, the slowest path marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from autoperf.cli.views.terminal import columns, squeezed
from autoperf.errors.wording import milliseconds, printable
from autoperf.insight.traces.waterfall import Bar, Piece, Waterfall

# Waited for, and not; the second pair where the first cannot be written.
BLOCKS: Final = "█░"
PLAIN: Final = "#."
_DEEPEST: Final = 12
_TIME_COLUMNS: Final = 9
_NARROWEST: Final = 10
_LAYER_COLOURS: Final = {
    "provider": "35", "stream": "95", "client": "94", "tools": "36", "prompt": "33", "extensions": "34",
    "waiting": "37", "retry": "37", "unexplained": "90",
}  # fmt: skip
_RED: Final = "31"
_BOLD: Final = "1"


def drawn(waterfall: Waterfall, width: int, blocks: str = PLAIN, *, colour: bool = False) -> list[str]:
    """Lines of ``width`` columns at most; without ``colour`` not a single escape."""
    labels = [_label(bar) for bar in waterfall.bars]
    most = min(max(24, width * 45 // 100), width - _TIME_COLUMNS - 4 - _NARROWEST)
    name_width = min(most, max(columns(label) for label in labels))
    axis = width - name_width - _TIME_COLUMNS - 4
    lines = [
        f"{'':{name_width + 2}}{'time':>{_TIME_COLUMNS}}  {_scale(waterfall.seconds, axis)}".rstrip(),
    ]
    for bar, label in zip(waterfall.bars, labels, strict=True):
        mark = ">" if bar.slowest else "!" if bar.errors else " "
        # The end of a name tells as much as its beginning.
        short = squeezed(label, name_width)
        name = short + " " * (name_width - columns(short))
        time = milliseconds(bar.seconds * 1000).rjust(_TIME_COLUMNS)
        strip = _strip(bar, axis, blocks)
        if colour:
            name = _painted(name, _RED if bar.errors else _BOLD if bar.slowest else "")
            strip = _painted(strip, _LAYER_COLOURS.get(bar.layer, ""))
        lines.append(f"{mark} {name}{time}  {strip}".rstrip())
    return lines


def legend(blocks: str, width: int) -> list[str]:
    """What the signs mean, in one line or a few."""
    signs = ("> slowest path", f"{blocks[0]} the end waited for it", f"{blocks[1]} ran beside", "! failed")
    whole = "   ".join(signs)
    return [whole] if len(whole) <= width else list(signs)


def _label(bar: Bar) -> str:
    extra = [bar.note] if bar.note else []
    if bar.errors:
        extra.append(f"{bar.errors:,} failed" if bar.count > 1 else "failed")
    if bar.cut_off:
        extra.append("cut off")
    if bar.hidden:
        extra.append(f"+{bar.hidden:,}")
    deep = min(bar.depth, _DEEPEST)
    return "  " * deep + printable(bar.label) + (f" ({', '.join(extra)})" if extra else "")


def _strip(bar: Bar, width: int, blocks: str) -> str:
    cells = [" "] * width
    for pieces, block in ((bar.pieces, blocks[1]), (bar.waited, blocks[0])):
        for left, right in _cells(pieces, width):
            cells[left:right] = block * (right - left)
    return "".join(cells).rstrip()


def _cells(pieces: Sequence[Piece], width: int) -> list[tuple[int, int]]:
    found = []
    for begin, end in pieces:
        left = min(int(begin * width), width - 1)
        found.append((left, min(width, max(left + 1, round(end * width)))))
    return found


def _scale(seconds: float, width: int) -> str:
    end = milliseconds(seconds * 1000)
    return "0" + end.rjust(width - 1)


def _painted(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
