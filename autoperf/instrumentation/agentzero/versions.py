"""Which version of the host this is, and which of our rows it should have: from its files alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.layout import Layout, Source
from autoperf.patching.patch import Patch
from autoperf.patching.sources import asks_only, group_digest
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
    # The host's own function is not asked: it imports GitPython, which starts git and raises where there is
    # none, and each call starts it again. It knows nothing but git either: "unknown" without a repository.
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


def unknown(layout: Layout, source: Source, version: HostVersion) -> Iterator[str]:
    """Each target that this version should have, and has with other code than is known."""
    for target, pins in _pins(layout):
        if target is None or not source.shows(target) or not version.has(layout, target):
            continue
        if not all(pin.fits(source, target) for pin in pins):
            yield target


class Pin(NamedTuple):
    """Code that a patch relies on: ``names`` in ``module`` beside the patched one, or in that itself.

    Each has a digest among the ``known``, or with ``group`` all have one together. The name "" is the patched
    function's; none stands for the whole module. A name that is not there counts for none.
    """

    known: Set[str]
    names: tuple[str, ...] = ("",)
    module: str = ""
    group: bool = False

    def fits(self, source: Source, target: str) -> bool:
        """Whether it is the known code, for the patch of ``target``."""
        module, _, own = target.partition(":")
        if self.module:
            module = ".".join([*module.split(".")[:-1], self.module])
        names = [name or own for name in self.names] or [""]
        found = {name: source.digest(f"{module}:{name}") for name in names}
        there = {name: digest for name, digest in found.items() if digest}
        return group_digest(there) in self.known if self.group else self.known >= set(there.values())


class Asks(NamedTuple):
    """All that the patched function may ask for: see `asks_only`. With ``where`` only if it asks for that."""

    names: Set[str]
    where: str = ""

    def fits(self, source: Source, target: str) -> bool:
        """Whether its code asks for nothing else."""
        code = source.code(target)
        asked = code is None or not self.where or self.where in code.co_names
        return code is None or not asked or asks_only(code, self.names)


def _pins(layout: Layout) -> Iterator[tuple[str | None, tuple[Pin | Asks, ...]]]:
    """Each target whose patch looks at source code, and at which."""
    from autoperf.instrumentation.agentzero import known_sources
    from autoperf.instrumentation.agentzero.dispatch import extensible, extension_calls, interventions
    from autoperf.instrumentation.agentzero.loading import classes
    from autoperf.instrumentation.agentzero.logging import log_text, masking
    from autoperf.instrumentation.agentzero.mcp import lookup
    from autoperf.instrumentation.agentzero.memos import (
        base_directory,
        dotenv,
        git,
        global_settings,
        plugins,
        prompts,
        settings,
        skills,
        tokens,
        yaml,
    )
    from autoperf.instrumentation.agentzero.startup import watchdog
    from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing

    yield layout.parse_reply, (Pin(set(reply_parsing.VARIANTS), ()),)
    yield layout.root_starts, (Pin(object_starts.KNOWN),)
    yield layout.handle_intervention, (Asks(interventions.ASKED),)
    yield layout.mcp_has_tool, (Asks(lookup.ASKED),)
    for target in (layout.load_from_file, layout.load_from_folder):
        yield target, (Asks(classes.ASKED),)
    for target in (layout.call_extensions, layout.call_extensions_sync):
        if layout.extensible:
            yield target, (Asks(extension_calls.ASKED),)
        else:
            yield target, (Asks(extension_calls.LOOKED_UP, "get_paths"),)
    managers = [
        Pin(known, (f"SecretsManager.{name}",), "secrets") for name, known in masking.MANAGERS.items()
    ]
    reading = (Pin(known_sources.KNOWN, known_sources.RELIES_ON, group=True),)
    pins: dict[str, dict[str, tuple[Pin, ...]]] = {
        "extensions": {"extensible": (Pin(extensible.KNOWN),)},
        "paths": {"base": (Pin(base_directory.KNOWN),)},
        "settings": {
            "yaml": (Pin(yaml.KNOWN),),
            "frontmatter": (Pin(yaml.KNOWN),),
            "release": (Pin(git.OF_A_PATH),),
            "version": (Pin(git.OF_THE_HOST),),
            "environment": (Pin(dotenv.KNOWN),),
            "asset": (Pin(plugins.KNOWN),),
            "get_settings": (
                Pin(global_settings.KNOWN, global_settings.MADE_BY, group=True),
                *(
                    Pin(known, names, module, group=True)
                    for module, (names, known) in global_settings.ASKED.items()
                    if module != "models"  # it lies elsewhere
                ),
            ),
            "presets": (Pin(settings.KNOWN, ()),),
            "account": (Pin(settings.KNOWN_ACCOUNTS, ()),),
        },
        "tokens": {"count": (Pin(tokens.KNOWN),)},
        "prompts": {
            **dict.fromkeys(("read", "parse", "find", "variables"), reading),
            "names": (Pin(prompts.KNOWN, prompts.RELIES_ON, group=True),),
            "discover_skills": (Pin(skills.DISCOVERY, skills.DISCOVERS_BY, group=True),),
            "parse_skill": (Pin(skills.PARSING, skills.PARSES_BY, group=True),),
        },
        "output": {
            "mask_method": (
                Pin(masking.METHODS),
                Pin(masking.LOOKUPS, ("get_secrets_manager",), "secrets"),
                *managers,
            ),
            "mask_function": (Pin(masking.FUNCTIONS), *managers),
            "includes": (Pin(log_text.KNOWN),),
        },
        "startup": dict.fromkeys(
            ("refresh", "add", "remove", "clear"),
            (Pin(watchdog.KNOWN, ("_WatchRegistry._refresh_observer",)),),
        ),
    }
    for feature, places in pins.items():
        for name, wanted in places.items():
            yield layout.more.get(feature, {}).get(name), wanted


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
