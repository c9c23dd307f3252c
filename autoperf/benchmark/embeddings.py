"""The embeddings wire format, with small vectors computed from the text alone."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

DIMENSIONS = 16


def vector(text: str) -> list[float]:
    """A fixed vector of ``DIMENSIONS`` numbers in -1..1: two different texts are close to orthogonal."""
    digest = hashlib.sha256(text.encode()).digest()[:DIMENSIONS]
    return [byte / 127.5 - 1 for byte in digest]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """One vector per input; an input is a text or a list of token numbers, the encoding ``float`` or ``base64``."""
    given = body.get("input", [])
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs = [given] if single else given
    rows = []
    for index, item in enumerate(inputs):
        numbers = vector(item if isinstance(item, str) else json.dumps(item))
        encoded: Any = numbers
        if body.get("encoding_format") == "base64":
            encoded = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *numbers)).decode()
        rows.append({"object": "embedding", "index": index, "embedding": encoded})
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "model": body.get("model", ""), "data": rows, "usage": usage}
