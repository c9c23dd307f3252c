"""What the model client costs by itself: the prompts and chunks of a conversation, without the framework."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoperf.benchmark.host import run
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.model.server import CHAT_MODEL, ModelServer, Recorded, is_chat
from autoperf.benchmark.parts import instrumented

SCRIPT = Path(__file__).parents[1] / "inside" / "client_times.py"
_TIMEOUT = 1800.0
_WARM = "This is only to warm it up."


class NotMeasuredError(RuntimeError):
    """Why the client alone could not be measured, in one line."""


def asked(requests: Sequence[Recorded], replies: Sequence[str]) -> list[tuple[Recorded, str]]:
    """The requests to the chat model with the replies that they got.

    Raises ``NotMeasuredError`` when they do not fit: then it is unknown which reply answered which.
    """
    chat = [request for request in requests if is_chat(request.model)]
    if len(chat) != len(replies):
        raise NotMeasuredError(f"{len(chat)} prompts were sent for {len(replies)} replies")
    return list(zip(chat, replies, strict=True))


def measure(
    exchanges: Sequence[tuple[Recorded, str]],
    folder: Path,
    workdir: Path,
    command: Sequence[str],
    chunk_size: int,
) -> float:
    """CPU seconds to send ``exchanges`` and take their chunks in, with the host's client in a fresh process.

    ``command`` is the host's interpreter, behind ``autoperf run`` or not, and ``folder`` a copy of the host,
    whose ``models`` are imported first: so the client is set up, and patched, as the host has it. Imports
    and a first request are not in it. Raises ``NotMeasuredError`` where the host has another client.
    """
    replies = [_WARM, *(reply for _, reply in exchanges)]
    with ModelServer(replies, chunk_size=chunk_size) as model:
        work = {
            "url": model.url,
            "requests": [{"path": request.path, "body": request.body} for request, _ in exchanges],
        }
        try:
            done = subprocess.run(
                [*command, str(SCRIPT)],
                cwd=folder,
                env=Sandbox(workdir).environment({}),
                input=json.dumps(work),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotMeasuredError(f"it took more than {_TIMEOUT:.0f} s") from None
    return _seconds(done, len(exchanges))


def _seconds(done: subprocess.CompletedProcess[str], exchanges: int) -> float:
    try:
        told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise NotMeasuredError(last[0][:300]) from None
    if told["requests"] != exchanges:
        raise NotMeasuredError(f"{told['requests']} of {exchanges} requests were answered")
    return float(told["cpu"])


def compare(folder: Path, workdir: Path, words: Sequence[str], text: str, chunk_size: int) -> list[float]:
    """CPU microseconds a chunk for one answer, bare and behind ``words``, with the host at ``folder``."""
    body = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}
    exchange = (Recorded("/v1/chat/completions", CHAT_MODEL, body), text)
    python = run.interpreter(folder)
    chunks = len(text) / chunk_size
    return [
        measure([exchange], workdir / "agent-zero", workdir, [*before, python], chunk_size) / chunks * 1e6
        for before in ((), words)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the model client of a checkout, bare and under autoperf in turns, for one long answer."""
    parser = argparse.ArgumentParser(
        prog="python -m autoperf.benchmark.parts.client_alone", description=main.__doc__
    )
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
        except (FileNotFoundError, HostError, NotMeasuredError) as error:
            print(f"autoperf benchmark: {error}", file=sys.stderr)
            return 2
    print(f"median {statistics.median(map(_ratio, rows)):.1f}x")
    return 0


def _ratio(row: Sequence[float]) -> float:
    return row[0] / row[1]


if __name__ == "__main__":
    sys.exit(main())
