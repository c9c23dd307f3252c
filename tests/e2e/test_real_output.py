"""The functions of real checkouts that feature ``output`` relies on are the ones it knows.

``AUTOPERF_AGENT_ZERO`` names a folder of checkouts; without it these tests are skipped.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Container
from pathlib import Path

import pytest

from autoperf.instrumentation.agentzero import detect
from autoperf.instrumentation.agentzero.layout import Source
from autoperf.instrumentation.agentzero.logging import log_text, masking
from autoperf.patching.sources import text_digest

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []
KNOWN: dict[str, Container[str]] = {
    "mask_method": masking.METHODS,
    "mask_function": masking.FUNCTIONS,
    "includes": log_text.KNOWN,
}
BESIDE: dict[str, Container[str]] = {
    "secrets:get_secrets_manager": masking.LOOKUPS,
    **{f"secrets:SecretsManager.{name}": known for name, known in masking.MANAGERS.items()},
}

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


def source_of(root: Path, target: str) -> str:
    """The digest of a function's source, decorators included; as `autoperf.patching.sources.digest`."""
    module, _, name = target.partition(":")
    text = root.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    body, found = ast.parse(text).body, None
    for part in name.split("."):
        found = next(node for node in body if getattr(node, "name", None) == part)
        body = found.body if isinstance(found, ast.ClassDef) else []
    assert isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef))
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    return text_digest("\n".join(text.splitlines()[first - 1 : found.end_lineno]))


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_every_function_is_known(checkout: Path) -> None:
    layout = detect(checkout)
    assert layout is not None
    source, places = Source(checkout), layout.more.get("output", {})
    package = "helpers" if (checkout / "helpers").is_dir() else "python.helpers"
    wanted = {places[name]: known for name, known in KNOWN.items() if name in places}
    wanted |= {f"{package}.{name}": known for name, known in BESIDE.items()}
    present = [target for target in wanted if source.defines(target)]
    log = checkout.joinpath(*package.split("."), "log.py").read_text(encoding="utf-8")
    assert bool(present) == ("_mask_recursive" in log)  # from v0.9.5 on
    assert [target for target in present if source_of(checkout, target) not in wanted[target]] == []
