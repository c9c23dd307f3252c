"""What the system tells of a thread: CPU time, waits, page faults, time without a CPU. All of it on Linux."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final, NamedTuple

try:
    import resource
except ImportError:  # Windows
    _THREAD = None
else:
    _THREAD = getattr(resource, "RUSAGE_THREAD", None)

_LINUX: Final = sys.platform == "linux"
# Source: the kernel's posix-timers.h, and pthread_getcpuclockid of glibc and musl. By the thread's number,
# not by its handle: the number of a thread that has ended is refused, the handle is freed memory.
_CLOCK_OF_THREAD: Final = 6
_NS: Final = 1e-9


class Usage(NamedTuple):
    """What one thread has used since it began; None is what this system does not tell.

    ``cpu`` and the kernel's part of it, ``system``, in seconds; ``waits`` is how often it gave its CPU away
    by itself, ``faults`` its page faults, ``reads`` those that were read from a disk.
    """

    cpu: float | None = None
    system: float | None = None
    waits: int | None = None
    faults: int | None = None
    reads: int | None = None

    def since(self, before: Usage | None) -> Usage:
        """What it has used since ``before``."""
        if before is None:
            return Usage()
        pairs = zip(self, before, strict=True)
        return Usage(*(None if None in pair else max(0, pair[0] - pair[1]) for pair in pairs))  # type: ignore[operator, arg-type]


class Snapshot(NamedTuple):
    """Each Python thread's CPU time (ident to ns) and the whole process's (s) at one moment of a clock."""

    at: float
    process: float
    cpu: dict[int, int]


def own_usage() -> Usage:
    """Of the calling thread; under a microsecond."""
    if _THREAD is None:
        return Usage(time.thread_time())
    user, system, _, _, _, _, faults, reads, _, _, _, _, _, _, waits, _ = resource.getrusage(_THREAD)
    return Usage(user + system, system, waits, faults, reads)


def usage_of(native_id: int) -> Usage | None:
    """Of another thread, by the system's number; None where the system does not tell, or it has ended."""
    cpu = cpu_ns(native_id)
    # Source: proc_pid_stat(5): minflt is field 10, majflt 12, stime 15; the name in front may hold anything.
    stat = _read(native_id, "stat").rpartition(b")")[2].split()
    waits = _read(native_id, "status").partition(b"\nvoluntary_ctxt_switches:")[2].split(maxsplit=1)
    if cpu is None or len(stat) < 13 or not waits:
        return None
    system = int(stat[12]) / os.sysconf("SC_CLK_TCK")
    return Usage(cpu * _NS, system, int(waits[0]), int(stat[7]), int(stat[9]))


def ready(native_id: int) -> bool:
    """Whether a thread is on a CPU or waits for one, as far as the system tells."""
    return _read(native_id, "stat").rpartition(b")")[2].split()[:1] == [b"R"]


def cpu_ns(native_id: int) -> int | None:
    """A thread's CPU time in nanoseconds; None where the system does not tell, or it has ended."""
    if not _LINUX or native_id <= 0:
        return None
    try:
        return time.clock_gettime_ns(~native_id << 3 | _CLOCK_OF_THREAD)
    except OSError:
        return None


def delay(native_id: int) -> float | None:
    """For how long a thread was ready to run and had no CPU, in seconds since it began; None if not told."""
    # Source: the kernel's sched-stats.rst: time on a CPU, time waiting for one (ns), time slices.
    fields = _read(native_id, "schedstat").split()
    return int(fields[1]) * _NS if len(fields) == 3 else None


def snapshot(at: float) -> Snapshot:
    """Of every Python thread, ours too; about half a microsecond each."""
    spent = {}
    for thread in threading.enumerate():
        cpu = cpu_ns(thread.native_id or 0)
        if cpu is not None and thread.ident is not None:
            spent[thread.ident] = cpu
    return Snapshot(at, time.process_time(), spent)


def _read(native_id: int, name: str) -> bytes:
    try:
        descriptor = os.open(f"/proc/self/task/{native_id}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, AttributeError):  # no O_CLOEXEC on Windows
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
