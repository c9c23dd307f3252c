"""The check for a user's message or pause: free when idle, and never a moment late."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import interventions
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.tracing.stream_stats import Stream
from autoperf.patching.patch import Patch, PatchSet, Switch

HOST = """
import asyncio
from functools import wraps

class InterventionException(Exception):
    pass

ran = []

async def call_extensions_async(point, agent=None, **kwargs):
    for cls in cache._cache["classes"].get(("none", "none", point), Entry([])).value:
        ran.append(point)

class Entry:
    def __init__(self, value):
        self.value, self.timestamp = value, 0.0

def extensible(func):
    @wraps(func)
    async def run(*args, **kwargs):
        base = "_functions/" + func.__module__ + "/" + func.__qualname__.replace(".", "/")
        await call_extensions_async(base + "/start", args[0])
        result = await func(*args, **kwargs)
        await call_extensions_async(base + "/end", args[0])
        return result
    return run

class Context:
    paused = False
    def get_data(self, name):
        return None

class Config:
    profile = ""

class Agent:
    def __init__(self):
        self.context, self.config, self.intervention, self.waits = Context(), Config(), None, 0

    DECORATOR
    async def handle_intervention(self, progress=""):
        await self.wait_if_paused()
        if self.intervention:
            message, self.intervention = self.intervention, None
            raise InterventionException(message, progress)

    async def wait_if_paused(self):
        while self.context.paused:
            self.waits += 1
            await asyncio.sleep(0)
"""


def make(extensible: bool) -> types.ModuleType:
    module = types.ModuleType("a_small_host")
    exec(HOST.replace("DECORATOR", "@extensible" if extensible else ""), vars(module))
    module.cache = types.SimpleNamespace(_cache={"classes": {}}, _enabled_areas={}, _enabled_global=True)
    return module


@pytest.fixture(params=[False, True], ids=["plain", "extensible"])
def host(request, monkeypatch):
    """A host, its probe, its one patch in place; undone at the end."""
    module = make(request.param)
    monkeypatch.setitem(sys.modules, "a_small_host", module)
    probe = Probe(None)
    points = probe.extension_classes
    if request.param:
        know(module, points)
        build = interventions.extensible(probe, points)
    else:
        build = interventions.plain(probe)
    module.probe, module.is_extensible = probe, request.param
    module.original = vars(module.Agent)["handle_intervention"]
    module.patches = PatchSet([Patch("a_small_host:Agent.handle_intervention", "interventions", build)])
    module.patches.start()
    yield module
    module.patches.stop()


def know(module: types.ModuleType, points: ExtensionClasses) -> None:
    """Let the host's cache know both points as empty, and the reader believe it."""
    base = "_functions/a_small_host/Agent/handle_intervention/"
    area = module.cache._cache["classes"]
    for when in ("start", "end"):
        area["none", "none", base + when] = module.Entry([])

    def lookup(point, agent=None):
        return area["none", "none", point].value

    points.bind({"cache": module.cache, "_get_extension_classes": lookup, "_CLASSES_CACHE_AREA": "classes"})
    assert points.of(base + "start", None) == []


def counts(host) -> tuple[int, int, int]:
    row = host.probe.interventions.as_row()
    return row["calls"], row["waited"], row["raised"]


def test_idle_calls_are_counted_and_nothing_else(host):
    agent = host.Agent()

    async def idle() -> None:
        for _ in range(5):
            assert await agent.handle_intervention() is None

    asyncio.run(idle())
    assert counts(host) == (5, 0, 0)
    assert host.probe.interventions.busy == 0


def test_a_pending_message_is_raised_at_the_very_next_call(host):
    agent = host.Agent()

    async def turn() -> None:
        await agent.handle_intervention()
        agent.intervention = "stop"
        with pytest.raises(host.InterventionException) as caught:
            await agent.handle_intervention("so far")
        assert caught.value.args == ("stop", "so far")
        await agent.handle_intervention()

    asyncio.run(turn())
    assert counts(host) == (3, 0, 1)


def test_the_model_call_that_a_pause_holds_up_is_told_of_it(host):
    agent = host.Agent()
    stream = Stream()
    stream._inside = True

    async def turn() -> None:
        host.probe.stream.set(stream)
        agent.context.paused = True
        check = asyncio.ensure_future(agent.handle_intervention())
        await asyncio.sleep(0.001)
        agent.context.paused = False
        await check

    asyncio.run(turn())
    assert stream._waited > 0


def test_a_pause_holds_until_it_ends(host):
    agent = host.Agent()
    order: list[str] = []

    async def turn() -> None:
        agent.context.paused = True
        check = asyncio.ensure_future(agent.handle_intervention())
        check.add_done_callback(lambda _: order.append("went on"))
        for _ in range(5):
            await asyncio.sleep(0)
        order.append("still paused")
        agent.context.paused = False
        await check

    asyncio.run(turn())
    assert order == ["still paused", "went on"]
    assert agent.waits >= 3
    assert counts(host) == (1, 1, 0)


def test_a_cancelled_wait_is_cancelled(host):
    agent = host.Agent()
    agent.context.paused = True

    async def turn() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(agent.handle_intervention(), 0.01)

    asyncio.run(turn())


def test_undone_to_the_identical_function(host):
    host.patches.stop()
    assert vars(host.Agent)["handle_intervention"] is host.original


def test_wrapped_by_someone_else_it_goes_inert(host):
    ours = host.Agent.handle_intervention

    async def theirs(self, progress=""):
        return await ours(self, progress)

    host.Agent.handle_intervention = theirs
    host.patches.stop()
    assert host.Agent.handle_intervention is theirs
    agent = host.Agent()
    agent.intervention = "still heard"
    with pytest.raises(host.InterventionException):
        asyncio.run(agent.handle_intervention())
    assert counts(host)[2] == 0, "it stopped counting"


def test_another_signature_is_left_alone():
    async def handle_intervention(self, progress="", more=None): ...

    with pytest.raises(AutoperfError):
        interventions.plain(Probe(None))(handle_intervention, Switch())


only_extensible = pytest.mark.parametrize("host", [True], indirect=True, ids=["extensible"])


@only_extensible
@pytest.mark.parametrize("when", ["start", "end"])
def test_an_extension_is_run_from_the_call_after_it_appeared(host, when):
    agent = host.Agent()
    point = f"_functions/a_small_host/Agent/handle_intervention/{when}"
    area = host.cache._cache["classes"]
    asyncio.run(agent.handle_intervention())
    assert host.ran == []
    area["none", "none", point] = host.Entry([object])
    asyncio.run(agent.handle_intervention())
    assert host.ran == [point]
    del area["none", "none", point]  # the host forgot: it must look again itself
    asyncio.run(agent.handle_intervention())
    assert host.probe.interventions.busy == 2


@only_extensible
def test_a_subclass_that_waits_in_its_own_way_is_asked(host):
    asked: list[int] = []

    class Patient(host.Agent):
        async def wait_if_paused(self):
            asked.append(1)

    asyncio.run(Patient().handle_intervention())
    assert asked == [1]


@only_extensible
def test_a_class_whose_waiting_was_replaced_is_asked(host, monkeypatch):
    asked: list[int] = []

    async def wait_if_paused(self):
        asked.append(1)

    monkeypatch.setattr(host.Agent, "wait_if_paused", wait_if_paused)
    asyncio.run(host.Agent().handle_intervention())
    assert asked == [1]


@only_extensible
def test_the_fast_path_is_off_when_the_switch_is(host):
    wrapper = host.Agent.handle_intervention
    host.patches.rows[0].switch.on = False
    asyncio.run(wrapper(host.Agent()))
    assert counts(host)[0] == 0
