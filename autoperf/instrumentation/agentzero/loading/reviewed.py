"""Modules of the host that were read line by line: nothing is kept from one execution to the next."""

from __future__ import annotations

from typing import Final

from autoperf.patching.sources import text_digest

# code_execution_tool.py: data classes that are made, never compared; tables and patterns that are only read.
STATELESS: Final = frozenset(
    {
        "7063cd8e454c5fb1bf8d47ddfe7a2b63598c8e8e8e81bdf8d3ccec0bbda2d257",  # v0.9.4
        "8bc0f70cab9696cd86f3623cff82ed6fd9e196e1e36593dff9d4411770eb8cbe",  # v0.9.5 - v0.9.6
        "d2209bf0d5c9335e049d16bf973f7261249afec4a4db9dfbda073e998f620242",  # v0.9.7
        "bc764cc267b25c0571ae025ef3dca57dfec98aec1bdd9e6de5b0a43e9e801f65",  # v0.9.8
        "d37d441f9dfacb1a1a766c194361c6a55c50b6b4d8bdf07ddb350b9e978904c2",  # v0.9.9 - v1.7
        "13644325e22377d1f5a4b0f4697073f4a28ac4783d2e6e29b1e89ce1393e837b",  # v2.6
    }
)


def stateless(source: bytes) -> bool:
    """Whether this very source is one of them."""
    try:
        return text_digest(source.decode("utf-8")) in STATELESS
    except UnicodeDecodeError:
        return False
