"""A scripted, OpenAI-compatible model server on loopback that keeps every request."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from autoperf.benchmark.model import completions, embeddings, responses
from autoperf.benchmark.model.completions import Piece

CHAT_MODEL = "scripted-chat"
# Under this name for provider `openai`: to a Responses model that it does not know, litellm's client sends no
# request for a stream, takes the whole reply at once and only pretends.
KNOWN_CHAT_MODEL = "gpt-4.1"
UTILITY_MODEL = "scripted-utility"
EMBEDDING_MODEL = "scripted-embedding"

# The utility model is asked for lists of memories, for search queries and for chat names; an empty JSON list
# is a valid answer to all of them and makes the host store nothing that a later prompt would depend on.
UTILITY_REPLY = "[]"

# A character of scripted replies: the stream stops here until `ModelServer.meanwhile` has returned. Not sent.
HOLD = "~"

SCRIPT_ENDED = json.dumps(
    {"thoughts": [], "tool_name": "response", "tool_args": {"text": "The script has ended."}}
)


@dataclass(frozen=True)
class Recorded:
    """One request as it came in: path, model name, complete JSON body."""

    path: str
    model: str
    body: dict[str, Any]
    script: str = ""


class ModelServer:
    """Serves replies in order to the chat model, and a fixed one to any other, from threads of this process.

    ``chunk_size`` is in characters of reply text per streamed event. ``pace`` may hold the events of a stream
    back; ``pieces_sent`` counts those of the chat model that carried a piece of a reply. ``given`` counts
    replies of scripts since the last script without a marker.
    """

    def __init__(
        self,
        replies: Iterable[str] = (),
        *,
        chunk_size: int = 24,
        utility_reply: str = UTILITY_REPLY,
    ) -> None:
        self.chunk_size = max(1, chunk_size)
        self.utility_reply = utility_reply
        self.requests: list[Recorded] = []
        self.meanwhile: Callable[[], None] = _nothing
        self.pace: Callable[[Iterator[str]], Iterator[str]] = iter
        self.pieces_sent = 0
        self.given = 0
        self._beyond = 0
        self._scripts: dict[str, deque[str]] = {"": deque(replies)}
        self._changed = threading.Condition()
        self._open = 0
        self._last_activity = time.monotonic()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._http.daemon_threads = True
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base address including ``/v1``, as clients expect it in ``api_base``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> ModelServer:
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        if self._thread is not None:
            self._thread.join()

    def script(self, replies: Iterable[str], marker: str = "") -> None:
        """Replace what is left of a script: a turn that failed early leaves nothing to the next one.

        A script with a ``marker`` answers the prompts that contain it, before the one without.
        """
        with self._changed:
            self._scripts[marker] = deque(replies)
            if not marker:
                self.given = self._beyond = 0

    def reply_to(self, model: str, script: str = "") -> str:
        """The text to answer with: the next of the script for the chat model, else the fixed reply."""
        if not is_chat(model):
            return self.utility_reply
        with self._changed:
            replies = self._scripts[script]
            self.given += bool(replies)
            self._beyond += not replies
            return replies.popleft() if replies else SCRIPT_ENDED

    def deviation(self, least: int | None = None) -> str:
        """How often the chat model was asked, if not once for each reply of the scripts; else empty.

        With ``least`` so many replies are enough.
        """
        with self._changed:
            left = sum(map(len, self._scripts.values()))
            enough = not left if least is None else self.given >= least
            if enough and not self._beyond:
                return ""
            times = f"the model was asked {self.given} of {self.given + left} times"
            return times + (f", and {self._beyond} times beyond its script" if self._beyond else "")

    def record(self, path: str, body: dict[str, Any]) -> str:
        """Keep one request body, in order of arrival; return the marker of the script it belongs to."""
        text = json.dumps(body)
        with self._changed:
            script = next((m for m in self._scripts if m and json.dumps(m)[1:-1] in text), "")
            self.requests.append(Recorded(path, str(body.get("model", "")), body, script))
        return script

    def begin(self) -> None:
        """Count a request that is being answered."""
        with self._changed:
            self._open += 1
            self._last_activity = time.monotonic()

    def end(self) -> None:
        """The counterpart of ``begin``."""
        with self._changed:
            self._open -= 1
            self._last_activity = time.monotonic()
            self._changed.notify_all()

    def wait_quiet(self, quiet: float, timeout: float = 30.0) -> bool:
        """Block until no request was open for ``quiet`` seconds; False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                missing = quiet - (now - self._last_activity)
                if not self._open and missing <= 0:
                    return True
                if now >= deadline:
                    return False
                self._changed.wait(min(deadline - now, quiet if self._open else missing))


def is_chat(model: str) -> bool:
    """Whether a model's name is that of the one with the script."""
    return model.rpartition("/")[2] in (CHAT_MODEL, KNOWN_CHAT_MODEL)


def _nothing() -> None:
    """What happens at a hold when nobody waits for it."""


def _handler_for(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and first chunk are separate writes; Nagle would add 40 ms to each reply.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path.endswith("/models"):
                names = (CHAT_MODEL, UTILITY_MODEL, EMBEDDING_MODEL)
                self._json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
            else:
                self._json({"error": {"message": f"no such path: {self.path}"}}, 404)

        def do_POST(self) -> None:
            server.begin()
            try:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                if self.path.endswith("/meanwhile"):
                    server.meanwhile()
                    self._json({})
                else:
                    self._answer(body, server.record(self.path, body))
            except ConnectionError:
                self.close_connection = True  # An intervention ends a reply in the middle.
            finally:
                server.end()

        def _answer(self, body: dict[str, Any], script: str) -> None:
            model = str(body.get("model", ""))
            if self.path.endswith("/embeddings"):
                self._json(embeddings.answer(body))
            elif self.path.endswith("/chat/completions"):
                text = server.reply_to(model, script)
                if body.get("stream"):
                    self._stream(completions.events(model, text, server.chunk_size), model)
                else:
                    # The fake model inside a host cuts the reply itself.
                    if body.get("fake") and is_chat(model):
                        server.pieces_sent += len(list(completions.pieces(text, server.chunk_size)))
                    self._json(completions.answer(model, text))
            elif self.path.endswith("/responses"):
                text = server.reply_to(model, script)
                if body.get("stream"):
                    self._stream(responses.events(body, text, server.chunk_size), model)
                else:
                    self._json(responses.answer(body, text))
            else:
                self._json({"error": {"message": f"no such path: {self.path}"}}, 404)

        def _json(self, payload: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, events: Iterator[str], model: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            held, chat = False, is_chat(model)
            for event in server.pace(events) if chat else events:
                if HOLD in event and not held:
                    held = True
                    server.meanwhile()
                data = event.replace(HOLD, "").encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                server.pieces_sent += chat and isinstance(event, Piece)
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:
            """Silent: the caller prints what it wants to show."""

    return Handler
