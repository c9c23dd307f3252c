"""Agent Zero: recognised by what its source defines, patched seam by seam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoperf.instrumentation.agentzero.conflicts import caching_plugin
from autoperf.instrumentation.agentzero.layout import Layout, Source
from autoperf.instrumentation.agentzero.layouts import LAYOUTS
from autoperf.instrumentation.agentzero.versions import host_version, unknown

_OF_A_PLUGIN = ("prompts", "settings", "tokens")
__all__ = ["Layout", "Seam", "detect", "explain", "survey", "version"]


@dataclass(frozen=True)
class Seam:
    """One place that ``features`` would patch, as the source shows it.

    ``lost`` where this version should have it and does not, or has other code there than is known.
    """

    target: str
    present: bool
    reason: str
    lost: bool = False
    features: tuple[str, ...] = ()


def detect(root: Path) -> Layout | None:
    """The layout of the host whose source lies in ``root``, newest first; None when it is not Agent Zero.

    A fork is recognised like the original, as long as it defines the marks of one layout.
    """
    source = Source(root)
    return next((layout for layout in LAYOUTS if all(map(source.defines, layout.marks))), None)


def survey(root: Path, layout: Layout) -> list[Seam]:
    """Every seam of ``layout`` that the source in ``root`` has, or should have by its version.

    Raises ``ImportError`` where this Python lacks what the patches need.
    """
    from autoperf.instrumentation.agentzero.seams import places

    source = Source(root)
    version = host_version(root, layout, source)
    others = set(unknown(layout, source, version))
    # Beside such a plugin most of these stay as they are.
    left = _OF_A_PLUGIN if caching_plugin(str(root)) else ()
    users: dict[str, list[str]] = {}
    for feature, target in places(layout):
        if feature not in left:
            users.setdefault(target, []).append(feature)
    seams = []
    for target in layout.targets():
        present = source.defines(target)
        lost = target in others or (not present and version.exact and version.has(layout, target))
        if present or lost or not layout.may_lack(target):
            reason = "" if present else source.absence(target)
            reason = "other code than is known" if target in others else reason
            seams.append(Seam(target, present, reason, lost, tuple(users.get(target, ()))))
    return seams


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
