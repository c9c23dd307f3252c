"""Each kind of stall is put down to what it came from: five of each; `stalls.py` alone judges twenty."""

from __future__ import annotations

import sys

import pytest

from tests.judges.stalls import SCENARIOS, UnfitError, judge

TIMES = 5


@pytest.mark.judge
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_stall_of_a_known_cause_is_named_rightly(scenario: str) -> None:
    try:
        right, said = judge(scenario, TIMES)
    except UnfitError as error:
        pytest.skip(str(error))
    assert sum(said.values()) == TIMES
    assert right >= TIMES - 1, said
