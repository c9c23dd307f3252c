"""What is said on stderr, and which failures are ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from autoperf.errors import Failures


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stderr_does_not_change_the_exit_code() -> None:
    with open("/dev/full", "w") as full:
        code = "from autoperf.errors import say; say('x' * 10)"
        assert subprocess.run([sys.executable, "-c", code], stderr=full).returncode == 0


def test_a_stack_that_the_host_has_used_up_is_no_failure_of_ours() -> None:
    failures = Failures(quiet=True)

    def ours() -> None:
        def inner() -> None:
            raise RecursionError("maximum recursion depth exceeded")

        try:
            inner()
        except RecursionError as error:
            failures.record("seam", error)

    ours()
    assert failures.as_rows() == []


def test_a_recursion_of_ours_is_one() -> None:
    failures = Failures(quiet=True)

    def endless() -> None:
        endless()

    with pytest.raises(RecursionError) as caught:
        endless()
    assert failures.record("seam", caught.value) == 1
