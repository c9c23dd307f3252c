"""A forgiving parser for the JSON a model is still writing."""

import json
from typing import Any


class DirtyJson:
    @staticmethod
    def parse_string(text: str) -> Any:
        body, tail = close_json(text)
        for repaired in (body, body + "null", body + ": null", body.rstrip(", \n")):
            try:
                return json.loads(repaired + tail, strict=False)
            except ValueError:
                continue
        return {} if body else None


def close_json(text: str) -> tuple[str, str]:
    """The first object of the text and whatever would close it."""
    start = text.find("{")
    if start < 0:
        return "", ""
    closing: list[str] = []
    quoted = escaped = False
    for index in range(start, len(text)):
        char = text[index]
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in "{[":
            closing.append("}" if char == "{" else "]")
        elif char in "}]" and closing:
            closing.pop()
            if not closing:
                return text[start : index + 1], ""
    body = text[start:-1] if escaped else text[start:]
    return body, ('"' if quoted else "") + "".join(reversed(closing))
