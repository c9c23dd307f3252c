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

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """It is off from now on."""


class Switch:
    """Tells a wrapper whether it is to act; off, it must pass straight through to the original.

    A wrapper that finds out only in use that it cannot do its part passes through as well and says so by
    `stand_aside`: its row counts as lost, with that ``(state, reason)``, until `act_again`.
    """

    __slots__ = ("_own", "_together", "failed", "on")

    def __init__(self) -> None:
        self.on = True
        self.failed = 0  # how often ours failed behind it
        self._own: tuple[str, str] | None = None
        self._together: Together | None = None

    @property
    def aside(self) -> tuple[str, str] | None:
        """State and reason while it stands aside: its own, or that of the rows it relies on."""
        return self._own if self._own or self._together is None else self._together.aside

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """Its row is ``state``: unrecognised (other code than is known), failed (ours) or off."""
        self._own = state, reason

    def act_again(self) -> None:
        """What was in its own way is gone; one that was switched off stays so."""
        if self.on:
            self._own = None

    def relies_on(self, together: Together) -> None:
        """It stands aside whenever they do."""
        self._together = together


class Together:
    """Rows that rely on each other.

    What the rows ``names`` note for others holds only while each of them acts and none fails.
    """

    def __init__(self, *names: str) -> None:
        self._noting: dict[str, Switch | None] = dict.fromkeys(names)
        self.aside: tuple[str, str] | None = None

    def joins(self, name: str, switch: Switch) -> None:
        """The row ``name``, one that notes or one that relies on it, is about to be applied."""
        if name in self._noting:
            self.act_again()  # its module was executed again
            self._noting[name] = switch
        switch.relies_on(self)

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """See `Switch`: all of them do."""
        self.aside = state, reason

    def act_again(self) -> None:
        """What was in their way is gone."""
        self.aside = None

    def state(self) -> int | None:
        """Another number once one that notes has failed; None while one of them does not act."""
        failed = 0
        for name, switch in self._noting.items():
            if switch is None or not switch.on:
                if self.aside is None:
                    self.stand_aside(
                        f"it relies on the patch of {name}, which does not act",
                        "unrecognised" if switch is None else "failed",
                    )
                return None
            failed += switch.failed
        return failed


class _Always:
    on = True
    failed = 0

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """Never: nothing switches it off."""


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
        switch.stand_aside(f"switched off after {DISABLE_AFTER_FAILURES} failures", "failed")
    if raises_under_test():
        raise error
