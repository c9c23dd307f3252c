"""What a stall is put down to, by readings that are made: each cause, and what is next to it."""

from __future__ import annotations

from typing import Any

import pytest

from autoperf.monitor.causes import Measured, Ran, cause, holder

INTERVAL_S = 0.005
QUIET = {"system": 0.0, "waits": 2, "faults": 0, "reads": 0, "delayed": 0.0, "held": 0.0, "stood": 0.0}
WAITS = Measured(1.0, cpu=0.01, **QUIET)
# One that waits for the interpreter lock wakes 200 times a second.
ASKS = WAITS._replace(waits=190)
BUSY = Ran("indexer", "a.py:1 f", 0.9)
IDLE = Ran("MainThread", "threading.wait", 0.001, waiting=True)


def said(measured: Measured, *ran: Ran) -> str:
    return cause(measured, ran, INTERVAL_S)


@pytest.mark.parametrize(
    ("changed", "ran", "expected"),
    [
        ({"cpu": 0.2}, [], "code"),
        ({"cpu": 0.19}, [], "wait"),
        ({"cpu": 0.9, "waits": 190}, [BUSY], "code"),
        ({}, [], "wait"),
        ({}, [BUSY], "wait"),
        ({"waits": 190}, [BUSY], "lock"),
        ({"waits": 60}, [BUSY], "wait"),
        ({"waits": 190}, [IDLE], "wait"),
        ({"waits": 190, "held": 0.8}, [IDLE], "lock"),
        ({"waits": 2, "held": 0.8}, [IDLE], "wait"),
        ({"waits": 190, "held": 0.3}, [IDLE], "wait"),
        ({"waits": 190}, [BUSY._replace(cpu=0.1)] * 5, "lock"),
        ({"waits": 190}, [BUSY._replace(cpu=0.15)], "wait"),
        # The machine was busy too: what there was more of.
        ({"waits": 100, "delayed": 0.4}, [BUSY._replace(cpu=0.5)], "lock"),
        ({"waits": 90, "delayed": 0.6}, [BUSY._replace(cpu=0.3)], "starved"),
        ({"delayed": 0.6}, [], "starved"),
        ({"cpu": 0.15, "delayed": 0.8, "waits": 0}, [], "starved"),
        ({"delayed": 0.4}, [], "wait"),
        ({"stolen": 0.8, "ready": 1.0}, [], "stolen"),
        ({"stolen": 0.8, "ready": 0.0}, [], "wait"),
        ({"stolen": 0.8, "ready": None}, [], "wait"),
        ({"throttled": 0.8, "ready": 1.0, "delayed": 0.8}, [], "throttled"),
        ({"throttled": 0.8, "ready": 0.2}, [], "wait"),
        ({"stood": 0.6}, [], "stopped"),
        ({"stood": 0.4}, [], "wait"),
        ({"waits": 400, "reads": 380}, [], "paging"),
        ({"cpu": 0.4, "waits": 400, "reads": 380}, [], "paging"),
        ({"cpu": 0.6, "waits": 400, "reads": 380}, [], "code"),
        ({"waits": 400, "reads": 20}, [], "wait"),
        ({"waits": 2, "reads": 2}, [], "wait"),
        ({"cpu": 0.9, "system": 0.8, "faults": 200_000}, [], "code"),
    ],
)
def test_what_was_measured_names_the_cause(changed: dict[str, Any], ran: list[Ran], expected: str) -> None:
    assert said(WAITS._replace(**changed), *ran) == expected


def test_a_system_that_tells_less_accuses_nobody() -> None:
    assert said(Measured(1.0), BUSY) == ""
    assert said(Measured(1.0, cpu=0.01), BUSY) == ""
    assert said(Measured(1.0, cpu=0.5)) == "code"


def test_another_switch_interval_changes_how_often_one_asks() -> None:
    assert cause(WAITS._replace(waits=20), [BUSY], 0.05) == "lock"
    assert cause(WAITS._replace(waits=20), [BUSY], 0.005) == "wait"


@pytest.mark.parametrize(
    ("ran", "unknown", "expected"),
    [
        ([IDLE, BUSY, BUSY._replace(thread="other", cpu=0.3)], 0.0, "indexer in a.py:1 f"),
        ([IDLE], 0.6, "a thread that has ended"),
        # Nobody had the CPU: a function in C waited with the lock held.
        ([IDLE, BUSY._replace(cpu=0.002)], 0.0, "indexer in a.py:1 f"),
        (
            [BUSY._replace(cpu=0.002), BUSY._replace(thread="x", place="", cpu=0.001)],
            0.0,
            "indexer in a.py:1 f or x",
        ),
        ([BUSY._replace(thread=str(n), cpu=0.002) for n in range(4)], 0.0, ""),
        ([IDLE], 0.0, ""),
        ([], 0.0, ""),
    ],
)
def test_who_held_the_lock(ran: list[Ran], unknown: float, expected: str) -> None:
    assert holder(ASKS, ran, unknown) == expected
