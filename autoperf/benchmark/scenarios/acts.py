"""What a user does while a message is being answered, at the moments that the script chose."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoperf.benchmark.host.http_client import Client
from autoperf.benchmark.model.server import ModelServer, is_chat

# The host is given this long to take in what came before an act, and the act itself, before it goes on.
_SETTLING = 0.5
_PAUSE = 1.0
_PATIENCE = 120.0


@dataclass(frozen=True)
class Act:
    """``say`` something in the chat, ``pause`` it for a second, or ``open`` another chat with its script.

    A held stream or a waiting tool reaches the next act: it goes on when the act has been taken in.
    """

    kind: str
    text: str = ""
    replies: tuple[str, ...] = ()


class Acts:
    """Performs the acts of one run in order; ``results`` is what is to be compared of them."""

    def __init__(self, client: Client, model: ModelServer) -> None:
        self.results: list[Any] = []
        self.contexts: list[str] = []
        self._client = client
        self._model = model
        self._waiting: deque[Act] = deque()
        self._begun = 0
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def plan(self, acts: Sequence[Act]) -> None:
        """The acts of the turn that begins."""
        self._waiting = deque(acts)
        self._begun = len(self.results)

    def finish(self) -> None:
        """Wait for the answers to what was said meanwhile."""
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._threads.clear()

    def unmet(self) -> str:
        """What was planned for this turn and did not take place, or was not answered 200; or empty."""
        if self._waiting:
            return f"was answered before it came to: {', '.join(act.kind for act in self._waiting)}"
        for result in self.results[self._begun :]:
            if result["act"] in ("say", "open") and result.get("status") != 200:
                told = f"{result['status']}: {result['body']}" if "status" in result else "not answered"
                return f"was answered, but what was said meanwhile was {told}"
        return ""

    def perform_next(self) -> None:
        """Called by the model server at a hold, in the thread that serves it."""
        with self._lock:
            act = self._waiting.popleft() if self._waiting else None
            result: dict[str, Any] = {"act": act.kind if act else "none"}
            self.results.append(result)
        if act is None:
            return
        time.sleep(_SETTLING)
        if act.kind == "pause":
            self._client.pause(True)
            self._begin(lambda: self._unpause(result))
            return
        if act.kind == "say":
            self._begin(lambda: self._say(self._client, act.text, result))
        elif act.kind == "open":
            self._model.script(act.replies, act.text)
            self._begin(lambda: self._open(act, result))
        else:
            raise ValueError(f"no such act: {act.kind}")
        time.sleep(_SETTLING)

    def _begin(self, work: Any) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _unpause(self, result: dict[str, Any]) -> None:
        time.sleep(_PAUSE)
        # Whatever went on in spite of the pause shows in these two.
        result["log"] = self._client.log().body
        result["prompts"] = sum(is_chat(request.model) for request in self._model.requests)
        self._client.pause(False)

    def _say(self, client: Client, text: str, result: dict[str, Any]) -> None:
        answer = client.send(text)
        result["status"], result["body"] = answer.status, answer.body

    def _open(self, act: Act, result: dict[str, Any]) -> None:
        client = self._client.another()
        # Its log is in its chat file; asked for now, some hosts would add how far the first chat has got.
        self._say(client, act.text, result)
        self.contexts.append(client.context)
