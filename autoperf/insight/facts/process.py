"""One process and everything that is said of it: the readers of a record ask here, and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoperf.errors import told
from autoperf.errors.wording import printable
from autoperf.insight.facts.caches import Cache, caches
from autoperf.insight.facts.cost import Cost, costs
from autoperf.insight.facts.drops import drops
from autoperf.insight.facts.ending import Ending, ending
from autoperf.insight.facts.host import version
from autoperf.insight.facts.patches import Patches, patches
from autoperf.insight.facts.stalls import Stalls, stalls


@dataclass(frozen=True)
class Process:
    """The process of ``record`` at ``now`` (s since the epoch).

    ``life`` is what the system says of its pid (see `ending`), ``stored_stalls`` are those in the store,
    oldest first.
    """

    record: Mapping[str, Any]
    life: str
    now: float
    stored_stalls: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def ending(self) -> Ending:
        """How it is, or how it ended."""
        return ending(self.record, self.life, self.now)

    @cached_property
    def patches(self) -> Patches:
        """What was put into the host, and which features work."""
        return patches(self.record)

    @property
    def version(self) -> str:
        """The host's version, as it is shown everywhere."""
        return printable(version(self.record))

    @cached_property
    def caches(self) -> dict[str, Cache]:
        """What each cache and memo did."""
        return caches(self.record)

    @cached_property
    def stalls(self) -> Stalls:
        """The stalls of its event loops."""
        return stalls(self.record, self.stored_stalls)

    @cached_property
    def cost(self) -> Cost | None:
        """What autoperf took of the CPU in it; None where it did not measure that."""
        return costs(self.record)

    @cached_property
    def drops(self) -> list[str]:
        """What it measured and could not keep or send."""
        return drops(self.record)

    @cached_property
    def failures(self) -> list[str]:
        """Each failure of autoperf that was passed over, once a place."""
        return [printable(told(one)) for one in self.record.get("failures") or ()]

    @cached_property
    def problems(self) -> list[str]:
        """What needs attention beside lost patches: `autoperf doctor` ends with 1 where there is any."""
        hangs = [self.ending.trouble] if self.ending.running and self.ending.trouble else []
        return [*self.patches.problems, *self.failures, *hangs]

    @cached_property
    def notes(self) -> list[str]:
        """What is worth knowing and no fault of autoperf's: what was dropped, and an end that was none."""
        lost = [self.ending.trouble] if not self.ending.running and self.ending.trouble else []
        return [*self.patches.notes, *self.drops, *lost]

    @property
    def well(self) -> bool:
        """Whether there is nothing to tell but that all is well."""
        return not self.patches.losses and not self.problems and not self.notes

    @property
    def heading(self) -> str:
        """Which process it is, of which host, and how it is or ended."""
        version = f"; Agent Zero {self.version}" if self.version else ""
        return f"process {self.record.get('pid', '?')} {self.ending.text}{version}"

    @property
    def lines(self) -> list[str]:
        """One line on it, and one for each problem and note."""
        said = f"{self.heading}; {self.patches.text}"
        return [said, *(f"! {text}" for text in (*self.patches.lost, *self.problems, *self.notes))]

    def as_row(self) -> dict[str, Any]:
        """The record, with what is decided from it under ``facts``."""
        return {
            **self.record,
            "running": self.ending.running,
            "facts": {
                "state": self.ending.state,
                "version": self.version,
                "seconds": self.ending.seconds,
                "patches": self.patches.as_row(),
                "caches": {name: one.as_row() for name, one in self.caches.items()},
                "stalls": self.stalls.total,
                "cost": None if self.cost is None else self.cost.as_row(),
                "drops": self.drops,
                "failures": self.failures,
                "problems": self.problems,
                "notes": self.notes,
            },
        }
