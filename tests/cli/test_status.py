"""What ``autoperf status`` says of the process itself: the latest sample, loops, stalls, patches."""

from __future__ import annotations

from autoperf.cli.views.status import WIDTH, snapshot
from autoperf.insight.facts.ending import ALIVE
from autoperf.insight.facts.patches import patches
from autoperf.insight.facts.process import Process

MIB = 1 << 20
RECORD = {
    "pid": 7,
    "monitor": {
        "stalls": 3,
        "last_stall": {
            "seconds": 1.26,
            "cause": "wait",
            "measured": {"cpu": 0.039},
            "stack": ["agent.py:1 monologue", "helpers/git.py:9 release"],
            "tool": "code",
            "chat": "c1",
        },
        "sample": {
            "cpu": 0.256,
            "memory": 300 * MIB,
            "memory_limit": 1024 * MIB,
            "threads": 25,
            "files": 41,
            "children": {"chrome": [3, 500 * MIB]},
            "lag": {"AgentContext": 0.0312},
        },
    },
}


def test_the_newest_sample_the_loops_and_the_last_stall() -> None:
    text = " ".join(" ".join(snapshot(Process(RECORD, ALIVE, 0.0))).split())
    assert "process: CPU in cores 0.26, memory 300 MiB, limit 1,024 MiB, threads 25, open files 41" in text
    assert "chrome 3 (500 MiB)" in text
    assert "AgentContext 0.031 s" in text
    assert (
        "3 stalls, 1 of them recorded; the last, 1.3 s, 3.1 % of it on a CPU: a wait in helpers/git.py:9 "
        "release, tool code, chat c1" in text
    )
    assert all(len(line) <= WIDTH for line in snapshot(Process(RECORD, ALIVE, 0.0)))


def test_what_was_not_sampled_is_not_shown() -> None:
    assert snapshot(Process({"pid": 7, "monitor": {"sample": {}, "last_stall": None}}, ALIVE, 0.0)) == [
        "process 7 runs, nothing of it is recorded; autoperf ?, Python ?"
    ]
    held = {"pid": 7, "monitor": {"stalls": 1, "last_stall": {"seconds": 0.5, "stack": [], "inside": ""}}}
    assert "an unknown place" in " ".join(snapshot(Process(held, ALIVE, 0.0)))


def test_patches_that_nobody_waits_for_are_in_no_count() -> None:
    def row(state: str, optional: bool = False, foreign: bool = False) -> dict[str, object]:
        return {"state": state, "optional": optional, "foreign": foreign}

    rows = [row("applied"), row("failed"), row("unrecognised"), row("waiting"), row("absent")]
    rows += [row("waiting", optional=True), row("waiting", foreign=True), row("off")]
    rows += [row("applied", foreign=True), row("failed", optional=True), row("unrecognised", foreign=True)]
    said = patches({"patches": rows})
    assert (said.applied, said.wanted) == (2, 7)
