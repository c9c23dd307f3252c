"""Which version of the host this is, and which of our rows it should have: from its files alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.layout import Layout, Source
from autoperf.instrumentation.agentzero.loading import reviewed
from autoperf.patching.patch import Patch
from autoperf.telemetry.git_version import Number, number, revision


@dataclass(frozen=True)
class HostVersion:
    """``text`` as people read it: a tag, a commit, or the range of releases it can be with a ``~``.

    ``numbers`` are the releases it can be; ``exact`` says that a tag of the original names the one it is.
    """

    text: str
    numbers: tuple[Number, ...]
    exact: bool

    def has(self, layout: Layout, target: str) -> bool:
        """Whether a version that it can be has ``target`` in a shape that ours is for."""
        return any(layout.has(target, one) for one in self.numbers)


def host_version(root: Path, layout: Layout, source: Source) -> HostVersion:
    """By the tag or commit of its git; without, by which functions its source defines."""
    text: str | None = None
    with guarded("service.version"):
        text = revision(root)
    tagged = number(text)
    if text and tagged is not None and layout.spans(tagged):
        return HostVersion(text, (tagged,), exact=True)
    releases = layout.releases.split()
    fitting = [name for name in releases if _fits(name, layout, source)] or releases
    first, last = fitting[0], fitting[-1]
    estimate = f"~{first}" if first == last else f"~{first} - {last}"
    return HostVersion(text or estimate, tuple(filter(None, map(number, fitting))), exact=False)


def _fits(release: str, layout: Layout, source: Source) -> bool:
    one = number(release)
    return one is not None and all(
        source.shows(target) == layout.defines(target, one) for target in {**layout.since, **layout.until}
    )


def placed(rows: Iterable[Patch], layout: Layout, source: Source, version: HostVersion) -> Iterator[Patch]:
    """The rows as this version of the host has them: what is not there has its state already."""
    for row in rows:
        expected = row.foreign or version.has(layout, row.target)
        if row.foreign or not row.optional or source.shows(row.target):
            yield replace(row, expected=expected)
        elif version.exact and expected:
            reason = f"{source.absence(row.target)}; {version.text} should have it"
            yield replace(row, state="unrecognised", reason=reason)
        else:
            yield replace(row, state="absent", reason=source.absence(row.target))


def unreviewed(layout: Layout, source: Source) -> Iterator[Patch]:
    """A row for each module of tools that has to be executed at each use: its source is not known here."""
    for module in layout.reviewed:
        text = source.text(f"{module}:")
        if text and not reviewed.stateless(text):
            reason = "other code than is known: executed again at each use"
            yield Patch(f"{module}:CodeExecution", "tools", _nothing, state="unrecognised", reason=reason)


def switched_off(
    places: Iterable[tuple[str, str]], source: Source, features: Iterable[str]
) -> Iterator[Patch]:
    """A row for each place (feature, target) of the host's that only features that are off would patch."""
    on = set(features)
    for feature, target in places:
        if feature not in on and source.shows(target):
            yield Patch(target, feature, _nothing, state="off", reason="switched off by option")


def _nothing(*_: object) -> None:
    """The build of a row that is never applied."""
