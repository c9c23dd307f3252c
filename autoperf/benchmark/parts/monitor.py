"""What the monitor costs: the CPU clock of its own thread, while the host works and while it rests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoperf.benchmark.host import run as checkouts
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.scenarios.conversation import Conversation, Turn, answer, call, tools
from autoperf.insight.history import History
from autoperf.monitor.samples import samples
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store

RESTING: Final = "autoperf_rest"
REST_S: Final = 60.0
# Two messages: what is read and watched for the first time is part of it, as it is of every process.
_WORK: Final = 2
_REST: Final = """\
import asyncio

from {package}.tool import Response, Tool


class AutoperfRest(Tool):
    async def execute(self, seconds="0", **kwargs):
        await asyncio.sleep(float(seconds))
        return Response(message="rested", break_loop=False)
"""


@dataclass(frozen=True)
class Share:
    """CPU of the monitor's thread by wall time, as a share of one core, over so many seconds."""

    share: float
    seconds: float


def measure(
    checkout: Path,
    workdir: Path,
    prefix: Sequence[str],
    state: Path,
    *,
    progress: Callable[[str], Any] = str,
    **options: Any,
) -> dict[str, Share]:
    """Under ``prefix`` two messages of 20 tool calls, then a tool that sleeps a minute: ``work``, ``rest``.

    ``state`` is where ``prefix`` keeps the samples, ``options`` go to `checkout.run`.
    Raises ``HostError`` when the host does not run, or when one of the two was sampled less than twice.
    """
    progress(f"monitor, two messages and {REST_S:.0f} s of rest")
    talk = tools(20, _WORK, 20_000)
    rest = Turn("Rest.", (call(RESTING, seconds=str(REST_S)), answer("Rested.")))
    conversation = Conversation("monitor", (*talk.turns, rest), {**talk.tool_files, f"{RESTING}.py": _REST})
    checkouts.run(checkout, conversation, workdir, prefix=prefix, **options)
    with History(state) as history:
        began, ended = _rest(history)
    with Store.open(state) as store:
        rows = [row for row in samples(store, 0.0) if "monitor_cpu" in row]
    return {
        "work": _share([row for row in rows if row["at"] < began]),
        "rest": _share([row for row in rows if began <= row["at"] <= ended]),
    }


def _rest(history: History) -> tuple[float, float]:
    for name, start_ns, end_ns, _, _, attributes in history.measured(0.0, float("inf")):
        if name.startswith(names.EXECUTE_TOOL) and attributes.get(names.TOOL_NAME) == RESTING:
            return start_ns / 1e9, end_ns / 1e9
    raise HostError("the host did not rest: nothing was measured")


def _share(rows: Sequence[Mapping[str, Any]]) -> Share:
    if len(rows) < 2:
        raise HostError(f"{len(rows)} samples are too few to tell what they cost")
    seconds = rows[-1]["at"] - rows[0]["at"]
    return Share((rows[-1]["monitor_cpu"] - rows[0]["monitor_cpu"]) / seconds, seconds)
