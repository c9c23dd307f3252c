"""What the model client costs by itself: the prompts and chunks of a conversation, without the framework."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.model.server import ModelServer, Recorded, is_chat

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
