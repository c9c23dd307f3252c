"""A monologue whose loop calls extension points around each step, as every generation does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extension_calls
from autoperf.instrumentation.agentzero.dispatch.extension_spans import Points
from autoperf.instrumentation.agentzero.tracing import turns
from autoperf.patching.patch import Switch, replacement

Body = Callable[[], Awaitable[Any]]


class Host:
    """A monologue whose loop calls extension points around each step, as every generation does."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.points = Points(probe)
        self.extensions: dict[str, list[type]] = {}
        self._monologue = turns.monologue(probe)

        class Extension:
            def __init__(self, agent: Any) -> None:
                self.agent = agent

        made = replacement(Extension.__init__, extension_calls.instances(probe), Switch())
        Extension.__init__ = made  # type: ignore[method-assign]
        self.base: Any = Extension

    def extend(self, point: str, name: str, execute: Callable[[Any], Awaitable[Any]]) -> None:
        self.extensions.setdefault(point, []).append(type(name, (self.base,), {"execute": execute}))

    async def call(self, point: str) -> None:
        classes = self.extensions.get(point, [])
        with self.calling(point, classes):
            for cls in classes:
                await cls(agent=None).execute()

    @contextmanager
    def calling(
        self, point: str, classes: list[type] | None = None, *, unsure: bool = False
    ) -> Iterator[None]:
        """One call of an extension point, as the fence begins and ends it."""
        call = self.points.begin(point, classes, unsure=unsure)
        try:
            yield
        except BaseException as error:
            call.end(error)
            raise
        call.end(None)

    async def monologue(self, *steps: Body, name: str = "A0") -> Any:
        agent = SimpleNamespace(agent_name=name, context=SimpleNamespace(id="chat-1"))

        async def body() -> str:
            await self.call("monologue_start")
            for step in steps:
                await self.call("message_loop_start")
                try:
                    await step()
                finally:
                    await self.call("message_loop_end")
            await self.call("monologue_end")
            return "done"

        return await self._monologue(body, agent, (), {})

    def span(self, name: str, **more: Any) -> Any:
        return self.probe.span(name, **more)


async def nothing() -> None:
    """A step in which nothing happens."""


def sleeping(seconds: float) -> Callable[[Any], Awaitable[Any]]:
    async def execute(self: Any) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - as slow extensions do

    return execute
