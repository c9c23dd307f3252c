"""Agent Zero: recognised by what its source defines, patched seam by seam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoperf.instrumentation.agentzero.layout import Layout, Source
from autoperf.instrumentation.agentzero.layouts import LAYOUTS
from autoperf.instrumentation.agentzero.versions import host_version, unreviewed

__all__ = ["Layout", "Seam", "detect", "explain", "survey", "version"]


@dataclass(frozen=True)
class Seam:
    """One place we would patch, as the source shows it; ``lost`` where this version should have it."""

    target: str
    present: bool
    reason: str
    lost: bool = False


def detect(root: Path) -> Layout | None:
    """The layout of the host whose source lies in ``root``, newest first; None when it is not Agent Zero.

    A fork is recognised like the original, as long as it defines the marks of one layout.
    """
    source = Source(root)
    return next((layout for layout in LAYOUTS if all(map(source.defines, layout.marks))), None)


def survey(root: Path, layout: Layout) -> list[Seam]:
    """Every seam of ``layout`` that the source in ``root`` has, or should have by its version."""
    source = Source(root)
    version = host_version(root, layout, source)
    seams = []
    for target in layout.targets():
        present = source.defines(target)
        lost = not present and version.exact and version.has(layout, target)
        if present or lost or not layout.may_lack(target):
            seams.append(Seam(target, present, "" if present else source.absence(target), lost))
    return [*seams, *(Seam(row.target, True, row.reason, True) for row in unreviewed(layout, source))]


def version(root: Path, layout: Layout) -> str:
    """The version of the host in ``root`` for a person: see `HostVersion`."""
    return host_version(root, layout, Source(root)).text


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
