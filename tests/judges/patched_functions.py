"""How patched functions look to `inspect`: python patched_functions.py HOST_DIR; prints JSON.

Patches every seam of one look-alike, of litellm and of openai where they are installed, and tells what is
seen of each patched function that is not so of the original: ``{"target": ["name: was -> is", ...]}``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError) as error:
        return type(error).__name__


# What a host, an extension or a framework asks of a function before it calls it.
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "inspect.iscoroutinefunction": inspect.iscoroutinefunction,
    "asyncio.iscoroutinefunction": asyncio.iscoroutinefunction,
    "inspect.isgeneratorfunction": inspect.isgeneratorfunction,
    "inspect.isasyncgenfunction": inspect.isasyncgenfunction,
    "callable": callable,
    "signature": lambda function: str(inspect.signature(function)),
    "__name__": lambda function: function.__name__,
    "__qualname__": lambda function: function.__qualname__,
    "__module__": lambda function: function.__module__,
    "__doc__": lambda function: function.__doc__,
    "__annotations__": lambda function: repr(function.__annotations__),
    "source": _source,
    "type parameters": lambda function: repr(getattr(function, "__type_params__", ())),
    "attributes": lambda function: sorted(set(vars(function)) - {"__wrapped__"}),
}


def differences(original: Any, patched: Any) -> list[str]:
    """What ``patched`` answers otherwise than ``original``; a module is asked for nothing."""
    if isinstance(original, (staticmethod, classmethod)):
        if type(patched) is not type(original):
            return [f"kind: {type(original).__name__} -> {type(patched).__name__}"]
        original, patched = original.__func__, patched.__func__
    if not callable(original) or isinstance(original, type):
        return []
    found = []
    for name, question in QUESTIONS.items():
        was, is_now = _answer(question, original), _answer(question, patched)
        if was != is_now:
            found.append(f"{name}: {_brief(was)} -> {_brief(is_now)}")
    return found


def _answer(question: Callable[[Any], Any], function: Any) -> Any:
    try:
        return question(function)
    except Exception as error:
        return type(error).__name__


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def patched(root: Path, package: str, features: str) -> Any:
    """The rows of the host in ``root``, each applied as its module is imported here."""
    sys.path[:0] = [str(root), str(TESTS / "hosts")]
    from introduction import introduce

    import autoperf
    from autoperf.features import parse_features

    introduce(root, package)
    runtime = autoperf.instrument(
        root, features=parse_features(features), quiet=True, home=Path(tempfile.mkdtemp())
    )
    assert runtime is not None
    for row in runtime.patches.rows:
        try:
            importlib.import_module(row.patch.module)
        except ImportError:
            continue  # what some generations or machines lack is no patch
    return runtime


def main(host: Path) -> int:
    from autoperf.features import ON_REQUEST
    from tests.hosts.generations import GENERATIONS

    runtime = patched(
        host, GENERATIONS[host.name].package, ",".join(f"+{name}" for name in sorted(ON_REQUEST))
    )
    told = {
        row.patch.target: differences(row.raw, row.replacement)
        for row in runtime.patches.rows
        if row.state == "applied"
    }
    runtime.stop()
    print(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS.parent))
    sys.exit(main(Path(sys.argv[1]).resolve()))
