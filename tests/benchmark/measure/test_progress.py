"""Long work tells now and then how far it has come; short work does not."""

from __future__ import annotations

import threading

from autoperf.benchmark.measure.progress import Progress


def test_a_silence_is_ended_by_the_stage() -> None:
    lines: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if "chunk 2" in line:
            told.set()

    with Progress(say, silence=0.01) as progress:
        progress("round 1")
        progress.stage(lambda: "chunk 2")
        assert told.wait(30)
    count = len(lines)
    assert lines[0] == "round 1"
    assert any(line.startswith("round 1: ") and line.endswith(" so far, chunk 2") for line in lines)
    assert not progress._thread.is_alive()
    assert len(lines) == count, "after its end it says nothing"


def test_the_stage_ends_with_its_line() -> None:
    lines: list[str] = []
    again = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith("round 2: "):
            again.set()

    with Progress(say, silence=0.01) as progress:
        progress("round 1")
        progress.stage(lambda: "chunk 2")
        progress("round 2")
        assert again.wait(30)
    assert not any(line.startswith("round 2") and "chunk 2" in line for line in lines)


def test_short_work_and_work_without_a_line_say_nothing_more() -> None:
    lines: list[str] = []
    with Progress(lines.append, silence=3600) as progress:
        progress("round 1")
    with Progress(lines.append, silence=0.001) as progress:
        progress._changed.acquire()
        progress._changed.wait(0.05)
        progress._changed.release()
    assert lines == ["round 1"]
