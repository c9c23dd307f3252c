"""Traces in the shape that the agent's spans have, made by hand, so that a test knows every number."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from autoperf.telemetry.store.tables import SpanRow

T0 = 1_790_000_000_000_000_000
MS = 1_000_000
NASTY = (
    "\x1b[31mred\x1b[0m\r\n\x07bell",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '"quotes\' & ampersands"',
    "\u202egnp.exe\u2066",
    "日本語の道具 🛠️ עברית",
    "x" * 5000,
)


class Trace:
    """Spans of one trace; times in ms after `T0`."""

    def __init__(self, number: int, *, pid: int = 100, at_ms: float = 0) -> None:
        self.trace_id = f"{number:032x}"
        self.rows: list[SpanRow] = []
        self._pid = pid
        self._at = T0 + int(at_ms * MS)

    def span(
        self,
        name: str,
        start: float,
        end: float,
        parent: str | None = None,
        *,
        status: str = "unset",
        kind: str = "internal",
        links: Sequence[Sequence[str]] = (),
        **attributes: Any,
    ) -> str:
        span_id = f"{len(self.rows) + 1:016x}"
        given = attributes.pop("attributes", {}) | attributes
        begin, finish = (self._at + round(moment * MS) for moment in (start, end))
        self.rows.append(
            SpanRow(
                self.trace_id, span_id, parent, name, kind, begin, finish, status, self._pid, given, links
            )
        )
        return span_id


def turn(
    number: int, *, pid: int = 100, at_ms: float = 0, steps: int = 4, speed: float = 1.0, seed: int = 1
) -> Trace:
    """A user's message: steps of prompt, model and tool; the third hands work to a subordinate."""
    dice = random.Random(seed)
    trace = Trace(number, pid=pid, at_ms=at_ms)
    who = {names.AGENT_NAME: "A0", names.CONVERSATION_ID: f"chat-{number % 3}"}
    trace.span(names.MESSAGE, 0, 0, attributes=who)
    trace.span("invoke_agent A0", 1, 0, trace.rows[0].span_id, attributes=who)
    now = 2.0
    for step in range(steps):
        now = _step(trace, trace.rows[1].span_id, step, now, dice, speed, who, below=step == 2)
    ends = trace.rows[0].start_ns + round(now * MS)
    trace.rows[1] = trace.rows[1]._replace(end_ns=ends + 1 * MS)
    trace.rows[0] = trace.rows[0]._replace(end_ns=ends + 2 * MS)
    return trace


def layers(milliseconds: float, provider: float = 0.2, stream: float = 0.4) -> dict[str, float]:
    """What a model call of that length measures of itself: these shares, 0.3 the client, the rest unknown."""
    seconds = milliseconds / 1e3
    return {
        names.PROVIDER_SECONDS: provider * seconds,
        names.FRAMEWORK_SECONDS: stream * seconds,
        names.FRAMEWORK_CPU: 0.9 * stream * seconds,
        names.CLIENT_SECONDS: 0.3 * seconds,
        names.CLIENT_CPU: 0.25 * seconds,
    }


def _step(
    trace: Trace,
    agent: str,
    number: int,
    now: float,
    dice: random.Random,
    speed: float,
    who: Mapping[str, Any],
    *,
    below: bool,
) -> float:
    at = len(trace.rows)
    step = trace.span(names.STEP, now, now, agent, attributes={names.STEP_NUMBER: number})
    prompt = trace.span(names.PREPARE_PROMPT, now, now + 60 / speed, step)
    trace.span(names.SYSTEM_PROMPT, now + 5, now + 45 / speed, prompt)
    for index in range(5):
        trace.span(f"extensions point_{index}", now + 46 + index, now + 46.4 + index, prompt)
    now += 60 / speed
    answer = dice.uniform(300, 900)
    trace.span(
        "chat test-model", now, now + answer, step, kind="client",
        attributes={
            names.REQUEST_MODEL: "test-model", names.INPUT_TOKENS: 1000 + 200 * number,
            names.OUTPUT_TOKENS: 120, names.TIME_TO_FIRST_CHUNK: 0.2, names.CHUNKS: 80,
            names.MODEL_ROLE: "chat", **layers(answer),
        },
    )  # fmt: skip
    now += answer
    trace.span("tool_lookup search", now, now + 0.4 / speed, step, attributes={names.CACHE_HIT: number > 0})
    tool = ("search", "code_execution_tool", "call_subordinate", "memory_load")[number % 4]
    took = dice.uniform(40, 500)
    failed = tool == "memory_load"
    call = trace.span(
        f"execute_tool {tool}", now + 1, now + 1 + took, step, status="error" if failed else "unset",
        attributes={names.TOOL_NAME: tool, names.TOOL_TYPE: "function", **who}
        | ({names.ERROR_TYPE: "TimeoutError"} if failed else {}),
    )  # fmt: skip
    if below:
        inner = trace.span("invoke_agent A1", now + 2, now + took, call, attributes={names.AGENT_NAME: "A1"})
        trace.span(
            "chat small-model", now + 3, now + took * 0.7, inner, kind="client",
            attributes=layers(took * 0.7 - 3),
        )  # fmt: skip
        trace.span("execute_tool search", now + took * 0.7, now + took - 1, inner)
        trace.span("execute_tool fetch", now + took * 0.71, now + took * 0.9, inner)
    now += took + 3
    trace.rows[at] = trace.rows[at]._replace(end_ns=trace.rows[0].start_ns + round(now * MS))
    return now


def process(pid: int, *, features: Sequence[str], started_ms: float = -1000) -> dict[str, Any]:
    """The record of one process, as far as reports read it."""
    started = T0 / 1e9 + started_ms / 1e3
    return {
        "pid": pid, "started": started, "updated": started + 100, "ended": started + 100,
        "instance": f"instance-{pid}", "resource": {"service.name": "my-agent", "service.version": "v1.7"},
        "features": list(features),
        "host": {"generation": "v0.9.9 - v2.6", "root": "/srv/a0"},
        "lookups": {
            "tools": {"lookups": 200, "hits": 190, "misses": 10, "hit_rate": 0.95},
            "extensions": {"lookups": 3000, "hits": 2970, "misses": 30, "hit_rate": 0.99},
        },
        "caches": {
            "tools": {
                "hits": 190, "loads": 10, "evictions": 0, "invalidations": 2, "reexecutions": 0,
                "maxsize": 100, "currsize": 8, "seconds_loading": 0.03, "seconds_saved": 0.8,
            }
        },
    }  # fmt: skip


def keep(directory: Path, *traces: Trace, processes: Sequence[Mapping[str, Any]] = ()) -> Path:
    """A store in ``directory`` with these traces."""
    with Store.open(directory) as store:
        for trace in traces:
            assert store.add_spans(trace.rows) == len(trace.rows)
        for record in processes:
            assert store.save_process(record)
    return directory


def before_and_after(directory: Path) -> Path:
    """Two messages observed only, two with everything on, which makes prompts twice as fast."""
    before = [turn(n, pid=100, at_ms=n * 10_000, steps=4) for n in (1, 2)]
    after = [turn(n, pid=200, at_ms=n * 10_000, steps=4, speed=2.0) for n in (3, 4)]
    everything = ["extensions", "interventions", "mcp", "tools", "trace"]
    records = [process(100, features=["trace"]), process(200, features=everything)]
    return keep(directory, *before, *after, processes=records)
