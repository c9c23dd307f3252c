"""Implicit points that are not empty, or fill while their function runs: everything as without us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.implicit_host import Agent, Host, record, told, warm

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Host]]:
    made: list[Host] = []

    def make(instrumented: bool) -> Host:
        made.append(Host(monkeypatch, instrumented))
        return made[-1]

    yield make
    for host in made:
        host.stop()


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "watches": lambda data: None,
    "result": lambda data: data.update(result="given"),
    "none": lambda data: data.update(result=None),
    "args": lambda data: data.update(args=(lambda: None,)),
    "exception": lambda data: data.update(exception=KeyError("forced")),
    "clears": lambda data: data.update(exception=None),
    "raises": lambda data: 1 / 0,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize("function", ["acts", "acts_late"])
@pytest.mark.parametrize("act", ["returns", "raises"])
def test_points_that_are_not_empty(
    hosts: Callable[[bool], Host], function: str, when: str, change: str, act: str
) -> None:
    def run() -> None:
        if act == "raises":
            raise ValueError("in it")

    def execute(self: Any, data: dict[str, Any], **kwargs: Any) -> None:
        CHANGES[change](data)

    seen = []
    for instrumented in (False, True):
        made = hosts(instrumented)
        warm(made)
        made.put(function, when, execute)
        seen.append([told(made, lambda h: getattr(h.user, function)(run)) for _ in range(3)])
        made.stop()
    assert seen[1] == seen[0]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize("function", ["acts", "acts_late"])
def test_a_point_that_fills_while_it_runs(
    hosts: Callable[[bool], Host], function: str, when: str, fails: bool
) -> None:
    seen = []
    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)

        def act(made: Host = made, log: list[Any] = log) -> None:
            made.put(function, when, record(log, when))
            if fails:
                raise ValueError("in it")

        told(made, lambda h: getattr(h.user, function)(lambda: None))
        seen.append([told(made, lambda h, act=act: getattr(h.user, function)(act)), len(log)])
        assert len(log) == (when == "end")
        made.stop()
    assert seen[1] == seen[0]


@pytest.mark.parametrize("function", ["acts", "acts_late"])
def test_a_project_that_is_opened_while_it_runs(hosts: Callable[[bool], Host], function: str) -> None:
    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        made.put(function, "end", record(log, "end"), project="opened")
        agent = Agent()

        class Act(Agent):
            def __call__(self) -> None:
                self.project = "opened"

        agent = Act()
        told(made, lambda h, a=agent: getattr(h.user, function)(a))
        agent.project = ""
        made.user.RAN.clear()
        told(made, lambda h, a=agent: getattr(h.user, function)(a))
        assert [entry[1] for entry in log] == [agent, agent]
        made.stop()


@pytest.mark.parametrize("project", ["", "opened"])
@pytest.mark.parametrize("bad", [False, True])
def test_an_agent_that_is_being_made_is_none_yet(
    hosts: Callable[[bool], Host], project: str, bad: bool
) -> None:
    seen = []
    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        made.user.Child("", "")
        made.put("Child.__init__", "end", record(log, "end"), project=project)
        for _ in range(3):
            told(made, lambda h: h.user.Child(*(["opened"] if bad else ["opened", ""])))
        seen.append([(entry[0], entry[1], entry[3], entry[4]) for entry in log])
        made.stop()
    assert seen[1] == seen[0]
    assert len(seen[0]) == (0 if project else 3)
    assert all(entry[1] is None for entry in seen[0])


@pytest.mark.parametrize("function", ["acts", "acts_late"])
def test_a_point_that_fills_while_an_agent_is_made(hosts: Callable[[bool], Host], function: str) -> None:
    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        told(made, lambda h: getattr(h.user, function)(lambda: None))
        unborn = object.__new__(Unborn)
        Unborn.then = staticmethod(lambda h=made, kept=log: h.put(function, "end", record(kept, "end")))
        told(made, lambda h, agent=unborn: getattr(h.user, function)(agent))
        assert [entry[1] for entry in log] == [None]
        made.stop()


class Unborn(Agent):
    """Has nothing in it before it is called, and so is no agent to the host."""

    then: Callable[[], None]

    def __call__(self) -> None:
        Agent.__init__(self, "opened")
        self.then()


@pytest.mark.parametrize("function", ["acts", "acts_late"])
def test_a_call_of_extensions_that_is_replaced_while_it_runs_is_asked(
    hosts: Callable[[bool], Host], function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "call_extensions_sync" if function == "acts" else "call_extensions_async"
    for instrumented in (False, True):
        made, called = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        told(made, lambda h: getattr(h.user, function)(lambda: None))
        original = getattr(made.extension, name)

        def theirs(
            point: str, *args: Any, called: Any = called, original: Any = original, **more: Any
        ) -> Any:
            called.append(point)
            return original(point, *args, **more)

        with monkeypatch.context() as patch:
            replace = partial(patch.setattr, made.extension, name, theirs)
            told(made, lambda h, replace=replace: getattr(h.user, function)(replace))
        assert called == [made.point(function, "end")]
        made.stop()


@pytest.mark.parametrize("when", ["start", "end"])
def test_an_extension_of_one_project_runs_for_its_agents_alone(
    hosts: Callable[[bool], Host], when: str
) -> None:
    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        made.put("plain", when, record(log, when), project="opened")
        here, there = Agent("opened"), Agent("other")
        for _ in range(3):
            for agent in (None, here, there):
                told(made, lambda h, agent=agent: h.user.plain(agent))
        assert [entry[1] for entry in log] == [here] * 3
        made.stop()
