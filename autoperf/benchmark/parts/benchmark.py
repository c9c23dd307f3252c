"""The parts of `autoperf benchmark` as data: scenarios, one comparison, seams, tracing, monitor, launcher."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autoperf.benchmark.host import mini
from autoperf.benchmark.host.process import START_TIMEOUT
from autoperf.benchmark.measure import results, rounds, run
from autoperf.benchmark.measure.noise import Noise
from autoperf.benchmark.measure.progress import Progress
from autoperf.benchmark.measure.rounds import Variant
from autoperf.benchmark.measure.run import Setting
from autoperf.benchmark.parts import instrumented, seams, tracing
from autoperf.benchmark.parts import launcher as launching
from autoperf.benchmark.parts import monitor as monitoring
from autoperf.benchmark.parts.starts import Starts
from autoperf.benchmark.scenarios.conversation import tools
from autoperf.benchmark.scenarios.scenario import SCENARIOS, START

BOTH = "both"


@dataclass
class Benchmark:
    """What to measure: ``path`` is a checkout or None for the mini agent, ``folder`` is written to."""

    path: Path | None
    folder: Path
    progress: Progress
    python: str | None = None
    features: str = "all"
    rounds: int = 5
    provider: str = "other"
    repository: bool = False
    fake: bool = False
    rate: float | None = None
    start_timeout: float = START_TIMEOUT
    noise: Noise = field(default_factory=Noise)

    @property
    def checkout(self) -> Path:
        """The checkout, absolute; ``FileNotFoundError`` without one."""
        if self.path is None:
            raise FileNotFoundError("no Agent Zero checkout was named")
        return self.path.resolve()

    def scenarios(self, names: Sequence[str], variants: Sequence[Variant]) -> list[dict[str, Any]]:
        """Each scenario, once for every provider that was asked for."""
        return [
            self._scenario(name, provider, variants) for name in names for provider in self._providers(name)
        ]

    def _scenario(self, name: str, provider: str, variants: Sequence[Variant]) -> dict[str, Any]:
        measured = partial(rounds.measure, rounds=self.rounds, noise=self.noise, progress=self.progress)
        workdir = self.folder / f"{name}-{provider}"
        workdir.mkdir()
        if self.path is None:
            return results.as_data(
                measured(name, variants, partial(mini.hold, workdir)), mini.MEANING, "none"
            )
        scenario = SCENARIOS[name]
        setting = Setting(
            self.checkout,
            workdir,
            self.python,
            provider,
            self.repository,
            self.fake,
            self.rate,
            self.start_timeout,
            self.progress.stage,
        )
        if name == START:
            with Starts(setting) as starts:
                found = measured(name, variants, starts.hold)
        else:
            found = measured(name, variants, partial(run.hold, scenario, setting))
        meaning = f"{scenario.meaning}, from a fake model" if self.fake else scenario.meaning
        return results.as_data(found, meaning, provider)

    def _providers(self, name: str) -> list[str]:
        if self.provider != BOTH or self.path is None:
            return [self.provider]
        if name == START or not run.speaks_responses(self.checkout):
            return ["other"]
        return ["other", "openai"]

    def conversation(self) -> dict[str, Any]:
        """Two messages of 20 tool calls, bare and under autoperf, once: transcript, patches, hit rates."""
        self.progress("conversation, bare and under autoperf")
        effect = instrumented.measure(
            self.checkout,
            tools(20, 2),
            self._workdir("conversation"),
            features=self.features,
            **self._options(),
        )
        first, second = effect.comparison.first, effect.comparison.second
        rows = [
            {"what": "start", **_pair(first.start_wall, second.start_wall, first.start_cpu, second.start_cpu)}
        ]
        for number, (bare, ours) in enumerate(zip(first.turns, second.turns, strict=True), 1):
            rows.append({"what": f"message {number}", **_pair(bare.wall, ours.wall, bare.cpu, ours.cpu)})
        return {
            "differences": effect.comparison.differences,
            "patches": f"{effect.patches_applied} of {effect.patches_wanted}",
            "hit_rates_last_message": effect.hit_rates,
            "failures": effect.failures,
            "seconds": rows,
        }

    def seams(self) -> dict[str, Any]:
        """Nanoseconds a call of single seams, every round of each way to run the host."""
        workdir = self._workdir("seams")
        words = instrumented.prefix(self.checkout, workdir, self.python, features=self.features)
        times = seams.measure(
            self.checkout,
            workdir,
            [*words[:2], "--quiet", *words[2:]],
            rounds=self.rounds,
            python=self.python,
            progress=self.progress,
        )
        return {
            name: {f"{way}_ns": each for way, each in seam.items()}
            | {
                "ratio": _ratio(seam, seams.OURS),
                "ratio_without_inotify": _ratio(seam, seams.WITHOUT_INOTIFY),
            }
            for name, seam in times.items()
        }

    def tracing(self) -> dict[str, Any]:
        """What tracing adds to a message, as a share, in pairs of two messages; two pairs a round."""
        workdir = self._workdir("tracing")
        cost = tracing.measure(
            self.checkout,
            workdir,
            instrumented.prefix(self.checkout, workdir, self.python),
            workdir / "state",
            pairs=2 * self.rounds,
            progress=self.progress,
            **self._options(),
        )
        return {
            "without": list(cost.without),
            "traced": list(cost.traced),
            "cpu_added": cost.median(0),
            "cpu_added_each": cost.added(0),
            "wall_added": cost.median(1),
        }

    def monitor(self) -> dict[str, Any]:
        """What the monitor's thread takes of one core, while the host works and while it rests."""
        workdir = self._workdir("monitor")
        shares = monitoring.measure(
            self.checkout,
            workdir,
            instrumented.prefix(self.checkout, workdir, self.python),
            workdir / "state",
            progress=self.progress,
            **self._options(),
        )
        return {name: {"share": one.share, "seconds": one.seconds} for name, one in shares.items()}

    def launcher(self) -> dict[str, Any]:
        """Milliseconds that `autoperf run` and the bootstrap add to a start."""
        self.progress(f"launcher, {launching.ROUNDS} rounds")
        times, bystander = launching.measure(launching.ROUNDS), launching.measure_bystander(launching.ROUNDS)
        return {
            "bystander": bystander,
            "rounds": launching.ROUNDS,
            **{f"{name}_ms": value for name, value in times.items()},
            "added_ms": times["autoperf"] - times["plain"],
            "ratio_to_python": times["autoperf"] / times["python"],
        }

    def _workdir(self, name: str) -> Path:
        workdir = self.folder / name
        workdir.mkdir()
        return workdir

    def _options(self) -> dict[str, Any]:
        return {
            "python": self.python,
            "provider": "other" if self.provider == BOTH else self.provider,
            "start_timeout": self.start_timeout,
            "stage": self.progress.stage,
        }


def _ratio(seam: Mapping[str, Sequence[float]], way: str) -> float:
    return statistics.median(seam[seams.BARE]) / statistics.median(seam[way])


def _pair(wall: float, our_wall: float, cpu: float | None, our_cpu: float | None) -> dict[str, Any]:
    return {
        "bare_wall": wall,
        "autoperf_wall": our_wall,
        "bare_cpu": cpu,
        "autoperf_cpu": our_cpu,
        "cpu_ratio": cpu / our_cpu if cpu and our_cpu else None,
    }
