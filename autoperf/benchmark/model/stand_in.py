"""Puts the fake model into a run copy of a host, in place of its client, alike in every run."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.model import fake

_NAME = "autoperf_fake_model"
# Where the generations import the client's function by name; what comes later in a module wins.
_USERS = ("models.py", "helpers/litellm_transport.py")
_IMPORT = f"\n\nfrom {_NAME} import acompletion  # the benchmark's\n"


def install(folder: Path, chunk_size: int) -> None:
    """Let the copy in ``folder`` take its replies from `fakemodel`, ``chunk_size`` characters a chunk.

    Raises ``HostError`` where the host does not call litellm's ``acompletion`` (to v0.9.0).
    """
    users = [path for name in _USERS if (path := folder / name).is_file() and _calls(path)]
    if not users:
        raise HostError("the fake model stands in for litellm, and this version does not use it")
    shutil.copyfile(fake.__file__, folder / f"{_NAME}.py")
    (folder / f"{_NAME}.size").write_text(str(chunk_size), encoding="utf-8")
    for path in users:
        with path.open("a", encoding="utf-8") as source:
            source.write(_IMPORT)


def tenths(folder: Path) -> list[float]:
    """CPU seconds a chunk, tenth by tenth, of the last long reply; empty if there was none."""
    marks = folder / f"{_NAME}.marks"
    if not marks.is_file():
        return []
    read = json.loads(marks.read_text(encoding="utf-8"))
    return [(later - cpu) / (after - before) for (before, cpu), (after, later) in itertools.pairwise(read)]


def _calls(path: Path) -> bool:
    return "acompletion" in path.read_text(encoding="utf-8")
