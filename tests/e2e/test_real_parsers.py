"""The parsers of real checkouts, with and without our patch, on beginnings of replies nobody would write.

``AUTOPERF_AGENT_ZERO`` names a folder of checkouts; without it these tests are skipped. For a long run:
``python -m tests.e2e.test_real_parsers FOLDER PREFIXES [SEED]``, prefixes for each different parser.
"""

from __future__ import annotations

import ast
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing
from autoperf.instrumentation.agentzero.streaming.reply_parsing import Bounds
from autoperf.memo.prefix import GrowingTexts
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import text_digest
from tests.growing_replies import interleaved, load, outcome, request, soup

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
BOUNDS = (Bounds(1, 10, 1), Bounds(1, 11, 7), Bounds(4, 24, 16), reply_parsing.BOUNDS)
SCAN = "_json_root_object_starts"

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


def parsers(folder: Path) -> dict[str, Path]:
    """One path for each different parser, by its digest; the newest checkout that has it."""
    found = sorted([*folder.glob("*/helpers/dirty_json.py"), *folder.glob("*/python/helpers/dirty_json.py")])
    return {text_digest(path.read_text(encoding="utf-8")): path for path in found}


def fuzz(path: Path, prefixes: int, seed: Any) -> tuple[int, int, int]:
    """Inputs, prefixes and resumed parses; raises ``AssertionError`` with the first text that differs."""
    rng = random.Random(seed)
    inputs = done = resumed = 0
    for number, bounds in enumerate(BOUNDS):
        module = load(path)
        cls, bare, texts = module.DirtyJson, module.DirtyJson.parse, GrowingTexts(key_size=bounds.smallest)
        target = f"{module.__name__}:DirtyJson.parse"
        patches = PatchSet([Patch(target, "streaming", reply_parsing.parsing(texts, bounds))])
        patches.start()
        assert {row.state for row in patches.rows} == {"applied"}, patches.rows[0].reason
        while done < prefixes * (number + 1) // len(BOUNDS):
            count = rng.choice((1, 1, 2, 3))
            inputs += count
            for text in _long(rng) if bounds.smallest > 9 else interleaved(rng, count):
                done += 1
                assert outcome(cls, cls.parse, text) == outcome(cls, bare, text), repr(text)
        resumed += texts.resumed
        patches.stop()
    return inputs, done, resumed


def _long(rng: random.Random) -> Iterator[str]:
    # Beyond the bounds in use, with long plain stretches and others that are all syntax.
    text = "".join(rng.choice((soup, request))(rng) + "x" * rng.randint(0, 200) for _ in range(4))
    head = '{"thoughts": ["' if rng.random() < 0.8 else ""
    for size in range(100, len(text), rng.choice((1, 3, 9))):
        yield head + text[:size]


def _scan_module(path: Path, folder: Path) -> Any:
    source = path.with_name("extract_tools.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if getattr(node, "name", "") == SCAN:
            alone = folder / "scan_alone.py"
            alone.write_text(ast.get_source_segment(source, node) or "", encoding="utf-8")
            return load(alone)
    return None


def fuzz_scan(path: Path, prefixes: int, seed: Any) -> int:
    """Prefixes compared for the scan beside the parser at ``path``; 0 where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        module = _scan_module(path, Path(folder))
        if module is None:
            return 0
        bare, texts, rng = getattr(module, SCAN), GrowingTexts(key_size=1), random.Random(seed)
        patches = PatchSet(
            [Patch(f"{module.__name__}:{SCAN}", "streaming", object_starts.scanning(texts, 1))]
        )
        patches.start()
        assert {row.state for row in patches.rows} == {"applied"}, patches.rows[0].reason
        done = 0
        while done < prefixes:
            for text in interleaved(rng, rng.choice((1, 2, 3))):
                done += 1
                assert getattr(module, SCAN)(text) == bare(text), repr(text)
        patches.stop()
        return done


@pytest.mark.parametrize("path", parsers(Path(FOLDER or "-")).values(), ids=lambda path: path.parts[-3])
def test_the_same_result_and_state_for_every_prefix(path: Path) -> None:
    _, done, resumed = fuzz(path, 40_000, seed=1)
    assert resumed > done // 3
    fuzz_scan(path, 10_000, seed=1)


def main(argv: list[str]) -> int:
    """Print, for each different parser, how much was compared; raises at the first difference."""
    folder, prefixes, seed = Path(argv[0]), int(argv[1]), (argv[2:] or ["0"])[0]
    for path in parsers(folder).values():
        inputs, done, resumed = fuzz(path, prefixes, seed)
        scanned = fuzz_scan(path, prefixes // 4, seed)
        told = f"{inputs} inputs, {done} prefixes ({resumed} resumed), {scanned} scanned for roots"
        print(f"{path.relative_to(folder)}: {told}, 0 differences", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
