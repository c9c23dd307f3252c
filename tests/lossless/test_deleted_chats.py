"""What the host lets go of is gone: nothing of it lives on in contexts that timers and tasks copied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.telemetry.store.store import Store

TESTS = Path(__file__).resolve().parents[1]
HOSTS = ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"]
OURS = ("Stream", "Reading", "Work")


def left(host: str, folder: Path, **environment: str) -> dict[str, int]:
    """What is alive once every chat has been deleted, by kind."""
    out = folder / "alive.json"
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    subprocess.run(
        [sys.executable, TESTS / "hosts" / "deleted_chats.py", TESTS / "hosts" / host, out],
        env={**clean, **environment},
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    found: dict[str, int] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("features", ["all", "+throttle"])
@pytest.mark.parametrize("host", HOSTS)
def test_no_more_of_a_deleted_chat_is_alive_than_without_us(tmp_path: Path, host: str, features: str) -> None:
    bare = left(host, tmp_path)
    assert not {"Agent", "AgentContext"} & bare.keys(), "the host itself lets go of them"
    path = os.pathsep.join([str(TESTS.parent / "sitecustomize_template"), str(TESTS.parent)])
    home = tmp_path / "home"
    ours = {"PYTHONPATH": path, "AUTOPERF_HOME": str(home), "AUTOPERF_FEATURES": features}
    more: dict[str, int] = {}
    for _ in range(3):  # what the host is about to let go of may be there still
        found = left(host, tmp_path, **ours)
        more = {kind: count for kind, count in found.items() if count > bare.get(kind, 0)}
        if not more:
            break
    with Store.open(home) as store:
        assert store.traces(), "it was instrumented"
    assert more == {}
