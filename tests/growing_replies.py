"""Replies as models write them and as nobody would, and what a parser makes of every beginning of them."""

from __future__ import annotations

import importlib.util
import itertools
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ATOMS = [
    *"{}[]\"'`:,/\\ \n\ta+-.",
    *(
        "{{",
        "}}",
        '"""',
        "'''",
        "```",
        '""',
        "\\n",
        '\\"',
        "\\\\",
        "\\x",
        "\\u",
        "\\u0",
        "\\u00e",
        "\\u00e9",
        "\\uzzzz",
    ),
    *(
        "//",
        "/*",
        "*/",
        "// said\n",
        "/* { */",
        "\r\n",
        "\v",
        "\u2028",
        "\xa0",
        "\x1c",
        "\ud83d",
        "\U0001f600",
        "\u65e5",
    ),
    *(
        "true",
        "FALSE",
        "null",
        "nul",
        "undefined",
        "Undef\u0130ned",
        "-1",
        "1.5e3",
        "2e",
        "1-2",
        "\u00b2",
        "\u0661",
        "inf",
    ),
    *('"a"', '"b": ', '"k":"v",', '{"x":', '["y",', '"c" "d":', '", ', '"}', '"]', "key", "text ", "a, b "),
]
_numbers = itertools.count()


def soup(rng: random.Random) -> str:
    """Anything the grammar has a rule for, in any order."""
    return "".join(rng.choice(ATOMS) for _ in range(rng.randint(1, 40)))


def request(rng: random.Random) -> str:
    """Nearly a tool request: some of it is broken."""
    body = _value(rng, 0)
    for _ in range(rng.choice((0, 0, 1, 3))):
        place = rng.randint(0, len(body))
        body = body[:place] + rng.choice(ATOMS) + body[place + rng.choice((0, 0, 1, 4)) :]
    return (
        rng.choice(("", "", "", "So: ", "// x\n", "[1] ", "{{"))
        + body
        + rng.choice(("", "", "}", " ok", "\n```"))
    )


def _value(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if depth > 4 or kind < 0.45:
        return _text(rng)
    if kind < 0.75:
        keys = ("k{}", '"k{}"', '"k{}"', "'k{}'", '"{} "')
        pairs = (
            rng.choice(keys).format(rng.randint(0, 4))
            + rng.choice((":", ": ", ":", " "))
            + _value(rng, depth + 1)
            for _ in range(rng.randint(0, 4))
        )
        return (
            "{" + rng.choice((",", ", ", ",\n ", " ")).join(pairs) + rng.choice(("}", "}", "}}", ",}", " }"))
        )
    if kind < 0.87:
        items = (_value(rng, depth + 1) for _ in range(rng.randint(0, 4)))
        return "[" + rng.choice((",", ", ", ",\n")).join(items) + rng.choice(("]", "]", ",]", " ]"))
    return rng.choice(
        ("1", "-2.5", "tRue", "null", "bare words", '"""three " of "" them"""', "/* c */ 3", "+", "[" * 9)
    )


def _text(rng: random.Random) -> str:
    quote = rng.choice('""""\'`')
    words = ["some ", "words, ", "more. ", "a " + quote + "quoted" + quote + " one ", *ATOMS]
    return quote + "".join(rng.choice(words) for _ in range(rng.randint(0, 12))) + quote


def beginnings(rng: random.Random, text: str) -> Iterator[str]:
    """The text as it grows; now and then as something edited it on the way."""
    size = 0
    while size < len(text):
        size += rng.choice((1, 1, 1, 2, 3, 7))
        begun = text[:size]
        if rng.random() < 0.02:
            place = rng.randint(0, len(begun))
            yield begun[:place] + rng.choice(ATOMS) + begun[place:]
        if rng.random() < 0.05:
            yield begun.rstrip()
        yield begun


def interleaved(rng: random.Random, count: int) -> Iterator[str]:
    """Beginnings of ``count`` texts at a time, some of them the same for a while."""
    first = rng.choice((soup, request))(rng)
    texts = [first, *(first[: rng.randint(0, len(first))] + soup(rng) for _ in range(count - 1))]
    running = [beginnings(rng, text) for text in texts]
    while running:
        chosen = rng.choice(running)
        text = next(chosen, None)
        if text is None:
            running.remove(chosen)
        else:
            yield text


def load(path: Path) -> ModuleType:
    """The parser module at ``path``, under a name of its own; as imported, with all that hangs on that."""
    name = f"dirty_json_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(cls: Callable[[], Any], parse: Callable[[Any, str], Any], text: str) -> Any:
    """Result, and everything the parser carries afterwards, with types and with what is the same object.

    Also the exception's type and text, where it raises one.
    """
    parser = cls()
    try:
        result = parse(parser, text)
    except Exception as error:
        return type(error), str(error)
    seen: dict[int, int] = {}
    return _shape(result, seen), [(name, _shape(value, seen)) for name, value in vars(parser).items()]


def _shape(value: Any, seen: dict[int, int]) -> Any:
    if not isinstance(value, (dict, list)):
        return type(value), repr(value) if isinstance(value, float) else value
    if id(value) in seen:
        return "again", seen[id(value)]
    seen[id(value)] = len(seen)
    if isinstance(value, dict):
        return type(value), [(key, _shape(inner, seen)) for key, inner in value.items()]
    return type(value), [_shape(inner, seen) for inner in value]
