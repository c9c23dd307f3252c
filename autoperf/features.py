"""The features by name, and how a list of them is read; light enough for the launcher."""

from __future__ import annotations

FEATURES: dict[str, str] = {
    "tools": "tool classes are kept between calls and validated by file stamp",
    "extensions": "extension classes are kept between calls; points without extensions return at once",
    "interventions": "idle intervention checks return at once; a message or pause acts at the next call",
    "mcp": "MCP tool names are looked up in an index instead of a scan",
    "streaming": "a growing reply is parsed on from where the last chunk ended",
    "trace": "spans and execution statistics, into the local store and to OTLP when configured",
}


def parse_features(text: str) -> frozenset[str]:
    """Read a feature list: names add up, ``-name`` takes one from the default; also ``all`` and ``none``.

    ``"tools,mcp"`` is exactly these two; ``"-mcp"`` is everything but MCP. Raises ``ValueError`` naming an
    unknown feature and the known ones.
    """
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    chosen = set(FEATURES) if not names or all(name.startswith("-") for name in names) else set()
    for name in names:
        bare = name.removeprefix("-")
        if bare == "all":
            chosen = set(FEATURES)
        elif bare == "none":
            chosen = set()
        elif bare not in FEATURES:
            raise ValueError(f"no feature {bare!r}; there are {', '.join(FEATURES)}")
        elif name.startswith("-"):
            chosen.discard(bare)
        else:
            chosen.add(bare)
    return frozenset(chosen)
