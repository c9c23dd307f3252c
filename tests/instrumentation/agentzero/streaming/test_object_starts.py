"""Where objects begin in a growing reply: the host's list for every prefix."""

from __future__ import annotations

import importlib.util
import random
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.streaming import object_starts
from autoperf.memo.prefix import GrowingTexts
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests.growing_replies import interleaved

SOURCE = Path(__file__).parents[3] / "hosts" / "v2" / "helpers" / "extract_tools.py"
NAME = "_json_root_object_starts"


class Scans:
    """The function with our patch on it, and the one without."""

    def __init__(self, module: types.ModuleType, smallest: int) -> None:
        self.module = module
        self.bare = getattr(module, NAME)
        self.texts = GrowingTexts(key_size=smallest)
        row = Patch(f"{module.__name__}:{NAME}", "streaming", object_starts.scanning(self.texts, smallest))
        self.patches = PatchSet([row])
        self.patches.start()

    def same(self, text: str) -> bool:
        """Whether ``text`` gives the same list either way."""
        return bool(getattr(self.module, NAME)(text) == self.bare(text))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The look-alike's function in a module of its own."""
    _, scan, rest = SOURCE.read_text().partition(f"def {NAME}")
    path = tmp_path / "scanning_module.py"
    path.write_text(scan + rest.partition("\n\n\n")[0])
    spec = importlib.util.spec_from_file_location("scanning_module", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scanning_module", made)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def scans(module: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes `Scans`; undone at the end."""
    monkeypatch.setattr(object_starts, "KNOWN", {digest(getattr(module, NAME))})
    made: list[Scans] = []

    def make(smallest: int) -> Scans:
        made.append(Scans(module, smallest))
        return made[-1]

    yield make
    for each in made:
        each.patches.stop()


def test_every_prefix_of_anything(scans: Any) -> None:
    found = scans(smallest=1)
    rng = random.Random(7)
    for _ in range(150):
        for text in interleaved(rng, rng.choice((1, 2, 3))):
            assert found.same(text), repr(text)


@pytest.mark.parametrize("size", [100, 400])
def test_every_prefix_of_a_long_reply(scans: Any, size: int) -> None:
    found = scans(smallest=object_starts.SMALLEST)
    text = ('{"a": "{\\"", \'b\': [`}`, {}]} or {"c": "\\\\"} {' + "x" * 40) * (size // 40)
    for end in range(len(text) + 1):
        assert found.same(text[:end])
    assert len(found.texts) == 1


def test_lists_are_fresh(scans: Any, module: types.ModuleType) -> None:
    found = scans(smallest=1)
    starts = getattr(module, NAME)
    starts("{} {}").append(9)
    assert starts("{} {}") == [0, 3]
    assert found.same("{} {} {")


def test_another_source_is_not_patched(module: types.ModuleType) -> None:
    found = Scans(module, 1)
    (row,) = found.patches.rows
    found.patches.stop()
    assert row.reason == "another scan than the one that is known"


def test_only_new_characters_are_read(scans: Any, module: types.ModuleType) -> None:
    found = scans(smallest=128)
    text = '{"a": "' + "x" * 400
    for size in range(200, 400):
        getattr(module, NAME)(text[:size])
        entry = found.texts.claim(text)
        assert entry.work.pos == size
        found.texts.keep(entry)
