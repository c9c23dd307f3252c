"""Files named in a growing reply: a text without the mark of one is not searched by pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

# By the function's source; the tags of the original that carry it.
KNOWN: Final = {
    "42e743a4eb19d7a97b9b734bff271fe0df64ffadc5ba1ebaa0cda6ee466a2dce",  # v0.9.5 - v0.9.6
    "ad2214d2aed9fd66aef10fc5d3999b5ade87ec43e351ade785374a00a6f485df",  # v0.9.7 - v2.6
}
PATTERN: Final = r"§§include\(([^)]+)\)"
# Without this the pattern matches nothing, and `re.sub` gives a text back as it is.
_MARK: Final = "§§include("

Replace = Callable[..., Any]


def rows(
    targets: Mapping[str, str], probe: Probe
) -> Iterator[tuple[str, Callable[[Replace, Switch], Shortcut]]]:
    """For the function that puts files into a reply in place of their marks (v0.9.5 on)."""
    del probe
    if "includes" in targets:
        yield targets["includes"], replacing


def replacing(original: Replace, _switch: Switch) -> Shortcut:
    """A growing reply is looked through for every chunk of it, and hardly any includes a file."""
    expect_parameters(original, "text", "placeholder_pattern")
    if digest(original) not in KNOWN:
        raise AutoperfError("another way to include files than the ones that are known")

    def replace_file_includes(text: Any, placeholder_pattern: Any = PATTERN) -> Any:
        plain = type(text) is str and placeholder_pattern == PATTERN and not _marked(text)
        return text if plain else MISS

    return Shortcut(replace_file_includes)


def _marked(text: str) -> bool:
    # The first two take next to nothing: a flag of the text, and a search for a single character.
    return not text.isascii() and _MARK[0] in text and _MARK in text
