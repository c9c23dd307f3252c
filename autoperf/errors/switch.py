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

    __slots__ = ("aside", "failed", "on")

    def __init__(self) -> None:
        self.on = True
        self.failed = 0  # how often ours failed behind it
        self.aside: tuple[str, str] | None = None

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """Its row is ``state``: unrecognised (other code than is known), failed (ours) or off."""
        self.aside = state, reason

    def act_again(self) -> None:
        """What was in its way is gone."""
        self.aside = None


class Together:
    """Rows that rely on each other.

    What the rows ``names`` note for others holds only while each of them acts and none fails.
    """

    def __init__(self, *names: str) -> None:
        self._noting: dict[str, Switch | None] = dict.fromkeys(names)
        self._switches: list[Switch] = []
        self._aside: tuple[str, str] | None = None

    def joins(self, name: str, switch: Switch) -> None:
        """The row ``name``, one that notes or one that relies on it, is about to be applied."""
        if name in self._noting:
            self.act_again()  # its module was executed again
            self._noting[name] = switch
        switch.aside = self._aside
        self._switches.append(switch)

    def stand_aside(self, reason: str, state: str = "unrecognised") -> None:
        """See `Switch`: all of them do."""
        if self._aside != (state, reason):
            self.act_again()
            self._aside = state, reason
            for switch in self._switches:
                switch.aside = switch.aside or self._aside

    def act_again(self) -> None:
        """What was in their way is gone."""
        aside, self._aside = self._aside, None
        if aside is not None:
            for switch in self._switches:
                if switch.aside is aside:
                    switch.act_again()

    def state(self) -> int | None:
        """Another number once one that notes has failed; None while one of them does not act."""
        failed = 0
        for name, switch in self._noting.items():
            if switch is None or not switch.on:
                if self._aside is None:
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
