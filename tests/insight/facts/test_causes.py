"""What is said of a stall: the same words in ``top``, ``status``, the page and the tool."""

from __future__ import annotations

from typing import Any

import pytest

from autoperf.insight.facts.causes import MACHINE, at, on_cpu, told

PLACE = "helpers/state_monitor.py:9 mark_dirty"
STALL = {"seconds": 1.0, "stack": ["run_ui.py:1 poll", PLACE], "inside": "os.write"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cause": "code"}, PLACE),
        (
            {"cause": "code", "measured": {"cpu": 0.9, "system": 0.5, "faults": 9000}},
            f"{PLACE}, in page faults",
        ),
        ({"cause": "code", "measured": {"cpu": 0.9, "system": 0.1, "faults": 9000}}, PLACE),
        ({"cause": "code", "measured": {"cpu": 0.9, "system": 0.5, "faults": 900}}, PLACE),
        ({"cause": "wait"}, f"a wait in {PLACE}"),
        ({"cause": "wait", "stack": [], "inside": "time.sleep"}, "a wait in time.sleep"),
        (
            {"cause": "lock", "holder": "indexer in a.py:1 f"},
            "the interpreter lock, held by indexer in a.py:1 f",
        ),
        ({"cause": "lock"}, "the interpreter lock, held by an unknown thread"),
        ({"cause": "starved"}, "the machine: no CPU was free for it"),
        ({"cause": "paging"}, f"the machine: memory had to be read from the disk, in {PLACE}"),
        ({"cause": ""}, f"seen in {PLACE}"),
        ({}, f"seen in {PLACE}"),
    ],
)
def test_a_cause_in_words(changed: dict[str, Any], expected: str) -> None:
    assert told({**STALL, **changed}) == expected


@pytest.mark.parametrize("cause", ["lock", *(set(MACHINE) - {"paging"})])
def test_a_line_that_only_waited_is_not_named(cause: str) -> None:
    assert "mark_dirty" not in told({**STALL, "cause": cause})


def test_the_share_of_a_cpu_is_of_the_stalls_that_were_measured() -> None:
    assert at({}) == "an unknown place"
    assert on_cpu([]) == on_cpu([STALL]) == ""
    assert on_cpu([{**STALL, "measured": {"cpu": 0.2}}, STALL]) == "20.0 % of it on a CPU"
    assert on_cpu(
        [{"seconds": 3.0, "measured": {"cpu": 0.0}}, {"seconds": 1.0, "measured": {"cpu": 1.2}}]
    ) == ("30.0 % of it on a CPU")
