"""Texts in which the versions of the host's parser differ from JSON and from each other, and a comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from autoperf.instrumentation.agentzero.streaming.json_parser import LOOKAHEAD, Reader, Unfit
from autoperf.instrumentation.agentzero.streaming.json_strings import Variant

TEXTS: Final = (
    '{"thoughts": ["a, b", "c"], "tool_name": "x", "tool_args": {"t": "1\\n2\\u00e9\\q\\u12 "}}}',
    'so: {{"a": {"b": [1, -2.5e1, {"c": tRue}]}}, k: undefined, \'q\': null}} tail',
    '[ """ raw "" text """, `b\\`t`, bare word , 0x, [], {}, ] // end',
    '{"a": "say "hi", he "said"  // c\n, "b" "c": 1 /* d */ "e" \'f\' : "\\u00"}',
    '{a b: [1 2], "c"] , } : {"d": [',
    '{"n": 1-2, "m": 3}',
    "// c\n{,:/ *",
    '"text \\',
)


def differences(cls: Callable[[], Any], parse: Callable[[Any, str], Any], variant: Variant) -> list[str]:
    """The beginnings of `TEXTS` that the host's ``parse`` does not read as ``variant`` does; none if well."""
    found = []
    for text in TEXTS:
        reader: Reader | None = None
        for size in range(1, len(text) + 1):
            prefix = text[:size]
            reader = reader or Reader.at_start(variant, prefix, LOOKAHEAD)
            ours = None if reader is None else _ours(reader, prefix)
            if ours is not None and ours != _hosts(cls(), parse, prefix, variant):
                found.append(prefix)
    return found


def _ours(reader: Reader, text: str) -> tuple[Any, ...] | None:
    try:
        reader.advance(text, LOOKAHEAD)
        end = reader.finish(text)
    except Unfit:
        return None
    knows = reader.variant.completes
    return repr(end.result), repr(end.stack), end.pos, knows and end.completed, knows and end.started


def _hosts(parser: Any, parse: Callable[[Any, str], Any], text: str, variant: Variant) -> tuple[Any, ...]:
    try:
        result = repr(parse(parser, text))
    except Exception as error:
        return (type(error).__name__,)
    completed, started = False, False
    if variant.completes:
        completed, started = parser.completed, parser._parsing_started
    return result, repr(parser.stack), parser.index, completed, started
