"""What autoperf adds to one call, as multiples of what an empty wrapper adds in the same run; tracing on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extension_calls as extensions
from autoperf.instrumentation.agentzero.dispatch import interventions
from autoperf.instrumentation.agentzero.tracing import tool_lookup
from autoperf.instrumentation.agentzero.tracing.turn import Turn
from autoperf.patching.patch import Switch, replacement
from autoperf.process.config import Config
from autoperf.telemetry.tracing import Telemetry


class InterventionException(Exception):  # noqa: N818 - the host's name
    """What the host hands a user's message to the agent with."""


pytest.importorskip("pytest_benchmark")

Call = Callable[[], Awaitable[Any]]
ROUNDS, ITERATIONS = 15, 500


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    config = Config.from_environ(home=tmp_path, quiet=True)
    telemetry = Telemetry.start(config, resource={}, snapshot=dict, store_dir=config.state_dir)
    yield Probe(telemetry)
    telemetry.shutdown()


@pytest.fixture
def multiples(benchmark: Any, probe: Probe) -> Callable[[Call, Call], None]:
    """Record ``empties``: what the second of two calls takes more than the first, in empty wrappers."""

    async def empty_host(self: Any, value: Any = None) -> Any:
        return value

    async def empty_wrapper(*args: Any, **kwargs: Any) -> Any:
        return await empty_host(*args, **kwargs)

    async def measure(bare: Call, ours: Call) -> None:
        with probe.span("a message", new_trace=True):
            probe.turn.set(Turn("A0", "a chat"))
            empty = await _seconds(lambda: empty_wrapper(None)) - await _seconds(lambda: empty_host(None))
            added = await _seconds(ours) - await _seconds(bare)
        benchmark.extra_info["empty_us"] = round(empty * 1e6, 3)
        benchmark.extra_info["added_us"] = round(added * 1e6, 3)
        benchmark.extra_info["empties"] = round(added / empty, 1)

    def run(bare: Call, ours: Call) -> None:
        benchmark.pedantic(lambda: asyncio.run(measure(bare, ours)), rounds=1)
        assert "empties" in benchmark.extra_info

    return run


async def _seconds(call: Call) -> float:
    rounds = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(ITERATIONS):
            await call()
        rounds.append((time.thread_time() - begun) / ITERATIONS)
    return min(rounds)


def extension_calls(probe: Probe, count: int) -> tuple[Callable[[str], Awaitable[Any]], ...]:
    """The host's call of a point with ``count`` extensions, bare and with statistics."""

    def made(patched: bool) -> Callable[[str], Awaitable[Any]]:
        class Extension:
            def __init__(self, agent: Any = None, **_kwargs: Any) -> None:
                pass

            async def execute(self, **_kwargs: Any) -> None:
                pass

        async def call_extensions(extension_point: str, agent: Any = None, **kwargs: Any) -> None:
            for _ in range(count):
                await Extension(agent=agent).execute(**kwargs)

        if not patched:
            return call_extensions
        constructor = replacement(Extension.__init__, extensions.instances(probe), Switch(), "constructor")
        Extension.__init__ = constructor  # type: ignore[method-assign]
        found: Callable[[str], Awaitable[Any]]
        found = replacement(call_extensions, extensions.of_module(probe), Switch(), "extension call")
        return found

    return made(patched=False), made(patched=True)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("point", ["response_stream", "tool_execute_before"])
def test_extension_call_with_statistics(multiples, probe, point, count):
    bare, ours = extension_calls(probe, count)
    multiples(lambda: bare(point), lambda: ours(point))


def test_handle_intervention_idle(multiples, probe):
    class Agent:
        context = SimpleNamespace(paused=False)
        intervention = None

        async def handle_intervention(self, progress: str = "") -> Any:
            if self.context.paused:
                await asyncio.sleep(0.1)
            if self.intervention:
                raise InterventionException(progress)

    bare, agent = Agent.handle_intervention, Agent()
    ours = replacement(bare, interventions.plain(probe), Switch(), "handle_intervention")
    multiples(lambda: bare(agent), lambda: ours(agent))


def test_get_tool_with_tracing(multiples, probe):
    class Tool:
        agent = None

        async def execute(self, **_kwargs: Any) -> None:
            pass

    class Agent:
        agent_name = "A0"

        def get_tool(self, name: str, **_kwargs: Any) -> Any:
            return Tool()

    bare, agent = Agent.get_tool, Agent()
    ours = replacement(bare, tool_lookup.lookup(probe, None), Switch(), "get_tool")

    async def calling(get_tool: Callable[..., Any]) -> None:
        get_tool(agent, name="a_tool")

    multiples(lambda: calling(bare), lambda: calling(ours))
