"""Whether a wrapper is to act, and what becomes of it when it fails."""

from __future__ import annotations

from typing import Final, Protocol

from autoperf.errors import failures, raises_under_test
from autoperf.errors.frames import raised_by_us

DISABLE_AFTER_FAILURES: Final = 20


class Acting(Protocol):
    """Tells whether a wrapper is to act, and how often it has failed."""

    on: bool
    failed: int


class _Always:
    on = True
    failed = 0


ALWAYS: Final[Acting] = _Always()


def failed(seam: str, error: Exception, switch: Acting | None = None) -> None:
    """Count a failure of ours; a patch that goes on failing is switched off. Raises it again under pytest.

    What code of the host's raised that we asked is none: the host meets it when it asks itself.
    """
    if not raised_by_us(error.__traceback__):
        return
    if switch is not None and switch is not ALWAYS:
        switch.failed += 1
    beyond = failures.record(seam, error) >= DISABLE_AFTER_FAILURES
    if beyond and switch is not None and switch is not ALWAYS:
        switch.on = False
    if raises_under_test():
        raise error
