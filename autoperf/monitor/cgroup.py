"""What the control group of this process allows it: memory and CPU, version 1 and 2; what is kept back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_FILES: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
# Of the whole machine: the group's own is not to be had in version 1, nor in most containers.
_PRESSURE: Final = Path("/proc/pressure/io")
_STAT: Final = Path("/proc/stat")
# Version 1 says "no limit" with the largest number of pages.
_UNLIMITED: Final = 1 << 60


class Limits:
    """Reads the files of the control group; a limit that is not set, or a system without them, has none.

    Source: the kernel's documentation of cgroup v2 (``memory.max``, ``memory.current``, ``cpu.max``) and v1
    (``memory.limit_in_bytes``, ``memory.usage_in_bytes``, ``cpu.cfs_quota_us``, ``cpu.cfs_period_us``).
    """

    def __init__(
        self, files: Path = _FILES, membership: Path = _MEMBERSHIP, pressure: Path = _PRESSURE
    ) -> None:
        paths = _paths(membership)
        self._pressure = pressure
        self._unified = _folder(files, paths.get(""), "memory.current")
        self._memory = _folder(files / "memory", paths.get("memory"), "memory.usage_in_bytes")
        self._cpu = _folder(files / "cpu", paths.get("cpu"), "cpu.cfs_quota_us")

    def read(self) -> dict[str, float]:
        """``memory_limit`` and ``memory_of_limit`` (bytes), ``cpu_limit`` (cores); what there is of them.

        ``io_waiting`` is the share of the last five minutes in which something waited for the disk.
        """
        return self._limits() | _waiting(self._pressure)

    def withheld(self, stat: Path = _STAT) -> dict[str, float]:
        """CPU time kept back since it is counted, in seconds; what there is of it.

        ``stolen`` by the hypervisor, from the whole machine; ``throttled`` by the limit of the control group.
        """
        row = {}
        # Source: proc_stat(5): "cpu", then ticks: user, nice, system, idle, iowait, irq, softirq, steal, ...
        fields = _text(stat).partition("\n")[0].split()
        if len(fields) > 8 and fields[0] == "cpu" and fields[8].isdecimal():
            row["stolen"] = int(fields[8]) / os.sysconf("SC_CLK_TCK")
        folder, name, unit = self._unified, "throttled_usec", 1e-6
        if self._cpu is not None:
            folder, name, unit = self._cpu, "throttled_time", 1e-9
        for line in _text(folder / "cpu.stat").splitlines() if folder is not None else ():
            key, _, value = line.partition(" ")
            if key == name and value.isdecimal():
                row["throttled"] = int(value) * unit
        return row

    def _limits(self) -> dict[str, float]:
        if self._unified is not None:
            row = _memory(_number(self._unified / "memory.max"), _number(self._unified / "memory.current"))
            quota, _, period = _text(self._unified / "cpu.max").partition(" ")
            return row | _cores(quota, period)
        row = {}
        if self._memory is not None:
            used = _number(self._memory / "memory.usage_in_bytes")
            row = _memory(_number(self._memory / "memory.limit_in_bytes"), used)
        if self._cpu is not None:
            quota, period = _text(self._cpu / "cpu.cfs_quota_us"), _text(self._cpu / "cpu.cfs_period_us")
            row |= _cores(quota, period)
        return row


def _paths(membership: Path) -> dict[str, str]:
    found = {}
    for line in _text(membership).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _folder(files: Path, path: str | None, proof: str) -> Path | None:
    # Inside a container the files of its own group lie at the top.
    for folder in (files / (path or "").lstrip("/"), files):
        if (folder / proof).is_file():
            return folder
    return None


def _memory(limit: float | None, used: float | None) -> dict[str, float]:
    if limit is None or used is None or limit >= _UNLIMITED:
        return {}
    return {"memory_limit": limit, "memory_of_limit": used}


def _cores(quota: str, period: str) -> dict[str, float]:
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return {}
    return {"cpu_limit": int(quota) / int(period)}


def _waiting(pressure: Path) -> dict[str, float]:
    # Source: the kernel's documentation of PSI: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", in percent.
    for line in _text(pressure).splitlines():
        kind, *fields = line.split()
        for field in fields if kind == "some" else ():
            name, _, value = field.partition("=")
            if name == "avg300" and value.replace(".", "", 1).isdecimal():
                return {"io_waiting": round(float(value) / 100, 4)}
    return {}


def _number(file: Path) -> float | None:
    text = _text(file)
    return float(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
