"""Plays one scenario on the host that lies on sys.path, and tells what happened."""

import asyncio
import concurrent.futures
import importlib
import io
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from generations import Generation
from scenario import Chat, Scenario

TIMEOUT = 30.0  # seconds; a scenario that takes longer is told as failed
_clock = 1_700_000_000  # every write gets a second of its own: bytecode caches look at whole seconds


class Host:
    """The host's modules under their real names, imported only now."""

    def __init__(self, gen: Generation):
        self.gen = gen
        self.files = snapshot()  # whatever else appears is removed after each scenario
        self.agent = importlib.import_module("agent")
        self.models = importlib.import_module("models")
        self.initialize = importlib.import_module("initialize")
        for name in ("journal", "errors", "mcp_handler", "extension", "defer"):
            setattr(self, name, importlib.import_module(f"{gen.package}.{name}"))
        importlib.import_module(gen.memory_module)
        self.cache = importlib.import_module("helpers.cache") if gen.extensible else None


class Stage:
    """One running scenario; ``do_<verb>`` is what the action ("verb", ...) does."""

    def __init__(self, host: Host, scenario: Scenario):
        self.host, self.scenario = host, scenario
        self.contexts: dict[str, Any] = {}
        self.turns: dict[str, list[Any]] = {chat.name: [] for chat in scenario.chats}
        self.chats = {chat.name: chat for chat in scenario.chats}

    def fire(self, chat: str, key: str) -> None:
        full = key if chat == "main" else f"{chat}/{key}"
        for verb, *args in self.scenario.events.get(full, ()):
            self.host.journal.note("event", at=full, verb=verb)
            getattr(self, f"do_{verb}")(*args)

    def do_write(self, path: str, text: str) -> None:
        """Writes in place: same inode, new mtime."""
        write(path, text)

    def do_write_same_mtime(self, path: str, text: str) -> None:
        write(path, text, os.stat(path).st_mtime_ns)

    def do_write_same_second(self, path: str, text: str) -> None:
        write(path, text, os.stat(path).st_mtime_ns + 5_000_000)

    def do_replace(self, path: str, text: str) -> None:
        """Another inode under the same name and mtime, the way editors save."""
        stamp = os.stat(path).st_mtime_ns
        write(path + ".new", text, stamp)
        os.replace(path + ".new", path)

    def do_delete(self, path: str) -> None:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
        touch_folder(path)

    def do_intervene(self, text: str, chat: str = "main") -> None:
        self.contexts[chat].communicate(self.host.agent.UserMessage(message=text))

    def do_pause(self, chat: str = "main") -> None:
        self.contexts[chat].paused = True

    def do_later(self, seconds: float, verb: str, *args: Any) -> None:
        """Another action after some time, on the loop of the chat that is running."""

        def act() -> None:
            self.host.journal.note("event", at="later", verb=verb)
            getattr(self, f"do_{verb}")(*args)

        asyncio.get_running_loop().call_later(seconds, act)

    def do_once_over(self, chat: str, verb: str, *args: Any) -> None:
        """Another action when the turn of ``chat`` is over, however slow the machine."""
        if self.turns[chat] and self.turns[chat][-1].is_ready():
            self.host.journal.note("event", at=f"end of {chat}", verb=verb)
            getattr(self, f"do_{verb}")(*args)
        else:
            asyncio.get_running_loop().call_later(0.01, self.do_once_over, chat, verb, *args)

    def do_resume(self, chat: str = "main") -> None:
        self.contexts[chat].paused = False

    def do_start(self, chat: str) -> None:
        self.say(chat, 0)

    def do_cancel(self, chat: str = "main") -> None:
        self.contexts[chat].task.kill()

    def do_fail(self) -> None:
        """The connection to the model breaks off."""
        raise ConnectionError("the model is gone")

    def do_profile(self, name: str, chat: str = "main") -> None:
        self.contexts[chat].agent0.config.profile = name

    def do_project(self, name: str, chat: str = "main") -> None:
        self.contexts[chat].set_data("project", name)

    def do_secrets(self, **values: str) -> None:
        write("tmp/secrets.env", "".join(f"{key}={value}\n" for key, value in values.items()))

    def do_mcp(self, servers: dict[str, list[str]], project: str = "") -> None:
        config, server = self.host.mcp_handler.MCPConfig, self.host.mcp_handler.MCPServer
        target = config.get_project_instance(project) if project else config.get_instance()
        target.servers[:] = [
            server(name, {tool: (lambda args, tool=tool: f"mcp {tool}: {args}") for tool in tools})
            for name, tools in servers.items()
        ]

    def do_mcp_refresh(self, name: str, tools: list[str]) -> None:
        """The server says anew what it offers; configuration, server and client stay the same objects."""
        servers = self.host.mcp_handler.MCPConfig.get_instance().servers
        (server,) = (server for server in servers if server.name == name)
        server.client.refresh({tool: (lambda args, tool=tool: f"mcp {tool}: {args}") for tool in tools})

    def do_mcp_disable(self, name: str, tools: list[str]) -> None:
        (server,) = (server for server in self.host.mcp_handler.MCPConfig.get_instance().servers if server.name == name)
        server.disabled_tools = tools

    def do_env(self, name: str, value: str | None) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    def do_clear(self, area: str) -> None:
        self.host.cache.clear(area)

    def do_clear_all(self) -> None:
        self.host.cache.clear_all()

    def do_trim(self, seconds: float) -> None:
        self.host.cache.trim_cache("*", seconds)

    def say(self, chat: str, turn: int) -> None:
        """Sends a message on the loop's own thread: from another one the turn may run before its task is stored."""
        message = self.host.agent.UserMessage(message=self.chats[chat].messages[turn])
        thread = self.chats[chat].thread or "AgentContext"

        async def communicate() -> None:
            self.turns[chat].append(self.contexts[chat].communicate(message))

        if threading.current_thread().name == thread:
            self.turns[chat].append(self.contexts[chat].communicate(message))
        else:
            self.host.defer.EventLoopThread(thread).run_coroutine(communicate()).result(TIMEOUT)

    def open_chat(self, chat: Chat) -> None:
        key = f"{self.scenario.name}/{chat.name}"
        self.host.models.SCRIPTS[key] = driven(self, chat)
        config = self.host.initialize.initialize_agent(key)
        if self.host.gen.profiles:
            config.profile = self.scenario.name
        context = self.host.agent.AgentContext(config=config, id=key, name=chat.name)
        if chat.thread:
            context.task = self.host.defer.DeferredTask(thread_name=chat.thread)
        self.contexts[chat.name] = context


def driven(stage: Stage, chat: Chat) -> Any:
    """The chat's script, whose hooks fire the scenario's events."""

    class DrivenScript(stage.host.models.Script):
        async def before_reply(self, number: int) -> None:
            stage.fire(chat.name, f"reply:{number}")

        async def before_chunk(self, number: int, index: int) -> None:
            stage.fire(chat.name, f"chunk:{number}:{index}")

        async def signal(self, name: str) -> None:
            stage.fire(chat.name, f"signal:{name}")

    return DrivenScript(chat.replies, chat.chunk)


def write(path: str, text: str, mtime_ns: int | None = None) -> None:
    global _clock
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
    if mtime_ns is None:
        _clock += 10
        mtime_ns = _clock * 1_000_000_000
    os.utime(path, ns=(mtime_ns, mtime_ns))
    touch_folder(path)


def touch_folder(path: str) -> None:
    """Import finders cache listings by the folder's mtime, whose clock may be too coarse for two writes."""
    global _clock
    _clock += 10
    os.utime(os.path.dirname(path) or ".", (_clock, _clock))


def play(host: Host, scenario: Scenario) -> dict[str, Any]:
    """The transcript of one scenario; the host's folder is afterwards as it was before."""
    environment = dict(os.environ)
    host.journal.EVENTS.clear()
    sys.stdout, stdout = io.StringIO(), sys.stdout
    try:
        for path, text in scenario.files.items():
            write(path, text)
        if scenario.files:
            time.sleep(0.06)  # until a change that comes now is sure to show
        stage = Stage(host, scenario)
        for chat in scenario.chats:
            stage.open_chat(chat)
        answers = {chat.name: [] for chat in scenario.chats}
        for chat in sorted(scenario.chats, key=lambda chat: chat.waits):
            if not chat.waits:
                stage.fire(chat.name, "turn:1")
                stage.say(chat.name, 0)
        for chat in scenario.chats:
            hear(stage, chat, answers[chat.name])
        settle(host, scenario, answers)
        return transcript(stage, answers, sys.stdout.getvalue())
    finally:
        sys.stdout = stdout
        restore(host, environment)


def hear(stage: Stage, chat: Chat, answers: list[Any]) -> None:
    for turn in range(len(chat.messages)):
        if turn:
            stage.fire(chat.name, f"turn:{turn + 1}")
            stage.say(chat.name, turn)
        try:
            answers.append({"answer": result(stage.turns[chat.name][turn])})
        except BaseException as e:
            formatted = stage.host.errors.format_error(e) if isinstance(e, Exception) else ""
            answers.append({"error": type(e).__name__, "text": str(e), "formatted": formatted})


def result(task: Any) -> Any:
    """Asked for only when it is there: a future that had to wait adds a frame to its exception."""
    concurrent.futures.wait([task._future], TIMEOUT)
    return task.result_sync(0)


def settle(host: Host, scenario: Scenario, answers: dict[str, list[Any]]) -> None:
    """A cancelled chat is answered before its own clean-up has run."""
    if not any(answer.get("error") == "CancelledError" for told in answers.values() for answer in told):
        return
    for thread in {"AgentContext", *(chat.thread for chat in scenario.chats if chat.thread)}:
        host.defer.EventLoopThread(thread).run_coroutine(asyncio.sleep(0.005)).result(TIMEOUT)


def transcript(stage: Stage, answers: dict[str, Any], stdout: str) -> dict[str, Any]:
    events: Any = list(stage.host.journal.EVENTS)
    if stage.scenario.threads:
        events = {where: [] for where in sorted({f"{e['chat']} on {e['thread']}" for e in events})}
        for event in stage.host.journal.EVENTS:
            events[f"{event['chat']} on {event['thread']}"].append(event)
    chats = {}
    for name, context in stage.contexts.items():
        saved = Path("tmp/chats", name, "chat.json")
        agents = [context.agent0]
        while sub := agents[-1].data.get(stage.host.agent.Agent.DATA_NAME_SUBORDINATE):
            agents.append(sub)
        chats[name] = {
            "answers": answers[name],
            "history": {agent.agent_name: agent.history.output() for agent in agents},
            "log": context.log.output(),
            "saved": saved.read_text(encoding="utf-8") if saved.exists() else None,
        }
    return {"chats": chats, "events": events, "stdout": stdout}


def snapshot() -> set[str]:
    return {os.path.join(root, name) for root, _, names in os.walk(".") for name in names}


def restore(host: Host, environment: dict[str, str]) -> None:
    for root, _, names in os.walk(".", topdown=False):
        if root.endswith("__pycache__"):
            continue
        for path in (os.path.join(root, name) for name in names):
            if path not in host.files:
                os.remove(path)
        if root != "." and set(os.listdir(root)) <= {"__pycache__"}:
            shutil.rmtree(root)
    os.environ.clear()
    os.environ.update(environment)
    host.mcp_handler.MCPConfig.get_instance().servers.clear()
    if hasattr(host.mcp_handler.MCPConfig, "clear_project_instances"):
        host.mcp_handler.MCPConfig.clear_project_instances()
    if host.cache:
        host.cache.clear_all()
