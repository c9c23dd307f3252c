"""What a checkout pays per streamed chunk to parse a growing reply: bare beside autoperf, one run.

``python -m tests.benchmarks.chunks CHECKOUT...``. The functions are the checkout's own, called as its agent
calls them, in its interpreter and in one process for both; the model, the log and all else are left out.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from autoperf.benchmark.host.run import interpreter
from autoperf.instrumentation.agentzero import detect
from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing
from autoperf.memo.prefix import GrowingTexts
from autoperf.patching.patch import Patch, PatchSet

SIZES: Final = (16_384, 65_536)
CHUNK: Final = 4
# The bare host keeps nothing from one chunk to the next, so that some chunks tell the cost of all.
BARE_EVERY: Final = 64
_TIMEOUT: Final = 900.0

PerChunk = Callable[[str], Any]


def reply(size: int) -> str:
    """A tool request with a long text, at least ``size`` characters, as a model writes it."""
    line = 'He said \\"no, {not} that\\" and went on: item 7, then *more* of it.\\n'
    head = (
        '{\n    "thoughts": ["The user wants a report.", "I have all I need."],\n'
        '    "headline": "Writing the report",\n    "tool_name": "response",\n'
        '    "tool_args": {\n        "text": "'
    )
    return head + line * (size // len(line) + 1) + '"\n    }\n}'


def main(argv: list[str]) -> int:
    """Print one row per checkout and size; exit status 2 without checkouts."""
    if argv[:1] == ["--inside"]:
        print(json.dumps([measure(Path(argv[1]), size) for size in SIZES]))
        return 0
    if not argv:
        print(__doc__, file=sys.stderr)
        return 2
    print("checkout   size    bare us/chunk  ours us/chunk   ratio  last tenth / first tenth: bare, ours")
    for checkout in map(Path, argv):
        command = [interpreter(checkout), "-m", "tests.benchmarks.chunks", "--inside", str(checkout)]
        package = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=_TIMEOUT)
        for row in json.loads(done.stdout.splitlines()[-1]):
            print(
                f"{checkout.name:10s} {row['size']:6d} {row['bare']:13.1f} {row['ours']:14.1f}"
                f" {row['bare'] / row['ours']:8.1f}{row['bare_growth']:26.2f}, {row['ours_growth']:.2f}"
            )
    return 0


def measure(root: Path, size: int) -> dict[str, float]:
    """CPU per chunk in microseconds, bare and with incremental parsing, and how both grow."""
    sys.path.insert(0, str(root))
    os.chdir(root)
    layout = detect(root)
    if layout is None or layout.parse_reply is None:
        raise SystemExit(f"{root} is no Agent Zero")
    package = layout.parse_reply.partition(":")[0].rpartition(".")[0]
    per_chunk = calls(package)
    text = reply(size)
    sizes = range(CHUNK, len(text) + CHUNK, CHUNK)
    bare = _times(per_chunk, text, sizes[::BARE_EVERY])
    rows = [Patch(layout.parse_reply, "streaming", reply_parsing.parsing(GrowingTexts()))]
    if layout.root_starts:
        rows.append(
            Patch(layout.root_starts, "streaming", object_starts.scanning(GrowingTexts()), optional=True)
        )
    patches = PatchSet(rows)
    patches.start()
    try:
        ours = _times(per_chunk, text, sizes)
    finally:
        patches.stop()
    return {
        "size": size,
        "bare": statistics.fmean(bare),
        "ours": statistics.fmean(ours),
        "bare_growth": _growth(bare),
        "ours_growth": _growth(ours),
    }


def calls(package: str) -> PerChunk:
    """What the agent of this generation calls for every chunk, with the whole text so far."""
    parser = importlib.import_module(f"{package}.dirty_json").DirtyJson
    extract: Any = importlib.import_module(f"{package}.extract_tools")
    whole = getattr(extract, "extract_tool_request", None)
    root = getattr(extract, "extract_json_root_string", None)

    def snapshot(text: str) -> None:
        found = root(text) if root is not None else None
        if found:
            extract.json_parse_dirty(found)

    completion: PerChunk = whole or snapshot

    def per_chunk(text: str) -> Any:
        completion(text)
        return parser.parse_string(text)

    return per_chunk


def _times(per_chunk: PerChunk, text: str, sizes: range) -> list[float]:
    times = []
    for size in sizes:
        full = text[:size]
        started = time.thread_time_ns()
        per_chunk(full)
        times.append((time.thread_time_ns() - started) / 1000)
    return times


def _growth(times: list[float]) -> float:
    tenth = max(1, len(times) // 10)
    return statistics.fmean(times[-tenth:]) / statistics.fmean(times[:tenth])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
