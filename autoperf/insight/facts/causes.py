"""What stalled an event loop, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from autoperf.errors.wording import percent

# Of the causes that `monitor.causes` knows, those in which no code of anybody's blocked the loop.
MACHINE: Final[Mapping[str, str]] = {
    "starved": "no CPU was free for it",
    "throttled": "the container's CPU limit was used up",
    "stolen": "its CPUs were given to other machines",
    "stopped": "the process stood still",
    "paging": "memory had to be read from the disk",
}
_FAULTS: Final = 5_000
_KERNEL: Final = 0.5


def told(stall: Mapping[str, Any]) -> str:
    """What stalled the loop: a line of the host's that did work, a wait, a holder of the lock, the machine.

    Where the cause is not known, it is where the loop was seen.
    """
    cause = stall.get("cause") or ""
    if cause in MACHINE:
        return f"the machine: {MACHINE[cause]}{f', in {at(stall)}' if cause == 'paging' else ''}"
    if cause == "lock":
        return f"the interpreter lock, held by {stall.get('holder') or 'an unknown thread'}"
    place = at(stall)
    if cause == "wait":
        return f"a wait in {place}"
    if cause == "code":
        return f"{place}, in page faults" if _faults(stall) else place
    return f"seen in {place}"


def at(stall: Mapping[str, Any]) -> str:
    """The host's innermost line on the loop's stack, else the function outside of it."""
    stack = stall.get("stack") or ()
    return str(stack[-1] if stack else stall.get("inside") or "an unknown place")


def on_cpu(stalls: Iterable[Mapping[str, Any]]) -> str:
    """How much of the time of ``stalls`` the loop's thread was on a CPU, in words; "" where nothing tells."""
    pairs = [((one.get("measured") or {}).get("cpu"), float(one.get("seconds") or 0.0)) for one in stalls]
    known = [(cpu, seconds) for cpu, seconds in pairs if cpu is not None]
    seconds = sum(seconds for _, seconds in known)
    return (
        f"{percent(min(1.0, sum(cpu for cpu, _ in known) / seconds))} of it on a CPU" if seconds > 0 else ""
    )


def _faults(stall: Mapping[str, Any]) -> bool:
    measured = stall.get("measured") or {}
    cpu, system, faults = (measured.get(name) or 0.0 for name in ("cpu", "system", "faults"))
    return bool(cpu) and system >= _KERNEL * cpu and faults >= _FAULTS * float(stall.get("seconds") or 0.0)
