"""The ratios of measured scenarios as one SVG file: bars with the range of the rounds, readable by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from autoperf.benchmark.measure.rounds import BARE
from autoperf.errors.wording import is_number, printable

_WIDTH, _LEFT, _RIGHT, _TOP = 880, 300, 90, 90
_ROW, _HEADING, _BAR = 24, 34, 12
# The scale reaches at least from half as fast to twice as fast.
_LEAST = 2.0
# Shares of another row, with the same ratio.
_REPEATED = (" a message", " a step", " a chunk")
_STYLE = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d1d9e0 }
  .one { stroke: #59636e } .better { fill: #2da44e } .worse { fill: #cf222e } .range { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #30363d }
    .one { stroke: #9198a1 } .better { fill: #3fb950 } .worse { fill: #f85149 } .range { stroke: #e6edf3 }
  }
  text { font: 13px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
  .heading { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
"""


@dataclass(frozen=True)
class _Bar:
    """One ratio, or with ``heading`` the line above a group of them."""

    label: str
    median: float = 1.0
    lowest: float = 1.0
    highest: float = 1.0
    heading: bool = False


def draw(scenarios: Sequence[Mapping[str, Any]], *, noisy: bool = False) -> str:
    """An SVG document from data of `results.as_data`; its page is opaque, light or dark as the viewer is."""
    told = "median of the rounds; the line reaches from the lowest to the highest"
    bars = [bar for data in scenarios for bar in _bars(data)]
    ends = [end for bar in bars for end in (bar.lowest, bar.highest) if end > 0]
    low, high = min([1 / _LEAST, *ends]), max([_LEAST, *ends])
    height = _TOP + sum(_HEADING if bar.heading else _ROW for bar in bars) + 24
    shapes = [
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="6"/>',
        _text(20, 32, "bare / autoperf: more is better", "text title"),
        _text(20, 52, told + ("; measured on a noisy machine" if noisy else ""), "faint"),
        *_grid(low, high, height),
    ]
    at = _TOP
    for bar in bars:
        at += _HEADING if bar.heading else _ROW
        shapes += _drawn(bar, at - 8, low, high)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="bare / autoperf">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def _bars(data: Mapping[str, Any]) -> Iterator[_Bar]:
    provider = " (openai)" if data["provider"] == "openai" else ""
    rounds = f"{data['rounds']} round{'s' if data['rounds'] > 1 else ''}"
    yield _Bar(f"{data['scenario']}{provider}: {data['meaning']} ({rounds})", heading=True)
    several = len(data["variants"]) > 2
    rows = [row for row in data["rows"] if not row["what"].endswith(_REPEATED)]
    for row in rows:
        for name in data["variants"]:
            ratio = row["variants"][name].get("ratio") or {}
            if name != BARE.name and is_number(ratio.get("median")) and ratio["lowest"] > 0:
                label = f"{row['what']}, {name}" if several else row["what"]
                yield _Bar(label, ratio["median"], ratio["lowest"], ratio["highest"])


def _drawn(bar: _Bar, at: float, low: float, high: float) -> Iterator[str]:
    if bar.heading:
        yield _text(20, at, bar.label, "text heading")
        return
    one, end = _place(1, low, high), _place(bar.median, low, high)
    kind = "better" if bar.median >= 1 else "worse"
    yield _text(_LEFT - 12, at, bar.label, "text end")
    yield (
        f'<rect class="{kind}" x="{min(one, end):.1f}" y="{at - _BAR + 2:.1f}" '
        f'width="{max(abs(end - one), 1):.1f}" height="{_BAR}"/>'
    )
    if bar.lowest < bar.highest:
        left, right, middle = _place(bar.lowest, low, high), _place(bar.highest, low, high), at - _BAR / 2 + 2
        yield (
            f'<path class="range" d="M{left:.1f} {middle:.1f}H{right:.1f}M{left:.1f} {middle - 4:.1f}v8'
            f'M{right:.1f} {middle - 4:.1f}v8" fill="none"/>'
        )
    yield _text(_WIDTH - 20, at, f"{bar.median:.2f}x", "text end")


def _grid(low: float, high: float, height: float) -> Iterator[str]:
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    for power in range(first, last + 1):
        value = 2.0**power
        x = _place(value, low, high)
        kind = "one" if value == 1 else "grid"
        yield f'<path class="{kind}" d="M{x:.1f} {_TOP}V{height - 12}"/>'
        yield _text(x, _TOP - 6, f"{value:g}x", "faint middle")


def _place(ratio: float, low: float, high: float) -> float:
    share = math.log(ratio / low) / math.log(high / low)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(printable(text))}</text>'
