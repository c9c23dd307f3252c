"""The lightest fence: whatever fails before or after the host's function, it happens once, as it is."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.errors.around import SKIP, Around
from autoperf.errors.switch import DISABLE_AFTER_FAILURES
from autoperf.patching.patch import Switch, replacement
from tests.errors.test_fence import SEAM, Host, ended, fails

pytestmark = pytest.mark.usefixtures("fail_open")


class Begun:
    """Notes what it is told of the end, and fails then if it is to."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.told: list[BaseException | None] = []

    def end(self, error: BaseException | None) -> None:
        self.told.append(error)
        if self.failing:
            fails()


def patched(host: Host, kind: str, before: Any, switch: Switch | None = None) -> Any:
    return replacement(host.function(kind), lambda *_: Around(before), switch or Switch(), SEAM)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("when", ["before", "after", "never"])
@pytest.mark.parametrize("kind_of_outcome", [str, ValueError, KeyboardInterrupt])
def test_the_host_function_happens_once_and_its_outcome_is_all_that_is_seen(kind, when, kind_of_outcome):
    outcome, begun, asked = kind_of_outcome("the host's"), Begun(failing=when == "after"), []

    def before(*args: Any, **kwargs: Any) -> Begun:
        asked.append((args, kwargs))
        if when == "before":
            fails()
        return begun

    host = Host(outcome)
    result = ended(patched(host, kind, before), 1, two=2)
    assert host.calls == asked == [((1,), {"two": 2})]
    raised = outcome if isinstance(outcome, BaseException) else None
    if raised is None:
        assert result == outcome
    else:
        error, frames, context = result
        assert (error, context) == (raised, None)
        if sys.version_info >= (3, 11):
            assert frames[-2:] == ["plain" if kind == "sync" else "coroutine", "ends"]
            assert not {"synchronous", "asynchronous", "end"} & set(frames)
    assert begun.told == ([] if when == "before" else [raised])
    assert failures.of(SEAM) == (when != "never")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_interruption_before_the_function_is_no_failure_and_passes(kind):
    def before() -> None:
        raise KeyboardInterrupt

    host = Host("answer")
    error, _, _ = ended(patched(host, kind, before))
    assert type(error) is KeyboardInterrupt
    assert (host.calls, failures.of(SEAM)) == ([], 0)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_would_have_no_effect_is_not_called_and_what_tells_nothing_is(kind):
    host, answers = Host("answer"), [SKIP, None]
    function = patched(host, kind, lambda: answers.pop(0))
    assert ended(function) is None
    assert host.calls == []
    assert ended(function) == "answer"
    assert len(host.calls) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_one_that_goes_on_failing_is_switched_off(kind):
    host, switch, asked = Host("answer"), Switch(), []

    def before() -> None:
        asked.append(1)
        fails()

    function = patched(host, kind, before, switch)
    for _ in range(DISABLE_AFTER_FAILURES + 5):
        assert ended(function) == "answer"
    assert (len(asked), switch.on) == (DISABLE_AFTER_FAILURES, False)
