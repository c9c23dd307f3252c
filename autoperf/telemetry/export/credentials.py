"""What the exporters' variables hold that nobody else is to read: keys in addresses and headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"
# A single letter of a password in a message gives nothing away, and hiding it would leave no message.
_SHORTEST: Final = 3
_ADDRESS: Final = re.compile(r"(?i)OTEL_EXPORTER_OTLP_\w*ENDPOINT|https?_proxy|all_proxy")
_HEADERS: Final = re.compile(r"OTEL_EXPORTER_OTLP_\w*HEADERS")
# Greedy up to the last @: people do not encode the / and @ of their passwords.
_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*://)?(?:(?P<user>.*)@)?(?P<place>[^?#]*)(?P<query>.*)", re.S
)


def public(endpoint: str) -> str:
    """``endpoint`` without user, password and query; the exporter reads the variable itself."""
    found = _PARTS.fullmatch(endpoint)
    assert found is not None
    return (found["scheme"] or "") + found["place"]


def hidden(text: str, environ: Mapping[str, str]) -> str:
    """``text``, an exporter's or a library's, with the keys of the variables made unreadable."""
    for secret in sorted(set(_secrets(environ)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if _ADDRESS.fullmatch(name):
            found = _PARTS.fullmatch(value.strip())
            wholes = [found["user"], found["query"]] if found else []
        elif _HEADERS.fullmatch(name):
            # One that is not written as it should be is complained of as a whole.
            wholes = [header.partition("=")[2] or header for header in value.split(",")]
        else:
            continue
        for whole in filter(None, wholes):
            for form in (whole, unquote(whole)):
                # Messages quote what they show, and take addresses apart.
                pieces = [form.strip(), *re.split(r"[\s/@:?&=#;\\'\"]+", form)]
                yield from (piece for piece in pieces if len(piece) >= _SHORTEST)
