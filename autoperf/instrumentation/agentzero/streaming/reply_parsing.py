"""The growing reply, parsed on from where the last chunk ended instead of again from its start."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from autoperf.errors import AutoperfError, failures, guarded
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.streaming.json_parser import Reader, Unfit
from autoperf.instrumentation.agentzero.streaming.json_strings import Variant, first
from autoperf.instrumentation.agentzero.streaming.self_check import differences
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "dirty_json"
# By the module's source, trailing white space aside; the tags of the original that carry it.
VARIANTS: Final = {
    # v0.8.5 - v1.6
    "e73baba1b766b58d64a064f2351ba5d8bdb647f7aaace7a049e2f18349f3874f": Variant(False, False),
    # v1.7 - v1.20
    "2af52240d7294caa96e20dd7124671d9ba899e69d628272b32a371d4ea0ad264": Variant(True, False),
    # v2.0 - v2.6
    "81d673ddb55061cd045171b852f9144812d002a875b87bcce3602c10b9973e33": Variant(True, True),
    # examples/mini_agent
    "7a31d9f4ab5492034f4cfe7a5627a7ee16993fb970615dd1b395b4bac98f0e50": Variant(True, True),
}


class Bounds(NamedTuple):
    """In characters; the defaults are for speed, any others are as right."""

    smallest: int = 128
    """Below this the host's own parser is as fast."""
    lag: int = 64
    """What is read for good stays this far away from the end: the host may cut white space off there."""
    stride: int = 96
    """Reading for good copies the text that is still open, so it is done every so many characters."""


BOUNDS: Final = Bounds()

Parse = Callable[[Any, Any], Any]


def parsing(texts: GrowingTexts, bounds: Bounds = BOUNDS) -> Callable[[Parse, Switch], Shortcut]:
    """For ``DirtyJson.parse``: the same result and end state, in time that the new characters take.

    Whatever is not the continuation of a text seen just before, and whatever makes the host raise, goes
    through the host's own code.
    """

    def build(original: Parse, switch: Switch) -> Shortcut:
        expect_parameters(original, "self", "json_string")
        module = sys.modules[original.__module__]
        variant = VARIANTS.get(digest(module))
        if variant is None:
            raise AutoperfError("another parser than the ones whose grammar is known")
        cls = vars(module)["DirtyJson"]
        host = _Host(cls, original, switch)
        readings = _Readings(texts, variant, bounds)

        def parse(self: Any, json_string: Any) -> Any:
            if (
                type(json_string) is not str
                or len(json_string) < bounds.smallest
                or type(self) is not cls
                or not host.is_itself(variant)
            ):
                return MISS
            end = readings.of(json_string)
            if end is None:
                return MISS
            self.json_string = json_string
            self.index = end.pos
            self.current_char = json_string[end.pos] if end.pos < len(json_string) else None
            self.result = end.result
            self.stack = end.stack
            if variant.completes:
                self.completed = end.completed
                self._parsing_started = end.started
            return end.result

        return Shortcut(parse)

    return build


class _Host:
    """The host's class: whether it still is what was looked at, and does what our reading of it does."""

    def __init__(self, cls: type, original: Parse, switch: Switch) -> None:
        self._switch = switch
        self._methods = vars(cls)
        self._names = [name for name in vars(cls) if callable(getattr(cls, name)) and name != "parse"]
        self._as_found = self._now()
        self._whole: dict[str, Any] = {}  # all of its namespace when that was last looked through
        self._cls = cls
        self._original = original
        self._checked: bool | None = None

    def _now(self) -> list[Any]:
        return list(map(self._methods.get, self._names))

    def is_itself(self, variant: Variant) -> bool:
        if self._checked is None:
            self._checked = False
            with guarded(SEAM):
                self._check(variant)
            if not self._checked:
                self._switch.stand_aside("it reads in another way than its source says")
        if self._checked is not True:
            return False
        if self._methods == self._whole:
            return True
        if self._now() == self._as_found:
            self._whole = dict(self._methods)
            if self._switch.aside is not None:
                self._switch.act_again()
            return True
        self._whole = {}
        self._switch.stand_aside("a method of its class was replaced")
        return False

    def _check(self, variant: Variant) -> None:
        found = differences(self._cls, self._original, variant)
        if found:
            failures.record(SEAM, AutoperfError(f"the host's parser reads {found[0]!r} in another way"))
        self._checked = not found


class _Readings:
    def __init__(self, texts: GrowingTexts, variant: Variant, bounds: Bounds) -> None:
        self._texts = texts
        self._variant = variant
        self._bounds = bounds

    def of(self, text: str) -> Reader | None:
        """The end of reading ``text``, or None where the host has to read it."""
        entry = self._texts.claim(text)
        if entry is None:
            # Read by us from the second time on: most texts are parsed once and never grow.
            entry = Entry(text[: self._bounds.smallest])
            end = None
        else:
            end = self._go_on(entry, text)
        self._texts.keep(entry)
        if end is None:
            self._texts.handed_on += 1
        else:
            self._texts.resumed += 1
        return end

    def _go_on(self, entry: Entry, text: str) -> Reader | None:
        smallest, lag, stride = self._bounds
        reader: Reader | None = entry.work or Reader.at_start(self._variant, text, lag)
        try:
            if reader is None:
                # Without a bracket or quote the host begins at the start, until there is one.
                return None if first(text, '{["', 0) < len(text) else Reader(self._variant).finish(text)
            if entry.work is None or len(text) - reader.pos >= lag + stride:
                try:
                    reader.advance(text, lag)
                finally:
                    entry.work, entry.prefix = reader, text[: max(reader.seen, smallest)]
            return reader.finish(text)
        except Unfit:
            return None
