"""The embeddings wire format, with small vectors computed from the text alone."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from typing import Any

# Enough that any two texts are far apart: recalled memories would bring random ids into the prompts.
DIMENSIONS = 256


def vector(text: str) -> list[float]:
    """A fixed vector of length 1 in ``DIMENSIONS`` numbers: two different texts are close to orthogonal."""
    numbers = [byte - 127.5 for byte in hashlib.shake_256(text.encode()).digest(DIMENSIONS)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """One vector per input (a text or a list of token numbers), encoded as ``float`` or ``base64``."""
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
