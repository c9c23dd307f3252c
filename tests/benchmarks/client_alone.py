"""Times the model client of a checkout for one long answer, bare and under autoperf in turns."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from autoperf.benchmark.host import run
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.model.server import CHAT_MODEL, Recorded
from autoperf.benchmark.parts import client_alone, instrumented


def compare(folder: Path, workdir: Path, words: Sequence[str], text: str, chunk_size: int) -> list[float]:
    """CPU us a chunk for one answer, bare and behind ``words``, with the host at ``folder``."""
    body = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}
    exchange = (Recorded("/v1/chat/completions", CHAT_MODEL, body), text)
    python = run.interpreter(folder)
    chunks = len(text) / chunk_size
    return [
        client_alone.measure([exchange], workdir / "agent-zero", workdir, [*before, python], chunk_size)
        / chunks
        * 1e6
        for before in ((), words)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the model client of a checkout, bare and under autoperf in turns, for one long answer."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.client_alone", description=main.__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--length", type=int, default=65536, help="characters of the answer (65536)")
    parser.add_argument("--chunk", type=int, default=4, help="characters a chunk (4)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--features", default="client")
    options = parser.parse_args(arguments)
    folder = options.checkout.resolve()
    text = "".join(f"line {n} of the answer,\n" for n in range(options.length // 20 + 1))[: options.length]
    rows = []
    with tempfile.TemporaryDirectory(prefix="autoperf-client-") as place:
        workdir = Path(place)
        try:
            run.prepare(folder, workdir / "agent-zero", "http://127.0.0.1:9/v1")
            words = [*instrumented.prefix(folder, workdir, features=options.features), "--quiet"]
            for _ in range(options.rounds):
                rows.append(compare(folder, workdir, words, text, options.chunk))
                print("bare {:.0f} us a chunk, autoperf {:.0f}: {:.1f}x".format(*rows[-1], _ratio(rows[-1])))
        except (FileNotFoundError, HostError, client_alone.NotMeasuredError) as error:
            print(f"autoperf benchmark: {error}", file=sys.stderr)
            return 2
    print(f"median {statistics.median(map(_ratio, rows)):.1f}x")
    return 0


def _ratio(row: Sequence[float]) -> float:
    return row[0] / row[1]


if __name__ == "__main__":
    raise SystemExit(main())
