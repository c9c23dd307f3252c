"""No server is left behind, however the process ends that kept it; also one that does not want to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mcp.client.stdio")

from tests.mcp_sessions import Diary, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and exec")]

PROCESS = """
import asyncio, os, signal, sys, time
from pathlib import Path
from tests import mcp_host
from tests.mcp_sessions import Diary, feature

diary = Diary(Path({folder!r}))
client = mcp_host.Client(diary.server({how!r}))
held = feature({name!r})
probe = held.__enter__()
print(asyncio.run(client.call_tool("count")), flush=True)
if {name!r} == "standby":
    while len(diary.lines("notifications/initialized")) < 2:
        time.sleep(0.01)
{end}
"""

ENDS = {
    "normally": "",
    "by an exception": "raise SystemExit(3)",
    "by os._exit": "os._exit(0)",
    "by exec": "os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(3)'])",
    "by SIGTERM": "print('waiting', flush=True); time.sleep(60)",
    "by undoing": "held.__exit__(None, None, None); print('undone', flush=True); time.sleep(60)",
}


# A server that does not heed the end of its input outlives a host that is killed, as it does bare.
KILLED = ("by os._exit", "by exec", "by SIGTERM")


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (end, how)
        for end in ENDS
        for how in ("obedient", "stubborn")
        if how == "obedient" or end not in KILLED
    ],
)
def test_the_server_ends_with_the_process(tmp_path: Path, end: str, how: str) -> None:
    name = "standby" if how == "obedient" else "keep"
    source = textwrap.dedent(PROCESS).format(folder=str(tmp_path), how=how, name=name, end=ENDS[end])
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        if end in ("by SIGTERM", "by undoing"):
            assert process.stdout.readline()
        if end == "by SIGTERM":
            process.send_signal(signal.SIGTERM)
        if end == "by exec":
            until(lambda: not Diary(tmp_path).running(), 10)
            assert process.poll() is None, "the new program goes on"
        elif end != "by undoing":
            assert process.wait(20) == {"by SIGTERM": -signal.SIGTERM, "by an exception": 3}.get(end, 0)
        until(lambda: not Diary(tmp_path).running(), 5)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert Diary(tmp_path).lines("begins")
