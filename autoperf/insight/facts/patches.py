"""What of autoperf's patches is in the host, what is lost, what that costs, and which features that leaves.

A row of a record has ``target``, ``feature``, ``state``, ``reason``, ``optional`` and ``foreign``: see
`patching.Applied`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from autoperf.errors.wording import printable
from autoperf.features import FEATURES, way_out

Row = Mapping[str, Any]
# There, but other code than is known; ours failed. The host's own code runs in its place.
LOST: Final = frozenset({"unrecognised", "failed"})
_UNWANTED: Final = frozenset({"off", "absent"})
# They do most of their work without a patch: samples and stalls.
_BESIDE_PATCHES: Final = frozenset({"monitor"})
# Of a feature; absent: this version of the host has nothing that it is for.
STATES: Final = ("on", "partly off", "off", "absent", "off by option")
# CPU time, bare beside autoperf, v0.9.8 to v2.6: docs/measurements.md, "Single seams" and "Parts".
COSTS: Final = {
    "tools": "tool classes are executed again at each use: get_tool takes 6 to 34 times as long",
    "extensions": "extension calls look all up again: one without extensions takes 4 to 13 times as long",
    "interventions": "an idle check for interventions takes 13 times as long from v0.9.9 on",
    "streaming": "each chunk parses the whole reply again: 350 to 400 times the work at 64 KB",
    "prompts": "prompt files are read again for each prompt: a main prompt takes 3 to 4 times as long",
    "paths": "an agent's folders are worked out at each call: get_paths takes 16 to 149 times as long",
    "client": "the model's client takes 5 to 10 times as long for each chunk",
    "mcp-keep": "each MCP call opens a session: it takes 74 to 112 times as long",
    "mcp-standby": "each MCP call starts its server: it takes 47 to 71 times as long",
    "trace": "nothing of it is in traces and statistics",
    "monitor": "use of local models is not told",
    "tool": "the agent's tool performance_optimizer is not offered here",
    "always": "our frames may show in error texts",
}


@dataclass(frozen=True)
class Loss:
    """One patch that is wanted and does nothing, or not all of its work: unrecognised or failed."""

    target: str
    feature: str
    state: str
    reason: str

    @property
    def text(self) -> str:
        """One line for a person; a failure of ours names what leaves it out."""
        out = f"; to leave it out: {way_out(self.feature)}" if self.state == "failed" else ""
        return printable(f"{self.target} is {self.state}: {self.reason}{out}")

    @property
    def cost(self) -> str:
        """What it means for the host."""
        return COSTS.get(self.feature) or f"not so here: {FEATURES.get(self.feature, self.feature)}"


@dataclass(frozen=True)
class Feature:
    """What a feature does in one process; ``state`` is one of `STATES`."""

    name: str
    state: str
    losses: tuple[Loss, ...] = ()
    reason: str = ""
    """Why it is off where nothing is lost by that: something else does what it is for."""

    @property
    def text(self) -> str:
        """What is lost of it, or why it is off, for a person."""
        if self.losses:
            return printable(f"{self.name} is {self.state}; {self.losses[0].cost}")
        return printable(f"{self.name} is {self.state}: {self.reason}") if self.reason else ""


@dataclass(frozen=True)
class Patches:
    """``applied`` of the ``wanted`` rows are in place; ``features`` are all there are, in their order."""

    applied: int
    wanted: int
    features: tuple[Feature, ...]
    problems: tuple[str, ...]

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """What is wanted and does nothing."""
        return tuple(loss for feature in self.features for loss in feature.losses)

    @property
    def text(self) -> str:
        """How many are in place, and which features are off for it: the same words everywhere."""
        parts = []
        for state in ("off", "partly off"):
            names = [printable(one.name) for one in self.features if one.losses and one.state == state]
            parts += [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {state}"] if names else []
        if not parts:
            return f"{self.applied} of {self.wanted} patches"
        where = " in this version" if all(loss.state == "unrecognised" for loss in self.losses) else ""
        return f"{self.applied} of {self.wanted} patches: {', '.join(parts)}{where} (autoperf doctor)"

    @property
    def lost(self) -> list[str]:
        """Each feature of which something is lost with what that costs, and its patches, a line each."""
        return self.lost_but(())

    def lost_but(self, told: Collection[str]) -> list[str]:
        """The same, without the patches of the targets ``told``."""
        lines = []
        for feature in self.features:
            losses = [loss.text for loss in feature.losses if loss.target not in told]
            lines += [feature.text, *losses] if losses else []
        return lines

    @property
    def notes(self) -> list[str]:
        """Each feature that is off though nothing of it is lost, and why."""
        return [feature.text for feature in self.features if feature.reason]

    def of(self, state: str) -> list[str]:
        """The names of the features in a state, for a person."""
        return [printable(feature.name) for feature in self.features if feature.state == state]

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "applied": self.applied,
            "wanted": self.wanted,
            "features": {feature.name: feature.state for feature in self.features},
            "losses": [
                {
                    "target": loss.target,
                    "feature": loss.feature,
                    "state": loss.state,
                    "reason": loss.reason,
                    "cost": loss.cost,
                }
                for loss in self.losses
            ],
            "problems": list(self.problems),
        }


def patches(record: Mapping[str, Any]) -> Patches:
    """Of the process of ``record``: rows that nobody waits for are in no count."""
    rows = record.get("patches") or []
    problems = tuple(
        printable(
            f"{row.get('target')} is inert: {row.get('reason') or 'no reason recorded'}; "
            f"to leave it out: {way_out(str(row.get('feature')))}"
        )
        for row in rows
        if row.get("state") == "inert"
    )
    applied = sum(row.get("state") == "applied" for row in rows)
    features = tuple(_features(rows, record.get("features") or ()))
    if _unwatched(record):
        idle = Feature("monitor", "off", reason="no monitor runs in this process")
        features = tuple(idle if one.name == "monitor" and not one.losses else one for one in features)
    return Patches(applied, sum(map(_wanted, rows)), features, problems)


def foreseen(seams: Iterable[Row], features: Collection[str]) -> Patches:
    """Of a run of a host with ``features`` on, by its source; of a seam see `agentzero.Seam`."""
    rows = [
        {
            **seam,
            "feature": feature,
            "state": "unrecognised" if seam["lost"] else "waiting" if seam["present"] else "absent",
        }
        for seam in seams
        for feature in seam["features"]
        if feature in features
    ]
    return patches({"patches": rows, "features": features})


def _unwatched(record: Mapping[str, Any]) -> bool:
    """Whether its monitor is wanted and never ran, as in a forked child."""
    monitor = record.get("monitor") or {}
    wanted = "monitor" in (record.get("features") or ())
    return wanted and monitor.get("running") is False and not monitor.get("sample")


def _features(rows: list[Row], switched_on: Iterable[str]) -> Iterable[Feature]:
    others = [str(row.get("feature")) for row in rows if row.get("state") in LOST]
    on = {*switched_on, *others}
    for name in dict.fromkeys([*FEATURES, *switched_on, *others]):
        if name in on:
            yield _feature(name, [row for row in rows if row.get("feature") == name])
        else:
            yield Feature(name, "off by option")


def _feature(name: str, rows: list[Row]) -> Feature:
    lost = tuple(
        Loss(str(row.get("target")), name, str(row["state"]), str(row.get("reason") or "no reason recorded"))
        for row in rows
        if row.get("state") in LOST
    )
    whole = name not in _BESIDE_PATCHES
    if lost:
        return Feature(name, "off" if whole and len(lost) == sum(map(_wanted, rows)) else "partly off", lost)
    states = {str(row.get("state")) for row in rows}
    if whole and states and states <= _UNWANTED:
        off = next((str(row.get("reason")) for row in rows if row.get("state") == "off"), "")
        return Feature(name, "off", reason=off) if off else Feature(name, "absent")
    return Feature(name, "on")


def _wanted(row: Row) -> bool:
    if row.get("state") == "waiting":
        return not (row.get("optional") or row.get("foreign"))
    return row.get("state") not in _UNWANTED
