"""An MCP server over stdio without the mcp package: starts at once, and writes down what happens to it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

TOOLS = ("count", "crash", "hang", "busy", "meet", "farewell", "refuse", "ask", "change")


class Server:
    """One process: ``python plain.py DIARY [stubborn|slow]``; the diary has a line for all it received."""

    def __init__(self, diary: str, *how: str) -> None:
        self.diary = Path(diary)
        self.calls = 0
        self.hanging: list[int] = []
        if "stubborn" in how:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.signal(signal.SIGTERM, self.terminated)
        self.stubborn = "stubborn" in how
        self.slow = "slow" in how

    def note(self, *what: object) -> None:
        with self.diary.open("a") as file:
            file.write(f"{os.getpid()} {' '.join(map(str, what))}\n")

    def terminated(self, *_: object) -> None:
        """Up to mcp 1.9 that is how a session ends."""
        self.note("ends")
        os._exit(0)

    def run(self) -> None:
        self.note("begins")
        print("hello from", os.getpid(), file=sys.stderr, flush=True)
        for line in sys.stdin:
            self.take(json.loads(line))
        while self.stubborn:
            time.sleep(0.1)
        if self.slow:
            time.sleep(0.5)
        self.note("ends")

    def take(self, message: dict) -> None:
        method, parameters = message.get("method", "(answer)"), message.get("params") or {}
        self.note(method, parameters.get("name", ""), parameters.get("requestId", ""))
        number = message.get("id")
        if method == "initialize":
            found = {"protocolVersion": parameters["protocolVersion"], "capabilities": {"tools": {}}}
            self.answer(number, {**found, "serverInfo": {"name": "plain", "version": "1"}})
        elif method == "ping":
            self.answer(number, {})
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
            self.answer(number, {"tools": tools})
        elif method == "tools/call":
            self.call(number, parameters["name"], parameters.get("arguments") or {})

    def call(self, number: int, name: str, arguments: dict) -> None:
        self.calls += 1
        if name == "crash":
            os._exit(3)
        elif name == "hang":  # goes on listening
            return
        elif name == "busy":  # does not
            time.sleep(60)
        elif name == "refuse":
            self.send({"id": number, "error": {"code": -32000, "message": "refused"}})
            return
        elif name == "ask":
            self.send({"id": "mine", "method": "ping"})
        elif name == "change":
            self.send({"method": "notifications/tools/list_changed"})
        elif name == "meet":
            mine = self.diary.with_name(f"met.{os.getpid()}")
            mine.touch()
            until = time.monotonic() + 30
            while len(list(self.diary.parent.glob("met.*"))) < 2 and time.monotonic() < until:
                time.sleep(0.01)
        self.answer(number, {"content": [{"type": "text", "text": f"{os.getpid()} {self.calls}"}]})
        if name == "farewell":
            os._exit(0)

    def answer(self, number: int, result: dict) -> None:
        self.send({"id": number, "result": result})

    def send(self, message: dict) -> None:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


if __name__ == "__main__":
    Server(*sys.argv[1:]).run()
