"""How many measurements a comparison needs."""

from __future__ import annotations

from typing import Final

# Below this many on either side the normal approximation of a rank test says nothing.
FEWEST: Final = 8


def enough(first: float, second: float) -> bool:
    """Whether so many measurements on either side can be compared."""
    return min(first, second) >= FEWEST


TOO_FEW: Final = "too few to tell"
NEEDED: Final = f"a comparison needs {FEWEST} measurements on either side"
