"""A small agent and the model it reads from, in a loop whose clock goes on only when all of them wait."""

from __future__ import annotations

import asyncio
import selectors
import sys
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.streaming.throttle import Throttle
from autoperf.patching.patch import Switch, replacement, wrapping

SOURCE = """
import asyncio, json

class InterventionException(Exception):
    pass

class DirtyJson:
    @staticmethod
    def parse_string(text):
        return {} if text.lstrip().startswith("{") else None

class Context:
    paused = False

class Agent:
    ends = "json"

    def __init__(self, model):
        self.model, self.context, self.intervention = model, Context(), None
        self.seen, self.fails_at = [], None

    async def handle_intervention(self, progress=""):
        while self.context.paused:
            await asyncio.sleep(0.1)
        if self.intervention:
            raise InterventionException(self.intervention)

    async def note(self, kind, chunk, full):
        await self.handle_intervention()
        self.seen.append((kind, chunk, full, round(asyncio.get_running_loop().time(), 6)))
        if self.fails_at is not None and self.fails_at in full:
            raise ValueError("an extension")

    async def monologue(self):
        async def reasoning_callback(chunk, full):
            await self.note("reasoning", chunk, full)

        async def stream_callback(chunk, full):
            await self.note("response", chunk, full)
            return self.ended(full)

        return await self.model.unified_call(
            response_callback=stream_callback, reasoning_callback=reasoning_callback
        )

    def ended(self, full):
        if self.ends == "json":
            try:
                json.loads(full)
            except ValueError:
                return None
            return full
        return full if self.ends in full else None

    async def others(self):
        async def stream_callback(chunk, full):
            self.seen.append(("other", chunk, full, 0.0))

        return await self.model.unified_call(response_callback=stream_callback)

class Model:
    async def unified_call(self, response_callback=None, reasoning_callback=None, tokens_callback=None):
        texts = {"content": "", "reasoning_content": ""}
        callbacks = {"content": response_callback, "reasoning_content": reasoning_callback}
        async for chunk in await acompletion():
            for kind, text in chunk["choices"][0]["delta"].items():
                if text == "over":
                    return texts["content"]
                if text == "wrong":
                    raise ConnectionError(text)
                if text == "thought":
                    kind = "reasoning_content"
                texts[kind] += text
                stopped = await callbacks[kind](text, texts[kind])
                if stopped is not None:
                    return stopped
        return texts["content"]
"""
Chunk = tuple[float, str]


class Virtual(asyncio.SelectorEventLoop):
    """Waiting takes no time, and the clock says that it did."""

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self.now = 1000.0

    def time(self) -> float:
        return self.now


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: Virtual) -> None:
        super().__init__()
        self._of = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everybody waits, for nothing")
        if timeout > 0:
            self._of.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """What ``work`` comes to, by a clock of its own; tasks that it leaves behind are given a moment."""

    async def everything() -> Any:
        try:
            return await work
        finally:
            await asyncio.sleep(1)

    loop = Virtual()
    try:
        return loop.run_until_complete(everything())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class Host:
    """The agent, its model's answer as (seconds before it, text), and what became of the stream."""

    def __init__(self, module: Any, probe: Probe, throttle: Throttle | None) -> None:
        self.module = module
        self.probe = probe
        self.throttle = throttle
        self.agent = module.Agent(module.Model())
        self.read = 0
        self.closed_at: float | None = None
        self.closed_by = ""
        self.error: BaseException | None = None
        self.switch = Switch()  # of the row that throttles
        module.acompletion = self._acompletion()

    def _acompletion(self) -> Callable[..., Any]:
        async def acompletion() -> Any:
            return self.stream()

        return acompletion if self.throttle is None else wrapped(acompletion, self.throttle.answer)

    async def stream(self) -> AsyncIterator[Any]:
        try:
            for delay, text in self.answer:
                await asyncio.sleep(delay)
                self.read += 1
                kind = "reasoning_content" if text.startswith("~") else "content"
                yield {"choices": [{"delta": {kind: text.removeprefix("~")}}]}
            if self.error is not None:
                raise self.error
        except BaseException as error:
            self.closed_by = type(error).__name__
            raise
        finally:
            self.closed_at = asyncio.get_running_loop().time()

    def ask(self, answer: list[Chunk], *events: tuple[float, Callable[[Any], Any]]) -> Any:
        """What the agent makes of ``answer``, or the exception; events are done to it at their times."""
        self.answer = answer

        async def asked() -> Any:
            loop = asyncio.get_running_loop()
            for at, event in events:
                loop.call_at(1000.0 + at, event, self.agent)
            try:
                return await self.agent.monologue()
            except Exception as error:
                return error

        return run(asked())

    @property
    def deliveries(self) -> list[tuple[str, str]]:
        return [(chunk, full) for _, chunk, full, _ in self.agent.seen]

    @property
    def times(self) -> list[float]:
        return [round(at - 1000.0, 6) for *_, at in self.agent.seen]

    def text(self, kind: str) -> str:
        return "".join(chunk for one, chunk, *_ in self.agent.seen if one == kind)


def _passing(check: Any) -> Any:
    async def handle_intervention(self: Any, progress: str = "") -> Any:
        return await check(self, progress)

    return handle_intervention


def wrapped(original: Any, wrapper: Any) -> Any:
    return replacement(original, wrapping(wrapper), Switch())


@contextmanager
def hosts(hz: float = 20.0, source: str = SOURCE) -> Iterator[Callable[..., Host]]:
    """Makes hosts, bare ones and throttled ones; their module is that of the last one made."""
    before = sys.modules.get("agent")

    def make(*, throttled: bool = True, checked: bool = True) -> Host:
        module: Any = types.ModuleType("agent")
        exec(compile(source, "agent.py", "exec", dont_inherit=True), vars(module))
        sys.modules["agent"] = module
        probe = Probe(None)
        probe.stream_hz = hz
        throttle, switch = Throttle(probe) if throttled else None, Switch()
        if throttle is not None:
            build = throttle.joined(throttle.call)
            module.Model.unified_call = replacement(module.Model.unified_call, build, switch)
            if checked:
                # Decorated by another module, as the host's are from v0.9.9 on.
                check = wraps(module.Agent.handle_intervention)(_passing(module.Agent.handle_intervention))
                module.Agent.handle_intervention = replacement(check, throttle.check, switch)
        host = Host(module, probe, throttle)
        host.switch = switch
        return host

    try:
        yield make
    finally:
        sys.modules.pop("agent", None)
        if before is not None:
            sys.modules["agent"] = before
