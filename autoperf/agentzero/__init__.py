"""Agent Zero: recognised by what its source defines, patched seam by seam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoperf.agentzero.layout import Layout, Source
from autoperf.agentzero.layouts import LAYOUTS

__all__ = ["Layout", "Seam", "detect", "explain", "survey"]


@dataclass(frozen=True)
class Seam:
    """One place we would patch, as the source on disk shows it."""

    target: str
    present: bool
    reason: str


def detect(root: Path) -> Layout | None:
    """The layout of the host whose source lies in ``root``, newest first; None when it is not Agent Zero.

    A fork is recognised like the original, as long as it defines the marks of one layout.
    """
    source = Source(root)
    return next((layout for layout in LAYOUTS if all(map(source.defines, layout.marks))), None)


def survey(root: Path, layout: Layout) -> list[Seam]:
    """Every seam of ``layout`` and whether the source in ``root`` has it; optional ones only where it has."""
    source = Source(root)
    seams = []
    for target in layout.targets():
        present = source.defines(target)
        if not present and layout.may_lack(target):
            continue
        reason = "" if present else _absence(source, target)
        seams.append(Seam(target, present, reason))
    return seams


def explain(root: Path) -> list[str]:
    """Why ``root`` is not recognised: for each layout, the marks its source lacks; unreadable files first."""
    source = Source(root)
    lines = []
    for layout in LAYOUTS:
        lacking = [mark for mark in layout.marks if not source.defines(mark)]
        lines.append(
            f"not {layout.generation}: no {', '.join(lacking)}" if lacking else f"is {layout.generation}"
        )
    return [
        f"{module}.py cannot be read by this Python, {why}" for module, why in source.unreadable.items()
    ] + lines


def _absence(source: Source, target: str) -> str:
    module, _, name = target.partition(":")
    if module in source.unreadable:
        return f"{module} cannot be read by this Python: {source.unreadable[module]}"
    return f"{module} does not define {name}" if source.has_module(target) else f"there is no module {module}"
