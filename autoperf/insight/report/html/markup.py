"""The few pieces of HTML that the page is made of; all text of strangers goes through `text`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from autoperf.errors.wording import milliseconds, percent, printable
from autoperf.insight.traces.layers import LAYERS
from autoperf.insight.traces.waterfall import Piece

_LONGEST: Final = 200
# A thinner piece could not be seen; in percent.
_THINNEST: Final = 0.15


def text(value: object, longest: int = _LONGEST) -> str:
    """``value`` as HTML text, also between double quotes: escaped, control characters shown, cut."""
    shown = printable(str(value))
    return html.escape(shown if len(shown) <= longest else shown[: longest - 1] + "…", quote=True)


def element(tag: str, inner: str, kind: str = "") -> str:
    """``<tag class="kind">inner</tag>``; ``inner`` is markup, ``kind`` a word of ours."""
    return f'<{tag} class="{kind}">{inner}</{tag}>' if kind else f"<{tag}>{inner}</{tag}>"


def name(value: object) -> str:
    """A name of a stranger, kept from turning the writing around it round."""
    return f"<bdi>{text(value)}</bdi>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """A table of markup; the last ``numbers`` columns are numbers."""
    first = len(head) - numbers

    def line(cells: Sequence[str], tag: str) -> str:
        return element(
            "tr", "".join(element(tag, cell, "num" if i >= first else "") for i, cell in enumerate(cells))
        )

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def section(heading: str, body: str, lead: str = "") -> str:
    """A section with its heading; nothing when there is no ``body``."""
    if not body:
        return ""
    return f"<section><h2>{heading}</h2>{element('p', lead, 'lead') if lead else ''}{body}</section>\n"


def stacked(layers: Mapping[str, float], whole: float, kind: str) -> str:
    """Layers side by side in one bar, which is as wide as their share of ``whole``."""
    if whole <= 0:
        return ""
    rects = []
    at = 0.0
    for layer, seconds in layers.items():
        title = (
            f"{LAYERS[layer]}: {milliseconds(seconds * 1000)}, {percent(seconds / whole)} of this bar's scale"
        )
        rects.append(rect(at, at + seconds / whole, layer, title=title))
        at += seconds / whole
    return f'<svg class="{kind}" role="img" aria-label="time by layer">{"".join(rects)}</svg>'


def rect(begin: float, end: float, kind: str, *, top: int = 0, height: int = 100, title: str = "") -> str:
    """A piece of an SVG bar from ``begin`` to ``end`` of its width, both 0 to 1; heights in percent."""
    left = min(max(begin, 0.0) * 100, 100 - _THINNEST)
    width = max(min(end, 1.0) * 100 - left, _THINNEST)
    shown = f"<title>{text(title)}</title>" if title else ""
    place = f'x="{left:.3f}%" y="{top}%" width="{width:.3f}%" height="{height}%"'
    return f'<rect class="{kind}" {place}>{shown}</rect>'


def rects(pieces: Iterable[Piece], kind: str, *, top: int = 0, height: int = 100) -> str:
    """Several pieces alike."""
    return "".join(rect(begin, end, kind, top=top, height=height) for begin, end in pieces)
