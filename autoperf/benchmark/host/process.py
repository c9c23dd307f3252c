"""One host process: started with any command prefix, waited for, measured, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

START_TIMEOUT = 60.0  # seconds
_POLL_SECONDS = 0.02


class HostError(RuntimeError):
    """The host did not start or does not answer; the message ends with what it printed last."""


class HostHungError(HostError):
    """The host runs but does not open its port; the message holds the stacks of its threads."""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class HostProcess:
    """A running ``run_ui.py``; ``command`` is complete except for the port, its output goes to ``output``."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str], output: Path) -> None:
        self.port = free_port()
        self.output = output
        self._file: IO[bytes] = output.open("wb")
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            [*command, f"--port={self.port}", "--host=127.0.0.1", "--dockerized=true"],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_open(self, timeout: float = START_TIMEOUT) -> float:
        """Block until the port is open; return the seconds since the start. ``HostError`` otherwise."""
        while time.monotonic() - self._begun < timeout:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - self._begun
            try:
                status = self._process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise HostError(f"the host ended with status {status} before its port was open\n{self.tail()}")
        # With faulthandler on, this makes a host that hangs say where.
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()
        raise HostHungError(f"the host's port was not open after {timeout:g} s\n{self.tail(120)}")

    def cpu_seconds(self) -> float | None:
        """User and system time of the process so far (children excluded); None where nobody tells it.

        To the nanosecond where the process's own CPU clock can be read (Linux), for less than 1 us.
        """
        if sys.platform == "linux":
            # clock_getcpuclockid(3), which Python does not offer for other processes.
            with contextlib.suppress(OSError):
                return time.clock_gettime((~self.pid << 3) | 2)
        return None

    def children_seconds(self) -> float | None:
        """User and system time of the processes it started and that have ended; in ticks of 10 ms."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return None
        # The command name in parentheses may contain blanks; fields count from behind it.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def runs(self) -> bool:
        """Whether a thread of it is on a processor or waits for one."""
        for task in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                if task.read_text().rpartition(")")[2].split()[0] == "R":
                    return True
        return False

    def peak_kib(self) -> int | None:
        """The most memory it has had so far, in KiB (``VmHWM``); None where nobody tells it."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return None
        return next((int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM:")), None)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, then SIGKILL after ``timeout`` seconds; return the exit status (negative: the signal)."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._file.close()
        return self._process.returncode

    def tail(self, lines: int = 25) -> str:
        """The last lines the host printed."""
        return "\n".join(self.output.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
