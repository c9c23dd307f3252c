"""Numbers as people read them, and text of strangers with nothing in it that acts on its own."""

from __future__ import annotations

from typing import Any, Final

_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def count(value: Any) -> str:
    """A whole number with thousands apart, or "-" when there is none."""
    return f"{value:,.0f}" if is_number(value) else "-"


def short_count(value: Any) -> str:
    """A whole number in few characters: ``9999``, ``12k``, ``34M``; "-" when there is none."""
    if not is_number(value):
        return "-"
    if value < 10_000:
        return f"{value:.0f}"
    return f"{value / 1000:,.0f}k" if value < 10_000_000 else f"{value / 1e6:,.0f}M"


def percent(share: Any) -> str:
    """A share between 0 and 1 as a percentage."""
    return f"{100 * share:.1f} %" if is_number(share) else "-"


def milliseconds(value: Any) -> str:
    """A time in milliseconds, in the unit that suits it."""
    if not is_number(value):
        return "-"
    if value < 1:
        return f"{1000 * value:.0f} us"
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def duration(seconds: float) -> str:
    """A time span for a person: ``0.8 s``, ``45 s``, ``12 min``, ``3 h 5 min``."""
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    whole = max(int(seconds), 0)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


def is_number(value: Any) -> bool:
    """Whether there is a number: True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def printable(text: str) -> str:
    """``text`` with escapes for every character that steers a terminal or turns the writing round."""
    if text.isascii() and text.isprintable():
        return text
    import unicodedata  # an extension module, which most processes of a host never need for us

    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSEEN else char
        for char in text
    )
