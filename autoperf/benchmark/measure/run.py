"""One run of a scenario with a real checkout, bare or under autoperf, as a sample."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoperf.benchmark.host import run as checkouts
from autoperf.benchmark.host.process import START_TIMEOUT, HostProcess
from autoperf.benchmark.measure import own_account, samples
from autoperf.benchmark.measure.rounds import Variant
from autoperf.benchmark.measure.samples import CLIENT, CPU, FRAMEWORK, Sample
from autoperf.benchmark.measure.transcript import transcript
from autoperf.benchmark.parts import client_alone, instrumented
from autoperf.benchmark.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Setting:
    """Where and how the runs of a benchmark take place; ``repository`` gives the copy a ``.git``.

    With ``fake`` no model client takes part. ``rate`` is in tokens a second; without it the model says
    everything at once. ``start_timeout`` is in seconds; ``stage`` as in `checkout.run`.
    """

    checkout: Path
    workdir: Path
    python: str | None = None
    provider: str = "other"
    repository: bool = False
    fake: bool = False
    rate: float | None = None
    start_timeout: float = START_TIMEOUT
    stage: Callable[[Callable[[], str]], object] = checkouts.unseen


def speaks_responses(checkout: Path) -> bool:
    """Whether this host can talk to its model through the Responses API."""
    return (checkout / "helpers" / "responses_tools.py").is_file()


def hold(scenario: Scenario, setting: Setting, variant: Variant) -> Sample:
    """Hold the scenario's conversation in fresh processes; ``HostError`` when the host cannot be run."""
    setting.workdir.mkdir(parents=True, exist_ok=True)
    state = setting.workdir / "state"
    shutil.rmtree(state, ignore_errors=True)
    words = prefix(setting, variant)
    conversation = scenario.conversation()
    run = checkouts.run(
        setting.checkout,
        conversation,
        setting.workdir,
        python=setting.python,
        prefix=words,
        provider=setting.provider,
        chunk_size=scenario.chunk_size,
        observe=_observer(words[0], state, len(conversation.turns)) if words else None,
        tenths=scenario.tenths,
        repository=setting.repository,
        fake=setting.fake,
        timeout=scenario.timeout,
        rate=setting.rate,
        start_timeout=setting.start_timeout,
        stage=setting.stage,
    )
    sample = samples.of_run(run)
    if scenario.tenths and not run.tenths and setting.rate is None:
        sample.notes.append("the tenths of the answer could not be told apart")
    sample.transcript = transcript(run)
    if words:
        own_account.add(sample, [shown for shown in run.observed if shown is not None])
    if scenario.client and not setting.fake:
        _without_client(sample, run, scenario, setting, variant)
    return sample


def prefix(setting: Setting, variant: Variant, state: str = "state") -> list[str]:
    """What goes before the host's command line; nothing for the bare host."""
    if variant.features is None:
        return []
    words = [instrumented.command(setting.checkout, setting.python), "run", "--quiet"]
    return [*words, "--home", str(setting.workdir / state), "--features", variant.features]


def _observer(command: str, state: Path, turns: int) -> Callable[[HostProcess], Any]:
    done = 0

    def observe(process: HostProcess) -> Any:
        nonlocal done
        done += 1
        if done < turns - 1:
            return None
        time.sleep(instrumented.SETTLED_SECONDS)
        return instrumented.status(command, state, process.pid)

    return observe


def _without_client(
    sample: Sample, run: checkouts.Run, scenario: Scenario, setting: Setting, variant: Variant
) -> None:
    replies = [reply for turn in scenario.conversation().turns for reply in turn.replies]
    setting.stage(lambda: "the model client alone")
    try:
        seconds = client_alone.measure(
            client_alone.asked(run.requests, replies),
            setting.workdir / "agent-zero",
            setting.workdir,
            [
                *prefix(setting, variant, "state-client"),
                checkouts.interpreter(setting.checkout, setting.python),
            ],
            scenario.chunk_size,
        )
    except client_alone.NotMeasuredError as reason:
        sample.notes.append(f"no row for the model client: {reason}")
        return
    sample.values[CLIENT] = seconds
    whole = sample.values.get(CPU)
    sample.values[FRAMEWORK] = None if whole is None else whole - seconds
