"""Agent Zero's HTTP API from outside: send a message, read the log."""

from __future__ import annotations

import http.cookiejar
import itertools
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from autoperf.benchmark.host.checkout import Host
from autoperf.benchmark.host.process import HostError


@dataclass(frozen=True)
class Answer:
    """Status code and decoded body of one HTTP response (the text itself when it is no JSON)."""

    status: int
    body: Any


_numbers = itertools.count(2)


class Client:
    """One user of a running host; keeps the chat it is in, and the session where the host wants one.

    ``timeout`` is in seconds and covers a whole turn: the host answers when the agent has finished.
    """

    def __init__(self, host: Host, port: int, timeout: float = 600.0) -> None:
        self.host = host
        self.context = ""
        self._port = port
        self._base = f"http://127.0.0.1:{port}"
        self._timeout = timeout
        self._headers = {"X-API-KEY": host.api_key} if host.keyed else {}
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        # No proxy: everything is on loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def login(self) -> None:
        """Fetch the CSRF token where the host asks for one; ``HostError`` when it gives none."""
        if self.host.csrf:
            self._headers["X-CSRF-Token"] = self._token("/csrf_token")

    def another(self) -> Client:
        """The same user in a chat that is not open yet."""
        other = Client(self.host, self._port, self._timeout)
        other.login()
        other.leave()
        return other

    def leave(self) -> None:
        """The next message opens a new chat."""
        # Where a chat is not asked for by name, those hosts answer in the first one.
        self.context = "" if self.host.keyed else f"autoperf-{next(_numbers)}"

    def pause(self, paused: bool) -> Answer:
        """Pause the chat, or let it go on; this is a request of the web interface, with its token."""
        return self.interface("pause", {"paused": paused, "context": self.context})

    def interface(self, name: str, payload: dict[str, Any] | None) -> Answer:
        """One request of the web interface, by the name of its handler; without a payload it is a GET."""
        prefix = self.host.message_path.rpartition("/")[0]
        if self.host.guarded and "X-CSRF-Token" not in self._headers:
            self._headers["Origin"] = self._base
            self._headers["X-CSRF-Token"] = self._token(f"{prefix}/csrf_token")
        return self._request(f"{prefix}/{name}", payload)

    def send(self, text: str) -> Answer:
        """Say something in the chat and wait for the agent's answer; the first one opens the chat."""
        if self.host.keyed:
            payload = {"message": text, "context_id": self.context}
        else:
            payload = {"text": text, "context": self.context}
        answer = self._request(self.host.message_path, payload)
        if isinstance(answer.body, dict):
            self.context = answer.body.get("context_id") or answer.body.get("context") or self.context
        return answer

    def log(self) -> Answer:
        """All log items of the chat."""
        if self.host.keyed:
            return self._request(self.host.log_path, {"context_id": self.context, "length": 100_000})
        return self._request(self.host.log_path, {"context": self.context, "log_from": 0})

    def _token(self, path: str) -> str:
        answer = self._request(path)
        if not isinstance(answer.body, dict) or not isinstance(answer.body.get("token"), str):
            raise HostError(f"{path} was answered {answer.status}: {answer.body}")
        return str(answer.body["token"])

    def _request(self, path: str, payload: dict[str, Any] | None = None) -> Answer:
        data = None if payload is None else json.dumps(payload).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=data, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return _decoded(response.status, response.read())
        except urllib.error.HTTPError as error:
            return _decoded(error.code, error.read())


def _decoded(status: int, raw: bytes) -> Answer:
    text = raw.decode("utf-8", "replace")
    try:
        return Answer(status, json.loads(text))
    except ValueError:
        return Answer(status, text)
