"""What goes on right now: begun, gone on, ended; chats, subordinates, parallel tools, and trouble."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.activity.activity import Underway
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import tool_execution, turns
from tests.turns.host import Host

Rows = list[tuple[Any, ...]]


class Tool:
    """A tool that waits for ``gate``, as the host would make it."""

    def __init__(self, agent: Any, gate: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.agent = agent
        self.gate = gate
        self.error = error

    async def execute(self, **_: Any) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return SimpleNamespace(message="secret words", break_loop=False)


def agent(name: str = "A0", chat: str = "chat-1") -> Any:
    return SimpleNamespace(agent_name=name, context=SimpleNamespace(id=chat))


def rows(probe: Probe) -> Rows:
    return [
        tuple(row.get(key) for key in ("kind", "name", "agent", "chat", "step"))
        for row in probe.underway.as_rows()
    ]


def watched(probe: Probe, tool: Tool, name: str) -> Tool:
    tool_execution.watch(probe, tool, name, kind="function")
    return tool


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_step_with_two_tools_at_once_then_the_next_step() -> None:
    probe = Probe(None)
    host = Host(probe)

    async def main() -> None:
        gate, seen = asyncio.Event(), []

        async def both() -> None:
            tools = [watched(probe, Tool(agent(), gate), name) for name in ("slow", "slower")]
            running = [asyncio.ensure_future(tool.execute(text="secret words")) for tool in tools]
            await settle()
            seen.append(rows(probe))
            gate.set()
            await asyncio.gather(*running)

        async def then() -> None:
            seen.append(rows(probe))

        await host.monologue(both, then)
        first, second = seen
        assert first == [
            ("agent", None, "A0", "chat-1", 1),
            ("tool", "slow", "A0", "chat-1", None),
            ("tool", "slower", "A0", "chat-1", None),
        ]
        assert second == [("agent", None, "A0", "chat-1", 2)]

    asyncio.run(main())
    assert rows(probe) == []


def test_chats_beside_each_other_and_a_subordinate_below_its_tool() -> None:
    probe = Probe(None)
    said = turns.message(probe)
    monologue = turns.monologue(probe)

    async def main() -> None:
        gate = asyncio.Event()

        async def subordinate() -> None:
            await gate.wait()

        async def chat(number: int) -> None:
            superior, inferior = agent("A0", f"chat-{number}"), agent("A1", f"chat-{number}")

            class Call(Tool):
                async def execute(self, **_: Any) -> Any:
                    return await monologue(subordinate, inferior, (), {})

            async def body() -> None:
                await watched(probe, Call(superior), "call_subordinate").execute()

            async def chain(*_: Any) -> None:
                await monologue(body, superior, (), {})

            await said(chain, None, (superior, "secret words"), {})

        running = [asyncio.ensure_future(chat(number)) for number in (1, 2)]
        await settle()
        for number in (1, 2):
            of_chat = [row[:3] for row in rows(probe) if row[3] == f"chat-{number}"]
            assert of_chat == [
                ("message", None, "A0"),
                ("agent", None, "A0"),
                ("tool", "call_subordinate", "A0"),
                ("agent", None, "A1"),
            ]
        assert "secret" not in json.dumps(probe.underway.as_rows())
        running[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running[0]
        assert {row[3] for row in rows(probe)} == {"chat-2"}
        gate.set()
        await running[1]

    asyncio.run(main())
    assert rows(probe) == []


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y")])
def test_what_fails_has_ended(error: Exception) -> None:
    probe = Probe(None)
    monologue = turns.monologue(probe)

    async def body() -> None:
        await watched(probe, Tool(agent(), error=error), "bad").execute()

    with pytest.raises(type(error)):
        asyncio.run(monologue(body, agent(), (), {}))
    assert rows(probe) == []


def test_the_prompt_is_told_with_the_turn_it_belongs_to() -> None:
    probe = Probe(None)
    monologue, prepare = turns.monologue(probe), turns.prompt(probe)
    seen: list[Rows] = []

    async def prompt() -> None:
        seen.append(rows(probe))

    async def body() -> None:
        await prepare(prompt, None, (), {})

    asyncio.run(monologue(body, agent(), (), {}))
    assert seen[0][1:] == [("prompt", None, "A0", "chat-1", None)]
    assert rows(probe) == []


def test_what_stood_in_a_loop_that_was_closed_is_over() -> None:
    underway = Underway(lambda: 5.0)
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        underway.begin("tool", "left")

    loop.run_until_complete(begin())
    kept = underway.begin("tool", "kept")
    assert [row["name"] for row in underway.as_rows()] == ["left", "kept"]
    loop.close()
    assert underway.as_rows() == [{"kind": "tool", "name": "kept", "since": 5.0}]
    underway.end(kept)
    underway.end(kept)
    assert underway.as_rows() == []


def test_the_pulse_moves_with_every_beginning_step_and_end() -> None:
    probe = Probe(None)
    pulses = [probe.pulse()]
    work = probe.underway.begin("agent", "", "A0", "c")
    pulses.append(probe.pulse())
    probe.underway.step(work, 1)
    pulses.append(probe.pulse())
    probe.underway.end(work)
    pulses.append(probe.pulse())
    assert len(set(pulses)) == 4
    probe.underway.step(None, 3)
    assert probe.pulse() == pulses[-1]


def test_a_child_made_by_fork_has_nothing_under_way_and_a_list_is_bounded() -> None:
    probe = Probe(None)
    for number in range(150):
        probe.underway.begin("tool", str(number))
    assert len(rows(probe)) == 100
    probe.forked()
    assert rows(probe) == []
