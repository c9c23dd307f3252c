"""The growing reply: the host's result and end state for every prefix, and none of them twice."""

from __future__ import annotations

import copy
import inspect
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.instrumentation.agentzero.streaming import reply_parsing
from autoperf.instrumentation.agentzero.streaming.json_strings import Variant
from autoperf.instrumentation.agentzero.streaming.reply_parsing import Bounds
from autoperf.memo import prefix
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests.conftest import Clock
from tests.growing_replies import interleaved, load, outcome

pytestmark = pytest.mark.slow

HOSTS = Path(__file__).parents[3] / "hosts"
PARSERS = {
    "v0_9_8": (HOSTS / "v0_9_8" / "python" / "helpers" / "dirty_json.py", Variant(False, False)),
    "v0_9_9": (HOSTS / "v0_9_9" / "helpers" / "dirty_json.py", Variant(True, False)),
    "v2": (HOSTS / "v2" / "helpers" / "dirty_json.py", Variant(True, True)),
    "mini agent": (HOSTS.parents[1] / "examples/mini_agent/helpers/dirty_json.py", Variant(True, True)),
}
REQUEST = '{"thoughts": ["first, second"], "tool_name": "response", "tool_args": {"text": "'
LONG = REQUEST + "a long text, \\n" * 60 + '"}}'
EVERY_CHARACTER = Bounds(smallest=1, lag=10, stride=1)


class Parsers:
    """A parser module with our patch on it, and the functions of the one without."""

    def __init__(self, module: ModuleType, texts: GrowingTexts, bounds: Bounds) -> None:
        self.module = module
        self.cls: Any = module.DirtyJson
        self.bare = self.cls.parse
        self.texts = texts
        row = Patch(f"{module.__name__}:DirtyJson.parse", "streaming", reply_parsing.parsing(texts, bounds))
        self.patches = PatchSet([row])
        self.patches.start()

    @property
    def told(self) -> str:
        """What the record says of the row, what was found out meanwhile included."""
        return str(self.patches.rows[0].as_row()["state"])

    @property
    def state(self) -> str:
        (row,) = self.patches.rows
        return row.state

    def same(self, text: str) -> bool:
        """Whether ``text`` leaves the same result and state either way; ours is asked first."""
        ours = outcome(self.cls, self.cls.parse, text)
        return bool(ours == outcome(self.cls, self.bare, text))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes `Parsers` of one generation; undone at the end."""
    all_made: list[Parsers] = []

    def make(
        name: str, bounds: Bounds = reply_parsing.BOUNDS, clock: Any = None, known: bool = True
    ) -> Parsers:
        path, variant = PARSERS[name]
        module = load(path)
        if known:
            monkeypatch.setitem(reply_parsing.VARIANTS, digest(module), variant)
        texts = GrowingTexts(clock or prefix.time.monotonic, key_size=min(64, bounds.smallest))
        all_made.append(Parsers(module, texts, bounds))
        return all_made[-1]

    yield make
    for parsers in all_made:
        parsers.patches.stop()


@pytest.mark.parametrize("bounds", [EVERY_CHARACTER, Bounds(1, 12, 9), Bounds(8, 16, 30)])
@pytest.mark.parametrize("name", PARSERS)
def test_every_prefix_of_anything(made: Any, name: str, bounds: Bounds) -> None:
    parsers = made(name, bounds)
    rng = random.Random(f"{name} {bounds}")
    for _ in range(200):
        for text in interleaved(rng, rng.choice((1, 1, 2, 3))):
            assert parsers.same(text), repr(text)
    assert parsers.texts.resumed > 5_000


@pytest.mark.parametrize("name", PARSERS)
def test_a_long_reply_with_the_bounds_in_use(made: Any, name: str) -> None:
    parsers = made(name)
    for size in range(1, len(LONG) + 1, 4):
        assert parsers.same(LONG[:size])
    assert parsers.texts.resumed > len(LONG) // 4 - 40
    assert parsers.texts.handed_on == 1
    assert len(parsers.texts) == 1


QUOTES = [
    '{"a": "he said "no", and", "b": 1}',
    '{"a": "one" "b": "two"}',
    '{"a": "one" "b, two", "c": 3}',
    '{"a": "one" /* so */ "b\\" }": // or\n "two"}',
    '{"a": "one" "b" , "c": 1}',
    '{"a": "one" "b\\"c": 2}',
    '{"a": "one" "a rather long name for a key": "two" "and yet another, no key"}',
    '{"a": ["x "y" z", "w" ], "q": "r"s" : t"}',
    '{"a": "x"/ , "b": "y" /*',
]
STATES = [
    '{"n": 123456789012345678901234567890, "m": 1.25000000000000000000e-10}',
    '{{"a": 1}} tail',
    '{"a": {"b": {"c": 1}}}}} {"d": 2}',
    '{"a": [1, 2,], "b": [3 4], "c": [',
    '{"a": tRue, b: undefined, \'c\': bare words, "d": -}',
    '[`b`, \'\'\' x \'\'\', """ y "" """ ] , z',
    '{"a": "\\u00e9\\u12", "b": "\\q\\',
    '{"a": "\\ud83d\\ude00", "b": "\\u12 ", "c": "\\uzzzz"}',
    'text before { "a" : // said\n /* that */ 1 }',
    '{"a": {"a": {"a": [{"b": [',
    "no brace, no bracket: only words",
    '"a text for a root" and more',
    '{"a": 1, "b": 2, "a": {"c": 3}, "b": "',
]


@pytest.mark.parametrize("text", [*QUOTES, *STATES])
@pytest.mark.parametrize("name", PARSERS)
def test_every_prefix_of_the_difficult(made: Any, name: str, text: str) -> None:
    parsers = made(name, EVERY_CHARACTER)
    padded = text.replace("{", "{" + " " * 40, 1) + " " * 12
    for whole in (text, padded):
        for size in range(1, len(whole) + 1):
            assert parsers.same(whole[:size])


def test_the_unicode_that_counts_as_space_or_digit(made: Any) -> None:
    parsers = made("v2", EVERY_CHARACTER)
    for code in [*range(0x3100), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10100), *range(0x1D7C0, 0x1D800)]:
        for text in (f'{{"a":{chr(code)}1{chr(code)}x, {chr(code)}b:"c"{chr(code)},',):
            parsers.texts.claim(text)
            assert parsers.same(text[:5])
            assert parsers.same(text), code


def test_every_result_is_a_fresh_one(made: Any) -> None:
    parsers = made("v0_9_9")
    text = REQUEST.replace("[", '[{"deep": [1]}, ') + "x" * 400
    expected = parsers.bare(parsers.cls(), text)
    for _ in range(4):
        result = parsers.cls.parse_string(text)
        assert result == expected
        result["thoughts"][0]["deep"].append("mine")
        result["tool_args"]["mine"] = result.pop("tool_name")
    assert parsers.texts.resumed == 3


def test_every_result_of_a_reply_that_is_complete_is_a_fresh_one(made: Any) -> None:
    parsers = made("v0_9_9")
    text = '{"a": {"b": [{"c": 1}]}}' + " and so on" * 40
    for _ in range(4):
        result = parsers.cls.parse_string(text)
        assert result == {"a": {"b": [{"c": 1}]}}
        result["a"]["b"][0]["mine"] = result["mine"] = 1
    assert parsers.texts.resumed == 3


@pytest.mark.parametrize("name", PARSERS)
def test_what_decided_about_a_quote_is_part_of_the_text_gone_on_from(made: Any, name: str) -> None:
    parsers = made(name, EVERY_CHARACTER)
    begun = '{"key": "a text"' + " " * 40
    for size in range(1, 14):
        assert parsers.same(begun[: -size - 30])
        assert parsers.same((begun + ", x y: 1, z: 2")[: 56 + size])
        assert parsers.same(f'{begun[:-20]}so{size}" }}, "more": "than that"')


def test_white_space_cut_off_at_the_end(made: Any) -> None:
    parsers = made("v2")
    for size in range(200, 600, 5):
        text = LONG[:size] + " " * 40
        assert parsers.same(text)
        assert parsers.same(text.rstrip())
    assert parsers.texts.handed_on == 1


def test_a_parser_fed_after_it_parsed(made: Any) -> None:
    parsers = made("v0_9_9")
    for size in range(300, len(LONG), 50):
        ours, bare = parsers.cls(), parsers.cls()
        parsers.cls.parse(ours, LONG[:size])
        parsers.bare(bare, LONG[:size])
        assert vars(ours) == vars(bare)
        assert list(vars(ours)) == list(vars(bare))
    assert parsers.texts.resumed


def test_what_the_host_raises(made: Any) -> None:
    parsers = made("v2")
    text = REQUEST + "x" * 200 + '"}, "n": 1-2, "more": "' + "y" * 400
    raised = 0
    for size in range(100, len(text), 7):
        assert parsers.same(text[:size])
        raised += isinstance(outcome(parsers.cls, parsers.cls.parse, text[:size])[0], type)
    assert raised > 20
    with pytest.raises(ValueError, match="could not convert") as caught:
        parsers.cls.parse_string(text)
    assert caught.traceback[-1].name == "_number"
    assert failures.of(reply_parsing.SEAM) == 0


def test_a_number_that_is_none_far_from_the_end(made: Any) -> None:
    parsers = made("v2")
    text = '{"a": "' + "x" * 300 + '", "n": 1-2, "b": "' + "y" * 400
    for size in (500, 600, 700):
        assert parsers.same(text[:size])
    for other in (text[:290] + '", "c": 3}' + " " * 200, text[:150] + '"}' + " " * 400):
        assert parsers.same(other)


def test_what_nests_deep_is_the_hosts(made: Any) -> None:
    parsers = made("v0_9_8")
    text = "[" * 45 + '"' + "x" * 300
    for size in range(100, len(text), 9):
        assert parsers.same(text[:size])
    assert parsers.texts.resumed == 0
    with pytest.raises(RecursionError):
        parsers.cls.parse_string("[" * 3_000)


def test_texts_that_are_left_to_the_host(made: Any) -> None:
    parsers = made("v2")

    class Text(str):
        __slots__ = ()

    for text in (LONG[:100], Text(LONG), None, ""):
        for _ in range(3):
            assert parsers.same(text)
    assert len(parsers.texts) == parsers.texts.resumed == parsers.texts.handed_on == 0


def test_a_subclass_is_left_alone(made: Any) -> None:
    parsers = made("v2")

    class Own(parsers.cls):  # type: ignore[misc, name-defined]
        def _quoted(self, quote: str, key: bool) -> str:
            return super()._quoted(quote, key).upper()

    for size in (300, 400, 500):
        assert parsers.cls.parse_string(LONG[:size])["tool_name"] == "response"
        assert Own().parse(LONG[:size])["TOOL_NAME"] == "RESPONSE"


def test_a_method_that_someone_replaces_is_used(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parsers = made("v2")
    for size in (300, 400, 500):
        assert "tool_name" in parsers.cls.parse_string(LONG[:size])
    before = parsers.texts.resumed
    original = parsers.cls._quoted
    monkeypatch.setattr(parsers.cls, "_quoted", lambda self, *a, **k: original(self, *a, **k).upper())
    assert "TOOL_NAME" in parsers.cls.parse_string(LONG[:600])
    assert parsers.texts.resumed == before


def test_another_source_is_not_patched(made: Any) -> None:
    parsers = made("v2", known=False)
    assert parsers.state == "unrecognised"
    assert parsers.cls.parse is parsers.bare


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_that_reads_in_another_way_is_found_out(
    made: Any, name: str, monkeypatch: pytest.MonkeyPatch, fail_open: None
) -> None:
    own = PARSERS[name][1]
    for variant in {variant for _, variant in PARSERS.values()} - {own}:
        parsers = made(name)
        monkeypatch.setitem(reply_parsing.VARIANTS, digest(parsers.module), variant)
        parsers = made(name, known=False)
        assert parsers.state == "applied"
        before = failures.of(reply_parsing.SEAM)
        for size in (300, 400, 500):
            assert parsers.same(LONG[:size])
        assert failures.of(reply_parsing.SEAM) == before + 1
        assert parsers.told == "unrecognised"
        assert parsers.texts.resumed == parsers.texts.handed_on == 0


def test_a_failure_of_ours_is_the_hosts_parse(
    made: Any, monkeypatch: pytest.MonkeyPatch, fail_open: None
) -> None:
    parsers = made("v2")
    assert parsers.same(LONG[:300])
    monkeypatch.setattr(reply_parsing.Reader, "finish", lambda self, text: 1 / 0)
    for size in (320, 340):
        assert parsers.same(LONG[:size])
    assert failures.of(f"{parsers.module.__name__}:DirtyJson.parse") == 1


def test_switched_off_and_undone(made: Any) -> None:
    parsers = made("v2")
    parsers.patches.stop()
    assert inspect.getattr_static(parsers.cls, "parse") is parsers.bare


def test_threads_at_once(made: Any) -> None:
    parsers = made("v2")
    wrong: list[str] = []

    def stream(name: str) -> None:
        text = LONG.replace("a long", f"{name}s own") if name != "0" else LONG
        wrong.extend(text[:size] for size in range(200, len(text), 3) if not parsers.same(text[:size]))

    threads = [threading.Thread(target=stream, args=(str(number % 4),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert parsers.texts.resumed > 1_000


def test_many_texts_are_bounded(made: Any) -> None:
    parsers = made("v2")
    for number in range(prefix.MAX_KEYS + 50):
        for _ in range(2):
            parsers.cls.parse_string(f'{{"number {number}": "' + "x" * 300)
    assert len(parsers.texts) == prefix.MAX_KEYS
    for number in range(prefix.MAX_PER_KEY + 50):
        parsers.cls.parse_string('{"same": "' + "x" * 90 + f"{number}" + "x" * 300)
    assert len(parsers.texts) <= prefix.MAX_KEYS + prefix.MAX_PER_KEY


def test_the_longest_beginning_is_gone_on_from() -> None:
    for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        texts = GrowingTexts(key_size=1)
        for size in order:
            texts.keep(Entry("abc"[:size], size))
        taken = [texts.claim("abcd"), texts.claim("abcd"), texts.claim("abd"), texts.claim("abcd")]
        assert [entry and entry.work for entry in taken] == [3, 2, 1, None]


def test_an_answer_that_has_ended_is_dropped(made: Any, clock: Clock) -> None:
    parsers = made("v2", clock=clock)
    other = LONG.replace("response", "another_tool")
    for size in (300, 400):
        parsers.cls.parse_string(LONG[:size])
        parsers.cls.parse_string(other[:size])
    assert len(parsers.texts) == 2
    clock.now += prefix.IDLE_S - 1
    parsers.cls.parse_string(other[:500])
    clock.now += 2
    parsers.texts.expire()
    assert len(parsers.texts) == 1
    resumed = parsers.texts.resumed
    assert parsers.same(other[:600])
    assert parsers.texts.resumed == resumed + 1
    clock.now += prefix.IDLE_S + 1
    parsers.texts.expire()
    assert len(parsers.texts) == 0
    assert parsers.same(LONG[:700])
    clock.now += prefix.IDLE_S + 1
    parsers.cls.parse_string(other)  # where nobody calls `expire`, the next reply does
    assert len(parsers.texts) == 1


def test_only_new_characters_are_read(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parsers = made("v2")
    read: list[int] = []
    original = reply_parsing.Reader._read

    def counting(self: Any, text: str, limit: int, *, final: bool) -> None:
        before = self.pos
        original(self, text, limit, final=final)
        read.append(self.pos - before)

    monkeypatch.setattr(reply_parsing.Reader, "_read", counting)
    text = REQUEST + "a long text, \\n" * 2_000 + '"}}'
    for size in range(200, len(text), 4):
        parsers.cls.parse_string(text[:size])
    bounds = reply_parsing.BOUNDS
    assert max(read) <= bounds.lag + bounds.stride + 32
    assert copy.deepcopy(parsers.cls.parse_string(text)) == parsers.bare(parsers.cls(), text)
