"""What an interpreter without autoperf says of it: a stderr that is full changes nothing for the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interpreters import TEMPLATE, Bench, bare_python
from tests.process.test_bootstrap import HOST, LAUNCH


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_stderr_leaves_the_exit_code_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(HOST)
    bench.path(TEMPLATE)
    words = ("bash", "-c", 'exec "$0" "$@" 2> /dev/full', bare_python(), "-c", LAUNCH, "host/run_ui.py")
    done = bench.run(*words)
    assert (done.code, done.out) == (0, "host runs\n")
