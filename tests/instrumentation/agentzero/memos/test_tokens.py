"""Token counts: the host's number for every text, however it was arrived at."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import tokens
from autoperf.patching.patch import PatchSet
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

# The encoding's way to cut a text, with what `re` has instead of classes of letters and digits; a token is
# three characters of such a piece.
LETTER = r"[^\W\d_]"
CUTTING = re.compile(
    rf"'(?i:[sdmt]|ll|ve|re)|(?:(?!{LETTER})[^\r\n\d])?{LETTER}+|\d{{1,3}}| ?(?:(?!{LETTER})[^\s\d])+[\r\n]*"
    r"|\s+\Z|\s*[\r\n]|\s+(?!\S)|\s"
)
HOST = """
counted = []

def count_tokens(text, encoding_name="cl100k_base"):
    if not text:
        return 0
    counted.append(text)
    if "<|forbidden|>" in text:
        raise ValueError(f"not in {len(text)} characters")
    return len(tiktoken.get_encoding(encoding_name).encode(text))

def approximate(text):
    return int(count_tokens(text) * 1.1)
"""
ATOMS = [
    *["\n"] * 6, " ", "  ", "\t", "\x0b", "\x1c", "\x85", "\u2028", "\xa0", "a", "Word", "'s", "'", "12345",
    "{", ",\n", "...", "/\n", "é", "日本", "\U0001f600", "_", "\n\n", "\n \n", "x\ny", "\r", "\r\n",
]  # fmt: skip


class Encoding:
    def __init__(self, pattern: str) -> None:
        self._pat_str = pattern

    def encode(self, text: str) -> list[str]:
        pieces = [found[0] for found in CUTTING.finditer(text)]
        assert "".join(pieces) == text
        return [piece[at : at + 3] for piece in pieces for at in range(0, len(piece), 3)]


class Tiktoken(ModuleType):
    def __init__(self, pattern: str) -> None:
        super().__init__("tiktoken")
        self.encoding = Encoding(pattern)

    def get_encoding(self, _name: str) -> Encoding:
        return self.encoding


class Counts:
    """The host's module, with our patch on it."""

    def __init__(self, module: ModuleType, probe: Probe, patches: PatchSet) -> None:
        self.row = patches.rows[0].as_row
        self.module: Any = module
        self.bare = module.tiktoken.encoding.encode
        self.probe = probe

    def passed_on(self, text: str) -> int:
        """How many texts the host is asked about for ``text``."""
        before = len(self.module.counted)
        assert self.module.count_tokens(text) == len(self.bare(text))
        return len(self.module.counted) - before


@contextmanager
def hosted(monkeypatch: pytest.MonkeyPatch, pattern: str) -> Iterator[Counts]:
    module = module_of("tokencounts_host", HOST, tiktoken=Tiktoken(pattern))
    monkeypatch.setattr(tokens, "KNOWN", {digest(module.count_tokens)})
    probe = Probe(None)
    with patched(module, "count_tokens", tokens.counting(probe)) as patches:
        yield Counts(module, probe, patches)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    with hosted(monkeypatch, next(iter(tokens.CUTTING))) as found:
        yield found


def test_a_text_is_counted_once(counts: Counts) -> None:
    assert [counts.passed_on(text) for text in ("some text", "some text", "other", "some text")] == [
        1,
        0,
        1,
        0,
    ]
    assert counts.module.approximate("some text") == int(len(counts.bare("some text")) * 1.1)
    assert counts.probe.memos["tokens"].as_row()["hits"] == 3


def test_long_texts_are_remembered_too(counts: Counts) -> None:
    text = "no line end " * 3000
    assert len(text) > tokens._SPELLED_OUT
    assert counts.passed_on(text) > 0
    assert counts.passed_on("".join(text)) == 0
    assert counts.passed_on(text[:-1] + "!") == 1


def test_of_a_long_line_that_grew_only_the_end_is_counted(counts: Counts) -> None:
    words = [f"HumanMessage(content='step {n} of it\\\\n and don\\'t', name=None)" for n in range(200)]
    counts.passed_on("[" + ", ".join(words[:-1]) + "]")
    assert counts.passed_on("[" + ", ".join(words) + "]") <= 2


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_a_long_line_add_up(counts: Counts, seed: int) -> None:
    chosen = random.Random(seed)
    atoms = [atom for atom in ATOMS if "\n" not in atom] + [
        "\\",
        "\\n",
        "ll",
        "don't",
        "z",
        "Z",
        "\u0301",
        "ß",
    ]
    text = "".join(chosen.choices(atoms, k=2000))
    parts = tokens.pieces(text)
    assert "".join(parts) == text
    assert len(parts) > 3
    assert [token for part in parts for token in counts.bare(part)] == counts.bare(text)


def test_of_a_text_that_grew_only_the_new_lines_are_counted(counts: Counts) -> None:
    text = "".join(f"line {number}, and more of it\n" for number in range(100))
    counts.passed_on(text)
    assert counts.passed_on(text + "one more\nand another") == 2
    assert counts.passed_on("changed\n" + text) == 1
    assert counts.probe.memos["tokens"].as_row()["hits"] == 2


def test_other_encodings_and_nothing_go_to_the_host(counts: Counts) -> None:
    for _ in range(2):
        assert counts.module.count_tokens("text", "other") == len(counts.bare("text"))
        assert counts.module.count_tokens("text", encoding_name="other") == len(counts.bare("text"))
        assert counts.module.count_tokens("") == counts.module.count_tokens(None) == 0
    assert len(counts.module.counted) == 4


def test_errors_are_the_hosts_every_time(counts: Counts) -> None:
    long = "line\n" * 300 + "<|forbidden|>\n" + "line\n" * 300
    for text in ("<|forbidden|>", long):
        for _ in range(2):
            with pytest.raises(ValueError, match=f"not in {len(text)} characters"):
                counts.module.count_tokens(text)


def test_an_unknown_way_to_cut_texts_means_whole_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    with hosted(monkeypatch, "another") as counts:
        text = "line\n" * 500
        assert [counts.passed_on(text) for _ in range(2)] == [1, 0]
        assert counts.passed_on(text + "one more") == 1
        assert counts.module.counted[-1] == text + "one more"
        assert counts.row()["state"] == "unrecognised", "long texts are counted whole, and that is told"


def test_a_known_way_that_does_not_add_up_means_whole_texts(
    counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts.module.tiktoken.encoding, "encode", lambda text: ["x"] * (len(text) // 2 + 1))
    text = "line\n" * 500
    assert counts.row()["state"] == "applied"
    assert counts.module.count_tokens(text) == 1251
    assert counts.module.counted[-1] == text
    assert counts.row()["state"] == "unrecognised"


@pytest.mark.parametrize("seed", range(3))
def test_the_parts_have_the_tokens_of_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    encode = Encoding("").encode
    cut = 0
    for _ in range(3000):
        text = "".join(rng.choice(ATOMS) for _ in range(rng.randint(1, 30)))
        parts = tokens.blocks(text)
        if parts is None:
            assert "\r" in text
            continue
        assert "".join(parts) == text
        assert [token for part in parts for token in encode(part)] == encode(text)
        cut += len(parts) - 1
    assert cut > 1000


def test_every_line_with_something_in_it_begins_a_part() -> None:
    assert tokens.blocks("a\n b\n\n  \nc\n") == ["a\n", " b\n\n  \n", "c\n"]
    assert tokens.blocks("\n\na") == ["\n\n", "a"]
    assert tokens.blocks("a\r\nb") is None
