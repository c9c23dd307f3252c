"""Random programs of functions that call each other, fail and change what is extended: all the same."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests import implicit_host
from tests.implicit_host import Agent, Host, told

pytestmark = pytest.mark.slow

FUNCTIONS = """
import inspect
from agent import Agent
from implicit_extension import extensible, _UNSET

RAN = []

def perform(steps, run):
    out = []
    for kind, *step in steps:
        if kind == "nothing":
            return _UNSET
        try:
            out.append(getattr(run, kind)(*step))
        except Exception as error:
            after(error, step[-1])
    return out

async def perform_late(steps, run):
    out = []
    for kind, *step in steps:
        if kind == "nothing":
            return _UNSET
        try:
            found = getattr(run, kind)(*step)
            out.append(await found if inspect.isawaitable(found) else found)
        except Exception as error:
            after(error, step[-1])
    return out

def after(error, how):
    RAN.append(repr(error))
    if how == "chained":
        raise RuntimeError("wrapped") from error
    if how == "another":
        raise RuntimeError("while handling")
    if how != "caught":
        raise error

@extensible
def plain(agent, steps, run):
    return perform(steps, run)

@extensible
async def late(agent, steps, run):
    return await perform_late(steps, run)

class Thing:
    @extensible
    def method(self, agent, steps, run):
        return perform(steps, run)

    @extensible
    async def later(self, agent, steps, run):
        return await perform_late(steps, run)

CALLED = {"plain": plain, "late": late, "Thing.method": Thing().method, "Thing.later": Thing().later}
"""
PLAIN = ("plain", "Thing.method")
LATE = ("late", "Thing.later")
ERRORS = (
    ValueError, KeyError, StopIteration, TypeError, asyncio.CancelledError, SystemExit, GeneratorExit,
)  # fmt: skip
# What an extension does to the call around which it runs.
CHANGES: dict[str, Any] = {
    "watches": lambda data: None,
    "gives": lambda data: data.update(result=("given",)),
    "fails": lambda data: data.update(exception=KeyError("forced")),
    "forgives": lambda data: data.update(exception=None),
    "raises": lambda data: 1 / 0,
    "empties": lambda data: data.update(args=(*data["args"][:-2], [], *data["args"][-1:])),
}


class Run:
    """What the functions of one host do, step by step."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.agents = (None, Agent("opened"), Agent())
        self.seen: list[Any] = []

    def call(self, name: str, agent: int, steps: Any, fits: bool, _how: str = "") -> Any:
        function = self.host.user.CALLED[name]
        return function(self.agents[agent], *((steps, self) if fits else ()))

    def fail(self, kind: int, _how: str) -> None:
        raise ERRORS[kind](f"number {len(self.seen)}")

    def extend(self, name: str, when: str, change: str, project: str, _how: str) -> None:
        def execute(extension: Any, data: dict[str, Any], **_: Any) -> None:
            agent = self.agents.index(extension.agent)
            self.seen.append((name, when, agent, len(data["args"]), str(data["exception"])))
            CHANGES[change](data)

        self.host.put(name, when, execute, project=project)

    def forget(self, name: str, when: str, _how: str) -> None:
        self.host.extension.DISK.pop(self.host.point(name, when), None)
        self.host.cache.clear("classes")

    def log(self, on: bool, _how: str) -> None:
        os.environ.pop("EXTENSIONS_LOG", None)
        if on:
            os.environ["EXTENSIONS_LOG"] = "0"


def program(chance: random.Random, depth: int, names: tuple[str, ...]) -> list[Any]:
    steps: list[Any] = []
    for _ in range(chance.randint(1, 3)):
        kind = chance.choice(["call", "call", "call", "extend", "extend", "fail", "forget", "log", "nothing"])
        name, when = chance.choice(PLAIN + LATE), chance.choice(["start", "end"])
        how = chance.choice(["caught", "chained", "another", "again"])
        if kind == "call" and depth:
            name = chance.choice(names)
            inner = program(chance, depth - 1, PLAIN if name in PLAIN else PLAIN + LATE)
            steps.append((kind, name, chance.randrange(3), inner, chance.random() > 0.15, how))
        elif kind == "extend":
            change = chance.choice(list(CHANGES))
            steps.append((kind, name, when, change, chance.choice(["", "", "opened"]), how))
        elif kind == "fail" and chance.random() < 0.5:
            steps.append((kind, chance.randrange(len(ERRORS)), how))
        elif kind == "forget":
            steps.append((kind, name, when, how))
        elif kind == "log":
            steps.append((kind, chance.random() < 0.3, how))
        elif kind == "nothing" and chance.random() < 0.3:
            steps.append((kind,))
    return steps


def performed(host: Host, seed: int) -> list[Any]:
    chance, run = random.Random(seed), Run(host)
    for name in PLAIN + LATE:
        for agent in range(3):
            for _ in range(2):  # points are known from their first call on
                if inspect.isawaitable(found := run.call(name, agent, [], True)):
                    asyncio.run(_awaited(found))
    found = []
    for _ in range(4):
        name = chance.choice(PLAIN + LATE)
        steps = program(chance, 3, PLAIN if name in PLAIN else PLAIN + LATE)
        agent = chance.randrange(3)
        found.append(told(host, lambda _, n=name, a=agent, s=steps: run.call(n, a, s, True)))
        host.user.RAN.clear()
    return [*found, run.seen]


async def _awaited(what: Any) -> Any:
    return await what


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(implicit_host, "USER", FUNCTIONS)
    monkeypatch.delenv("EXTENSIONS_LOG", raising=False)
    yield
    os.environ.pop("EXTENSIONS_LOG", None)


@pytest.mark.parametrize("first", [0, 20, 40, 60])
def test_random_programs(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(first, first + 20):
        told_by = []
        for instrumented in (False, True):
            host = Host(monkeypatch, instrumented)
            try:
                told_by.append(performed(host, seed))
            finally:
                host.stop()
                os.environ.pop("EXTENSIONS_LOG", None)
        assert told_by[1] == told_by[0], seed
