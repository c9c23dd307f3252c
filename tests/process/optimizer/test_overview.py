"""What `performance_optimizer` tells with `status`: fixed numbers in, the whole answer out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.process.optimizer import overview
from autoperf.process.runtime import Runtime
from tests.process.optimizer.test_optimizer import ask, made

MIB = 1 << 20
SAMPLE = {
    "cpu": 0.256,
    "threads": 1033,
    "files": 82,
    "memory": 354 * MIB,
    "memory_limit": 2048 * MIB,
    "lag": {"AgentContext": 0.7264, "MainThread": 0.001},
}
STALL = {
    "seconds": 1.26,
    "cause": "code",
    "stack": ["agent.py:1 f", "tools/a|b.py:7 grind"],
    "inside": "",
    "tool": "code",
    "chat": "c",
}
CACHE = {
    "currsize": 4,
    "maxsize": 1000,
    "evictions": 1,
    "expirations": 2,
    "invalidations": 3,
    "seconds_saved": 0.0133,
}
TOOL = {"name": "code", "count": 6, "errors": 1, "p50_ms": 700.3, "p95_ms": 1500.0, "total_ms": 4200.0}


@pytest.fixture
def process(tmp_path: Path) -> Runtime:
    return made("v0_9_8", tmp_path / "state")


def told(process: Runtime, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> list[str]:
    row = {**process.snapshot(), "started": time.time() - 45, "pid": 7, "python": "3.12.1", "autoperf": "1.2"}
    row |= {"patches": [], "lookups": {}, "caches": {}, "tools": [], "failures": [], "cost": {}, **parts}
    monkeypatch.setattr(process, "snapshot", lambda: row)
    return overview.status(process, ask()).splitlines()


def monitor(**parts: Any) -> dict[str, Any]:
    return {"running": True, "interval": 5.0, "stalls": 0, "last_stall": None, "sample": {}, **parts}


def test_the_whole_of_it(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(
        process,
        monkeypatch,
        monitor=monitor(sample=SAMPLE, stalls=9, last_stall=STALL),
        interventions={"calls": 1617, "raised": 2},
        telemetry={"spans": 618, "dropped": 1},
        lookups={
            "tools": {"lookups": 47, "hits": 43, "misses": 4},
            "extensions": {"lookups": 90, "hits": None},
            "git": {"lookups": 464, "hits": 0, "misses": 464, "why": {"git did not tell all": 464}},
            "never": {"lookups": 0, "hits": 0, "misses": 0},
            **{f"memo {n}": {"lookups": 1000 + n, "hits": 500, "misses": 500} for n in range(9)},
        },
        caches={"tools": CACHE},
        tools=[TOOL, {**TOOL, "name": "unused", "count": 0}],
        failures=[
            {"seam": f"seam {n}", "count": n, "reason": "token=sk-1", "way_out": f"OFF={n % 2}"}
            for n in range(6)
        ],
    )
    assert lines == [
        "**autoperf 1.2**; process 7 runs since 45 s; Agent Zero ~v0.9.3 - v0.9.8.3, Python 3.12.1; "
        "0 of 0 patches",
        "1,617 intervention checks, 2 interventions; 618 spans recorded",
        "monitor every 5 s: CPU 0.26 cores, 1,033 threads, 82 open files, memory 354 MiB, limit 2,048 MiB, "
        "longest time a loop was busy 726.4 ms",
        "9 stalls, 1 of them recorded; the last, 1.3 s: tools/a/b.py:7 grind, tool code, chat c",
        "failures of autoperf, each passed over: seam 0 (0), seam 1 (1), seam 2 (2), seam 3 (3), seam 4 (4); "
        "to leave it out: OFF=0, OFF=1",
        "! 1 spans reached no store",
        "",
        "| look-up | calls | hits | hit rate | why none |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| extensions | 90 | - | - | not measured: the host loads there by itself |",
        "| tools | 47 | 43 | 91.5 % |  |",
        *(f"| memo {n} | {1000 + n:,} | 500 | 50.0 % |  |" for n in range(8, 0, -1)),
        "(2 more)",
        "",
        "| cache | kept | no room | too old | changed | loading spared |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| tools | 4 of 1,000 | 1 | 2 | 3 | 13.3 ms |",
        "",
        "| tool | calls | errors | median | p95 | total |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| code | 6 | 1 | 700.3 ms | 1.5 s | 4.2 s |",
    ]


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ({}, ["monitor on, no sample yet"]),
        (
            {"running": False},
            ["monitor off, no sample yet", "! monitor is off: no monitor runs in this process"],
        ),
        ({"sample": {"cpu": 1.0}}, ["monitor every 5 s: CPU 1.00 cores"]),
        ({"running": False, "sample": {"cpu": 1.0}}, ["monitor off, its last sample: CPU 1.00 cores"]),
    ],
)
def test_the_monitor(
    process: Runtime, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], lines: list[str]
) -> None:
    assert told(process, monkeypatch, monitor=monitor(**parts), telemetry={})[1:] == [
        "0 intervention checks, 0 interventions; no spans",
        *lines,
    ]


def test_a_stall_of_which_less_is_known(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    library = {**STALL, "stack": [], "inside": "time.sleep", "tool": ""}
    lines = told(process, monkeypatch, monitor=monitor(stalls=1, last_stall=library))
    assert lines[-1] == "1 stall; the last, 1.3 s: time.sleep, chat c"
    unknown = {**library, "inside": ""}
    assert told(process, monkeypatch, monitor=monitor(stalls=1, last_stall=unknown))[-1].endswith(
        "an unknown place, chat c"
    )
