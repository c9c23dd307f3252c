"""Advice on the process: memory, children, files, threads, disk, and how Python was started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from autoperf.insight.advice.growth import LONG_ENOUGH_S, growth
from autoperf.insight.advice.rules.defects import grows_by_defect
from autoperf.insight.facts import Facts, Recommendation

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_BROWSERS: Final = ("chrom", "headless_shell", "playwright", "firefox")
_MIB: Final = 1 << 20
# At the default interval five minutes, over which the kernel averages as well.
_IO_SAMPLES: Final = 60


def memory_leak(facts: Facts) -> Iterator[Recommendation]:
    """Memory that goes on growing."""
    found = growth(facts, "memory")
    if found is None or found[0].slope * _DAY_S < 100 * _MIB:
        return
    slope, values = found
    limit = next((row["memory_limit"] for row in reversed(facts.samples) if "memory_limit" in row), None)
    hours = None if limit is None else (limit - values[-1]) / slope.slope / _HOUR_S
    rates = [f"{rate * _HOUR_S / _MIB:.1f}" for rate in (slope.slope, slope.low, slope.high)]
    yield Recommendation(
        "memory grows",
        "high" if limit is not None else "medium",
        "Memory goes on growing",
        f"{rates[0]} MiB an hour (95 %: {rates[1]} to {rates[2]}) over {slope.seconds / _HOUR_S:.1f} h, "
        f"{values[-1] / _MIB:,.0f} MiB now" + ("" if hours is None else f"; the limit is {hours:.0f} h away"),
        "no restart for want of memory",
        "restart Agent Zero at a quiet time; autoperf history --by hour shows when it grows",
    )


def memory_limit(facts: Facts) -> Iterator[Recommendation]:
    """Close to what the container is allowed."""
    latest = [row for row in facts.samples if "memory_limit" in row and "memory_of_limit" in row][-10:]
    shares = sorted(row["memory_of_limit"] / row["memory_limit"] for row in latest)
    if len(shares) == 10 and shares[2] > 0.85:
        row = latest[-1]
        yield Recommendation(
            "memory close to the limit",
            "high",
            "Memory is close to the container's limit",
            f"{row['memory_of_limit'] / _MIB:,.0f} of {row['memory_limit'] / _MIB:,.0f} MiB",
            "the kernel ends processes that go over it",
            f"docker update --memory {row['memory_limit'] * 1.5 / _MIB:.0f}m CONTAINER",
        )


def torch(facts: Facts) -> Iterator[Recommendation]:
    """PyTorch in memory, and nothing that needs it."""
    if facts.host.torch_loaded and facts.host.local_models is False and not facts.on("imports"):
        yield Recommendation(
            "torch loaded for nothing",
            "medium",
            "PyTorch is in memory, and no local model uses it",
            "torch is imported; no sentence-transformers or whisper model was made in this process",
            "its memory (about 750 MB by a user's report), and seconds at every start",
            "AUTOPERF_FEATURES=+imports, from the next start on",
        )


def leftover_browsers(facts: Facts) -> Iterator[Recommendation]:
    """Browsers that nobody ends."""
    rows = [row for row in facts.samples if isinstance(row.get("children"), dict)]
    if not rows or rows[-1]["at"] - rows[0]["at"] < LONG_ENOUGH_S:
        return
    counts = [
        (sum(count for name, (count, _) in row["children"].items() if _browser(name)), row) for row in rows
    ]
    since = rows[-1]["at"] - LONG_ENOUGH_S
    fewest = min(count for count, row in counts if row["at"] >= since)
    in_use = any("browser" in name and use.at >= since for (_, name), use in facts.uses.items())
    if fewest >= 3 and not in_use:
        held = sum(memory for name, (_, memory) in rows[-1]["children"].items() if _browser(name))
        yield Recommendation(
            "leftover browsers",
            "medium",
            "Browser processes are left over",
            f"at least {fewest} for {LONG_ENOUGH_S / 60:.0f} minutes in which no tool used one, "
            f"{held / _MIB:,.0f} MiB together",
            f"{held / _MIB:,.0f} MiB",
            "close the browser in its chat, or restart Agent Zero",
        )


def _browser(name: str) -> bool:
    return any(part in name.lower() for part in _BROWSERS)


def handles(facts: Facts) -> Iterator[Recommendation]:
    """Open files and threads that go on growing."""
    for name, what, least in (("files", "open files", 50), ("threads", "threads", 30)):
        found = growth(facts, name)
        # Not what it took to start.
        if found is None or found[0].slope * found[0].seconds < least or grows_by_defect(facts, name):
            continue
        slope, values = found
        yield Recommendation(
            f"{name} grow",
            "medium",
            f"The number of {what} goes on growing",
            f"{slope.slope * _HOUR_S:.0f} an hour over {slope.seconds / _HOUR_S:.1f} h, {values[-1]:.0f} now",
            "no `too many open files`, no slower scheduling",
            "restart Agent Zero at a quiet time; update it if a newer version is out",
        )


def disk(facts: Facts) -> Iterator[Recommendation]:
    """A store on a network, or a disk that is nearly full."""
    if facts.host.remote:
        yield Recommendation(
            "network mount",
            "low",
            "The local store lies on a network or shared mount",
            f"file system {facts.host.file_system}",
            "quicker writes, on a thread of ours",
            "AUTOPERF_HOME= a folder on a local disk",
        )
    if facts.host.root_remote:
        yield Recommendation(
            "slow mount",
            "medium",
            "Agent Zero itself lies on a network or shared mount",
            f"file system {facts.host.root_file_system} holds its folder",
            "every step looks for hundreds of files there, a start for thousands",
            "keep Agent Zero in the image or a volume, and mount only what you exchange with it (usr/)",
        )
    waits = sorted(row["io_waiting"] for row in facts.samples[-_IO_SAMPLES:] if "io_waiting" in row)
    if len(waits) == _IO_SAMPLES and waits[len(waits) // 4] >= 0.25:
        yield Recommendation(
            "slow disk",
            "medium",
            "Work waits for the disk",
            f"in three of four samples of the last {_IO_SAMPLES}, something waited for input or output for "
            f"{waits[len(waits) // 4]:.0%} of the time or more",
            "up to that share of the time of whatever reads or writes files",
            "move Agent Zero's folder to a faster disk, or find what else keeps this one busy (iotop)",
        )
    free = next((row["disk_free"] for row in reversed(facts.samples) if "disk_free" in row), None)
    if free is not None and free < 200 * _MIB:
        yield Recommendation(
            "disk nearly full",
            "high",
            "The disk of the state directory is nearly full",
            f"{free / _MIB:,.0f} MiB are free",
            "chats and traces that can be saved",
            "make room, or AUTOPERF_HOME= another disk",
        )


def bytecode(facts: Facts) -> Iterator[Recommendation]:
    """Everything compiled again at every start."""
    if facts.host.bytecode is False:
        yield Recommendation(
            "no compiled files",
            "medium",
            "Python compiles every module again at each start",
            "PYTHONDONTWRITEBYTECODE is set, or the host's folder cannot be written",
            "seconds at every start, and 0.6 ms at each tool that is loaded",
            "unset PYTHONDONTWRITEBYTECODE, or run python -m compileall once when the image is built",
        )
