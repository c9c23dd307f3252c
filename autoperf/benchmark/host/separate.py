"""A measurement made by a process of its own, which tells it as JSON on its last line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.process import HostError


def told(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], what: str, timeout: float
) -> Any:
    """What ``command``, run in ``folder`` for at most ``timeout`` seconds, tells; ``what`` was to be timed.

    Raises ``HostError`` with the end of its stderr when it told nothing.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"the {what} were not timed within {timeout:g} s") from None
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise HostError(f"the {what} could not be timed: {done.stderr.strip()[-1000:]}") from None
