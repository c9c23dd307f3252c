"""The monitor in real processes: a leak, children left over, a control group's limit, a blocked host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoperf.insight.compare.trends import trend
from autoperf.monitor.readings import Readings

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
GROUPS = Path("/sys/fs/cgroup/memory")
MIB = 1 << 20

BEGIN = """
import json, sys, time
from pathlib import Path
from autoperf.monitor import Monitor, Readings, Stalls
root = Path(sys.argv[1])
"""


def started(tmp_path: Path, body: str) -> subprocess.Popen[str]:
    script = tmp_path / "process.py"
    script.write_text(BEGIN + textwrap.dedent(body))
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def told(process: subprocess.Popen[str], line: str = "") -> Any:
    out, _ = process.communicate(line, timeout=120)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is what is touched on Linux")
def test_the_slope_of_a_real_leak_is_found_within_five_percent(tmp_path: Path) -> None:
    # Its own clock tells how fast it leaked: nothing depends on how fast this machine is.
    process = started(
        tmp_path,
        """
        readings, leaked, rows = Readings(root), [], []
        for number in range(120):
            leaked.append(b"x" * (1 << 20))
            rows.append((number, readings._usage()["memory"]))
        print(json.dumps(rows))
        """,
    )
    rows = told(process)
    found = trend([at for at, _ in rows], [memory for _, memory in rows])
    assert found is not None
    assert found.grows
    assert found.slope == pytest.approx(MIB, rel=0.05)
    assert found.low <= found.slope <= found.high
    assert found.low <= 1.05 * MIB
    assert found.high >= 0.95 * MIB


def test_children_are_told_by_program_in_the_second_reading_too(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    before = readings._children()["children"].get("sleep", [0, 0])[0]
    sleeping = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    try:
        deadline = time.monotonic() + 20
        while readings._children()["children"].get("sleep", [0, 0])[0] < before + 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        count, memory = readings._children()["children"]["sleep"]
        assert count == before + 3
        assert memory >= sum(psutil.Process(child.pid).memory_info().rss for child in sleeping) * 0.5
        sleeping[0].kill()
        sleeping[0].wait()
        assert readings._children()["children"]["sleep"][0] == before + 2
    finally:
        for child in sleeping:
            child.kill()
            child.wait()
    assert readings._children()["children"].get("sleep", [0, 0])[0] == before


@pytest.fixture
def group() -> Iterator[Path]:
    folder = GROUPS / f"autoperf-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(512 * MIB))
    except OSError:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip("no control group can be made here")
    yield folder
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:  # the kernel takes a moment to let the last process go
            time.sleep(0.05)


def test_the_limit_of_a_real_control_group(tmp_path: Path, group: Path) -> None:
    process = started(
        tmp_path,
        """
        from autoperf.monitor.cgroup import Limits
        input()
        before = Limits().read()
        held = b"x" * (64 << 20)
        print(json.dumps([before, Limits().read()]))
        """,
    )
    (group / "cgroup.procs").write_text(str(process.pid))
    before, after = told(process, "\n")
    for row in (before, after):
        assert row["memory_limit"] == 512 * MIB
        assert 0 < row["memory_of_limit"] < 512 * MIB
    assert after["memory_of_limit"] - before["memory_of_limit"] >= 60 * MIB


def test_a_blocked_host_is_told_while_it_lasts_and_afterwards(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "agent.py").write_text(
        textwrap.dedent(
            """
            import time

            class Context:
                def __init__(self):
                    self.id = "chat7"

            class Tool:
                def __init__(self, agent):
                    self.agent, self.name = agent, "slow"

                async def execute(self, until):
                    blocking(until)

            class Agent:
                def __init__(self):
                    self.context = Context()

                async def monologue(self, until):
                    await Tool(self).execute(until)

            def blocking(until):
                deadline = time.monotonic() + 60
                while not until() and time.monotonic() < deadline:
                    time.sleep(0.02)
            """
        )
    )
    process = started(
        tmp_path,
        """
        import asyncio
        sys.path.insert(0, str(root / "host"))
        import agent
        from autoperf.instrumentation.agentzero.activity.stack_owner import whereabouts
        from autoperf.monitor import monitor as one, stalls as two
        one._DISCOVER_S = two._LONG_LIVED_S = 0.0
        monitor = Monitor(lambda: Readings(root), lambda: Stalls(str(root / "host"), whereabouts), 0.1)
        seen = []

        def until():
            seen[:] = [row for row in monitor.as_row()["lasting"] if row["stack"]] or seen
            return bool(seen)

        async def main():
            while "MainThread" not in monitor.latest.get("lag", {}):
                await asyncio.sleep(0.02)
            await agent.Agent().monologue(until)
            while not monitor.recent_stalls or monitor.lasting:
                await asyncio.sleep(0.02)

        monitor.start()
        asyncio.run(asyncio.wait_for(main(), 60))
        monitor.stop()
        print(json.dumps([seen[0], monitor.as_row()["last_stall"], monitor.as_row()["lasting"]]))
        """,
    )
    lasting, ended, after = told(process)
    for stall in (lasting, ended):
        assert [line.split(" ")[1] for line in stall["stack"]] == ["monologue", "execute", "blocking"]
        assert (stall["chat"], stall["tool"]) == ("chat7", "slow")
    assert ended["seconds"] >= 0.25
    assert after == []


def test_a_loop_that_no_longer_runs_is_not_busy_meanwhile(tmp_path: Path) -> None:
    process = started(
        tmp_path,
        """
        import asyncio
        from autoperf.monitor import monitor as one, stalls as two
        one._DISCOVER_S = two._LONG_LIVED_S = 0.0
        monitor = Monitor(lambda: Readings(root), lambda: Stalls(str(root)), 0.1)
        monitor.start()
        loop = asyncio.new_event_loop()

        async def watched():
            while "MainThread" not in monitor.latest.get("lag", {}):
                await asyncio.sleep(0.02)

        loop.run_until_complete(watched())
        time.sleep(1.5)
        held = monitor.as_row()["lasting"]
        loop.run_until_complete(asyncio.sleep(0.2))
        time.sleep(0.5)
        monitor.stop()
        print(json.dumps([held, [stall.seconds for stall in monitor.recent_stalls if stall.seconds > 1.0]]))
        """,
    )
    assert told(process) == [[], []]
