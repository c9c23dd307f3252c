"""What all tests share: a clock that stands still, and a place to put files."""

from __future__ import annotations

import pytest

from autoperf.errors import failures


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def ns(self) -> int:
        """The same moment as Unix time in nanoseconds."""
        return int(self.now * 1e9) + 7  # not a whole second: those are trusted later


@pytest.fixture
def clock() -> Clock:
    """A clock at 1,000 s."""
    return Clock()


@pytest.fixture(autouse=True)
def _no_failures_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_kinds", {})
    monkeypatch.setenv("AUTOPERF_RAISE", "1")  # so that no test passes over a defect of ours


@pytest.fixture
def fail_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests about failing open: our own failures are swallowed as they are in production."""
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")


@pytest.fixture(params=["looked at", "watched"])
def both_ways(request, monkeypatch):
    """Files are looked at every time, as they are at first; or watched from the first time on."""
    if request.param == "watched":
        monkeypatch.setattr("autoperf.memo.watch._PATIENCE", -1)
