"""The look-alikes' parsers, made known to autoperf, which acts only on those whose source it knows."""

from pathlib import Path


def introduce(root: Path, package: str) -> None:
    """Say which grammar the parser of the host in ``root`` has; before its modules are imported."""
    from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing
    from autoperf.instrumentation.agentzero.streaming.json_strings import Variant
    from autoperf.patching.sources import text_digest

    parser, extract = (
        (root / package.replace(".", "/") / name).read_text() for name in ("dirty_json.py", "extract_tools.py")
    )
    known = Variant("KNOWS_ITS_END = True" in parser, "DOUBTS_QUOTES = True" in parser)
    reply_parsing.VARIANTS[text_digest(parser)] = known
    _, scan, rest = extract.partition("def _json_root_object_starts")
    object_starts.KNOWN.add(text_digest(scan + rest.partition("\n\n\n")[0]))
    _introduce_settings(root / package.replace(".", "/"))


def _introduce_settings(helpers: Path) -> None:
    from autoperf.instrumentation.agentzero.memos import dotenv, git, tokens, yaml
    from autoperf.patching.sources import text_digest

    for name, function, known in (
        ("yaml.py", "loads", yaml.KNOWN),
        ("tokens.py", "count_tokens", tokens.KNOWN),
        ("dotenv.py", "get_dotenv_value", dotenv.KNOWN),
        ("git.py", "get_repo_release_info", git.OF_A_PATH),
        ("git.py", "get_git_info", git.OF_THE_HOST),
    ):
        source = (helpers / name).read_text() if (helpers / name).exists() else ""
        _, defined, rest = source.partition(f"def {function}(")
        if defined:
            known.add(text_digest(defined + rest.partition("\n\n\n")[0]))
