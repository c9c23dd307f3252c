"""Why a loop stalled, by what was measured of it: its own code, a wait, the interpreter lock, the machine.

Where a thread lets go of the interpreter lock is where a sampler always finds it: a line on the stack of a
thread that had next to no CPU time is no cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

Cause = Literal["code", "wait", "lock", "starved", "throttled", "stolen", "stopped", "paging", ""]
# Of the stall: with less CPU time the loop's own code did not cause it.
WORKING: Final = 0.2
# Of the time that the loop's thread was off its CPU: what explains so much of it explains the stall.
_MOST: Final = 0.5
_READS: Final = 3
_NAMED: Final = 3


class Ran(NamedTuple):
    """Another thread that ran: its name, where it was, its CPU time (s), whether it waits for work."""

    thread: str
    place: str
    cpu: float
    waiting: bool = False


class Measured(NamedTuple):
    """What is known of one stall of ``seconds``; None is what this system does not tell.

    Of the loop's thread: ``cpu`` and the kernel's part of it, ``system`` (s), ``waits`` (how often it gave
    its CPU away by itself), ``faults`` and those read from a disk, ``reads``, and ``delayed`` (s), ready to
    run without a CPU. ``process`` is CPU time of all threads since the look before it (s), ``load`` the
    machine's, ``stolen`` and ``throttled`` the CPU time that hypervisor and control group kept back (s).
    ``held`` (s) is how long the monitor itself waited for the interpreter lock, ``stood`` how long it did not
    run for another reason. At so many of the looks the loop's thread was ``ready``: on a CPU, or waiting for
    one (0 - 1).
    """

    seconds: float
    cpu: float | None = None
    system: float | None = None
    waits: float | None = None
    faults: float | None = None
    reads: float | None = None
    delayed: float | None = None
    process: float | None = None
    load: float | None = None
    ready: float | None = None
    stolen: float | None = None
    throttled: float | None = None
    held: float | None = None
    stood: float | None = None


def cause(measured: Measured, ran: Sequence[Ran], switch_interval: float) -> Cause:
    """What stalled the loop; empty where too little is known. ``switch_interval``: the interpreter's (s)."""
    if measured.cpu is None:
        return ""
    off = max(0.0, measured.seconds - measured.cpu)
    if _paging(measured, off):
        return "paging"
    if measured.cpu >= WORKING * measured.seconds:
        return "code"
    if measured.waits is None:
        return ""
    # Whoever waits for the interpreter lock wakes at every switch interval to ask for it again.
    delayed, others = measured.delayed or 0.0, sum(one.cpu for one in ran)
    asks = measured.waits * switch_interval >= _MOST * (off - delayed)
    if asks and others >= max(WORKING * off, delayed):
        return "lock"
    by_machine = _machine(measured, off)
    if by_machine:
        return by_machine
    held = asks and (others >= WORKING * off or _explains(measured.held, off))
    return "lock" if held else "wait"


def _paging(measured: Measured, off: float) -> bool:
    reads, waits = measured.reads or 0, measured.waits or 0
    return reads >= _READS and reads > _MOST * waits and off >= _MOST * measured.seconds


def _machine(measured: Measured, off: float) -> Cause:
    # Both are of all CPUs: a thread that slept had no use for them.
    if (measured.ready or 0.0) >= _MOST:
        if _explains(measured.throttled, off):
            return "throttled"
        if _explains(measured.stolen, off):
            return "stolen"
    if _explains(measured.delayed, off):
        return "starved"
    return "stopped" if _explains(measured.stood, off) else ""


def _explains(seconds: float | None, off: float) -> bool:
    return seconds is not None and seconds >= _MOST * off


def holder(measured: Measured, ran: Sequence[Ran], unknown: float = 0.0) -> str:
    """Who held the interpreter lock in that stall, in words; empty where that is not known.

    That is who had the CPU; where nobody had, who was at work: a C function may wait with the lock held.
    ``unknown`` is CPU time of the process that no thread in ``ran`` had (s).
    """
    off = measured.seconds - (measured.cpu or 0.0)
    busy = max(ran, key=lambda one: one.cpu, default=None)
    if busy is not None and busy.cpu >= WORKING * off:
        return _named(busy)
    if unknown >= WORKING * off:
        return "a thread that has ended"
    at_work = [one for one in ran if not one.waiting]
    return " or ".join(map(_named, at_work)) if len(at_work) <= _NAMED else ""


def _named(one: Ran) -> str:
    return f"{one.thread} in {one.place}" if one.place else one.thread
