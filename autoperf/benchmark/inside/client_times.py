"""Times the model client of a host without the framework, and prints it as JSON.

Run by path, with the host's interpreter, in the host's folder; standard library only. Reads from stdin
``{"url": ..., "requests": [{"path": ..., "body": ...}]}``; prints ``{"cpu": seconds of the whole process,
"requests": answered, "chunks": taken}``. Knows nothing of autoperf: the same script times the bare client and
the instrumented one.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any


def main() -> None:
    """Read the work, do it, print what it took."""
    work = json.loads(sys.stdin.read())
    sys.path.insert(0, os.getcwd())
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # The host sets its client up while this is imported.
        import_module("models")
        litellm = import_module("litellm")
        told = asyncio.run(_replay(litellm, work))
    print(json.dumps(told))


async def _replay(litellm: Any, work: dict[str, Any]) -> dict[str, Any]:
    first, *_ = requests = work["requests"]
    await _take(litellm, work["url"], first)
    begun, chunks = time.process_time(), 0
    for request in requests:
        chunks += await _take(litellm, work["url"], request)
    return {"cpu": time.process_time() - begun, "requests": len(requests), "chunks": chunks}


async def _take(litellm: Any, url: str, request: dict[str, Any]) -> int:
    body = dict(request["body"])
    body["model"] = "openai/" + body["model"]
    ask = litellm.aresponses if request["path"].endswith("/responses") else litellm.acompletion
    stream = await ask(**body, api_base=url, api_key="scripted")
    chunks = 0
    async for _ in stream:
        chunks += 1
    return chunks


if __name__ == "__main__":
    main()
