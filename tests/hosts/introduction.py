"""The look-alikes' parsers, made known to autoperf, which acts only on those whose source it knows."""

from pathlib import Path


def introduce(root: Path, package: str) -> None:
    """Say which grammar the parser of the host in ``root`` has; before its modules are imported."""
    from autoperf.agentzero import roots, streaming
    from autoperf.agentzero.dirtytext import Variant
    from autoperf.agentzero.sources import text_digest

    parser, extract = (
        (root / package.replace(".", "/") / name).read_text() for name in ("dirty_json.py", "extract_tools.py")
    )
    known = Variant("KNOWS_ITS_END = True" in parser, "DOUBTS_QUOTES = True" in parser)
    streaming.VARIANTS[text_digest(parser)] = known
    _, scan, rest = extract.partition("def _json_root_object_starts")
    roots.KNOWN.add(text_digest(scan + rest.partition("\n\n\n")[0]))
