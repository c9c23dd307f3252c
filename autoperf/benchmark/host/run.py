"""One conversation with a fresh copy of an Agent Zero checkout, and all it sent, said and stored."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.checkout import Host, configure, describe
from autoperf.benchmark.host.http_client import Answer, Client
from autoperf.benchmark.host.process import START_TIMEOUT, HostError, HostHungError, HostProcess
from autoperf.benchmark.host.sandbox import Sandbox, make_repository, switch_off
from autoperf.benchmark.model import stand_in
from autoperf.benchmark.model.pace import Pace, wait_idle
from autoperf.benchmark.model.rate import Rate
from autoperf.benchmark.model.server import ModelServer, Recorded, is_chat
from autoperf.benchmark.scenarios.acts import Acts
from autoperf.benchmark.scenarios.conversation import Conversation
from autoperf.benchmark.scenarios.script import unmet

# Memorising and renaming go on after the answer; the last of them is this many seconds behind it at most.
QUIET = 0.7

# Seconds it may take a host to come to rest between two requests, and how often it is looked at.
_RESTLESS, _LOOKS = 5.0, 8

# v1.x and later sometimes hang while they start, without any instrumentation: then try again.
STARTS = 3


@dataclass(frozen=True)
class TurnResult:
    """One message: the HTTP answer, wall seconds until it came, CPU seconds of the host until then.

    ``children`` are CPU seconds of processes that the host started and that ended meanwhile; ``steps`` and
    ``chunks`` are the chat model's replies and the pieces they came in.
    """

    answer: Answer
    wall: float
    cpu: float | None
    children: float | None = None
    steps: int = 0
    chunks: int = 0


@dataclass
class Run:
    """What one run left behind; ``requests`` are the prompts sent, ``chat`` is the persisted chat file.

    ``start_wall`` and ``start_cpu`` are seconds to the open port, ``peak_kib`` the host's memory at most.
    ``tenths`` is the CPU of each tenth of the long reply, in seconds a chunk.
    """

    start_wall: float = 0.0
    start_cpu: float | None = None
    peak_kib: int | None = None
    tenths: list[float] = field(default_factory=list)
    turns: list[TurnResult] = field(default_factory=list)
    requests: list[Recorded] = field(default_factory=list)
    log: Any = None
    chat: Any = None
    context: str = ""
    pid: int = 0
    exit_status: int = 0
    output: str = ""
    hung: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    observed: list[Any] = field(default_factory=list)
    meanwhile: list[Any] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)


def unseen(describe: Callable[[], str]) -> None:
    """What is made of a stage that is not shown."""


def interpreter(checkout: Path, named: str | None = None) -> str:
    """The Python of a checkout: the one that was named, else its own ``.venv``, else this one."""
    own = checkout / ".venv" / "bin" / "python"
    return named or (str(own) if own.exists() else sys.executable)


def run(
    checkout: Path,
    conversation: Conversation,
    workdir: Path,
    *,
    python: str | None = None,
    prefix: Sequence[str] = (),
    extra_env: Mapping[str, str] | None = None,
    provider: str = "other",
    chunk_size: int = 24,
    observe: Callable[[HostProcess], Any] | None = None,
    tenths: bool = False,
    repository: bool = False,
    fake: bool = False,
    timeout: float = 600.0,
    rate: float | None = None,
    start_timeout: float = START_TIMEOUT,
    stage: Callable[[Callable[[], str]], object] = unseen,
) -> Run:
    """Hold ``conversation`` with a copy of ``checkout`` in ``workdir``, started behind ``prefix``.

    Two runs to be compared take the same ``workdir`` one after the other, so that paths are equal in both.
    ``observe`` is called with the live process after every turn, its results are kept in ``Run.observed``.
    With ``tenths`` the longest streams stop at every tenth to find out what it cost; ``repository`` makes the
    copy a git repository; with ``fake`` the copy has no model client (see `standin`); an answer is waited for
    ``timeout`` seconds, and comes at ``rate`` tokens a second. The port is waited for ``start_timeout``
    seconds. ``stage`` is given a function that tells how far the run has come.
    Raises ``HostError`` when the host does not start, or a turn does not go as its script says.
    """
    folder = workdir / "agent-zero"
    result = Run()
    with ModelServer(chunk_size=chunk_size) as model, contextlib.ExitStack() as cleanup:
        sandbox = Sandbox(workdir)
        command = [*prefix, interpreter(checkout, python), "run_ui.py"]
        environment = sandbox.environment(extra_env or {})

        def start() -> tuple[Host, HostProcess]:
            stage(lambda: "starting the host")
            host = prepare(checkout, folder, model.url, conversation, provider, repository, python)
            if fake:
                stand_in.install(folder, chunk_size)
            return host, HostProcess(command, folder, environment, workdir / "output.txt")

        host, process = _started(start, result, start_timeout)
        cleanup.callback(_finish, process, sandbox, result)
        _settle(process, model)
        result.pid = process.pid
        pace = Pace(process)
        if rate is not None:
            model.pace = Rate(rate, chunk_size)
        elif tenths and not fake:
            model.pace = pace
        client = Client(host, process.port, timeout)
        try:
            client.login()
            acts = Acts(client, model)
            time.sleep(conversation.settle)
            model.meanwhile = acts.perform_next
            for number, turn in enumerate(conversation.turns, 1):
                here = f"message {number} of {len(conversation.turns)}"
                stage(partial(_sent, here, model))
                model.script(turn.replies)
                acts.plan(turn.meanwhile)
                if turn.fresh:
                    client.leave()
                result.turns.append(_take(process, client, turn.message, model, pace))
                acts.finish()
                _settle(process, model)
                if problem := unmet(turn, result.turns[-1].answer, acts, model):
                    raise HostError(f"{here} {problem}")
                if observe:
                    result.observed.append(observe(process))
            result.log = client.log().body
        except (OSError, HostError) as error:
            said = "does not answer" if isinstance(error, OSError) else "does not do as scripted"
            raise HostError(f"{_name(prefix)} {said}: {error}\n{process.tail()}") from error
        result.context, result.meanwhile = client.context, acts.results
        result.beside = dict.fromkeys(acts.contexts)
        result.peak_kib = process.peak_kib()
        result.tenths = stand_in.tenths(folder) if fake else pace.tenths()
        cleanup.close()
        result.requests = list(model.requests)
    result.chat = _stored_chat(folder, result.context)
    if conversation.turns and result.chat is None:
        raise HostError(f"{_name(prefix)} does not do as scripted: it stored no chat\n{process.tail()}")
    result.beside = {context: _stored_chat(folder, context) for context in result.beside}
    return result


def prepare(
    checkout: Path,
    folder: Path,
    model_url: str,
    conversation: Conversation | None = None,
    provider: str = "other",
    repository: bool = False,
    python: str | None = None,
) -> Host:
    """Put a fresh copy of ``checkout`` into ``folder``, configured for the scripted model."""
    describe(checkout)  # before anything is copied: is it one at all?
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns(".venv", ".git", "__pycache__")
    shutil.copytree(checkout, folder, symlinks=True, ignore=left_out)
    switch_off(folder)
    if repository:
        try:
            make_repository(folder)
        except (OSError, subprocess.SubprocessError) as error:
            raise HostError(f"no git repository could be made of the copy: {error}") from error
    host = describe(folder)
    wanted = conversation or Conversation("", ())
    places = {"{python}": interpreter(checkout, python), "{root}": str(folder)}
    settings = {key: _placed(value, places) for key, value in wanted.settings.items()}
    configure(host, model_url, wanted.tool_files, provider, settings)
    return host


def _placed(value: Any, places: Mapping[str, str]) -> Any:
    for mark, place in places.items():
        value = value.replace(mark, place) if isinstance(value, str) else value
    return value


def _started(
    start: Callable[[], tuple[Host, HostProcess]], result: Run, timeout: float
) -> tuple[Host, HostProcess]:
    """The first of up to ``STARTS`` processes that opens its port; hung ones are kept in ``result.hung``."""
    while True:
        host, process = start()
        try:
            result.start_wall = process.wait_until_open(timeout)
            result.start_cpu = process.cpu_seconds()
            return host, process
        except HostHungError as error:
            process.stop()
            result.hung.append(str(error))
            if len(result.hung) == STARTS:
                raise
        except BaseException:
            process.stop()
            raise


def _name(prefix: Sequence[str]) -> str:
    return f"the host behind {Path(prefix[0]).name}" if prefix else "the bare host"


def _sent(here: str, model: ModelServer) -> str:
    return f"{here}, {model.pieces_sent} chunks"


def _settle(process: HostProcess, model: ModelServer) -> None:
    """Wait for what goes on beside the conversation: until no request is open and the host is at rest."""
    for _ in range(_LOOKS):
        model.wait_quiet(QUIET)
        if process.cpu_seconds() is None:
            return
        # On a busy machine more than a moment passes between two requests of the same task.
        if wait_idle(process, _RESTLESS) and model.wait_quiet(QUIET, timeout=0):
            return


def _finish(process: HostProcess, sandbox: Sandbox, result: Run) -> None:
    result.exit_status = process.stop()
    result.refused = sandbox.attempts()
    result.output = process.output.read_text(encoding="utf-8", errors="replace")


def _take(process: HostProcess, client: Client, message: str, model: ModelServer, pace: Pace) -> TurnResult:
    chunks, requests, idle = model.pieces_sent, len(model.requests), pace.idle
    children, cpu, begun = process.children_seconds(), process.cpu_seconds(), time.monotonic()
    answer = client.send(message)
    wall, cpu_after = time.monotonic() - begun, process.cpu_seconds()
    children_after = process.children_seconds()
    return TurnResult(
        answer,
        wall - (pace.idle - idle),
        _difference(cpu_after, cpu),
        _difference(children_after, children),
        sum(is_chat(request.model) for request in model.requests[requests:]),
        model.pieces_sent - chunks,
    )


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _stored_chat(folder: Path, context: str) -> Any:
    for chats in ("usr/chats", "tmp/chats"):
        path = folder / chats / context / "chat.json"
        if context and path.is_file():
            chat = json.loads(path.read_text(encoding="utf-8"))
            # Histories are JSON inside JSON: as data they are compared, and shown, field by field.
            for agent in chat.get("agents", []):
                if isinstance(agent.get("history"), str):
                    agent["history"] = json.loads(agent["history"])
            return chat
    return None
