"""Rounds of `autoperf benchmark`: their order, what is compared with what, medians and extremes, noise."""

from __future__ import annotations

import math
import sys

import pytest

from autoperf.benchmark.host.run import interpreter
from autoperf.benchmark.measure import results, rounds
from autoperf.benchmark.measure.noise import THRESHOLD, Noise
from autoperf.benchmark.measure.rounds import BARE, Variant
from autoperf.benchmark.measure.samples import GROWTH, LAST_CPU, START_CPU, Sample
from autoperf.benchmark.measure.spreads import Spread, ratios, spread
from autoperf.benchmark.measure.transcript import Transcript
from autoperf.cli.views import measurements
from autoperf.features import FEATURES


def said(*lines: str) -> Transcript:
    return Transcript({"chat": lines})


class Host:
    """Answers with what was prepared for a variant, and remembers who was asked when."""

    def __init__(self, **values: list[float | None]) -> None:
        self.values = {name: iter(each) for name, each in values.items()}
        self.transcripts: dict[str, list[Transcript]] = {}
        self.asked: list[str] = []

    def hold(self, variant: Variant) -> Sample:
        self.asked.append(variant.name)
        sample = Sample({"CPU": next(self.values[variant.name])}, {"steps": 3})
        sample.transcript = (self.transcripts.get(variant.name) or [said("hello")]).pop(0)
        return sample


def quiet() -> Noise:
    return Noise(timed=lambda: 0.01, load=0.1, cores=4)


def measured(host: Host, count: int, noise: Noise | None = None) -> rounds.Measured:
    noise = noise or quiet()
    return rounds.measure("short", rounds.compared(), host.hold, rounds=count, noise=noise, progress=str)


def test_every_second_round_goes_the_other_way_round() -> None:
    host = Host(bare=[1.0] * 3, autoperf=[1.0] * 3)
    measured(host, 3)
    assert host.asked == ["bare", "autoperf", "autoperf", "bare", "bare", "autoperf"]


def test_the_matrix_has_every_feature_alone_between_bare_and_all() -> None:
    variants = rounds.matrix()
    assert variants[0] is BARE
    assert [(v.name, v.features) for v in variants[1:-1]] == [(name, name) for name in FEATURES]
    assert variants[-1].features == "all"


def test_progress_names_scenario_round_and_variant() -> None:
    told: list[str] = []
    host = Host(bare=[1.0], autoperf=[1.0])
    rounds.measure("long", rounds.compared(), host.hold, rounds=1, noise=quiet(), progress=told.append)
    assert told[0] == "long, round 1 of 1, bare"
    assert told[1].startswith("long, round 1 of 1, bare: ")
    assert told[2] == "long, round 1 of 1, autoperf"


def test_a_ratio_is_of_two_runs_of_the_same_round() -> None:
    # Odd rounds run the other way round: paired by time of day, these would be 8/2, 4/1, 9/3.
    host = Host(bare=[8.0, 4.0, 9.0], autoperf=[1.0, 2.0, 3.0])
    (row,) = results.as_data(measured(host, 3), "two messages", "other")["rows"]
    assert row["variants"]["bare"] == {"median": 8.0, "lowest": 4.0, "highest": 9.0, "each": [8.0, 4.0, 9.0]}
    ratio = row["variants"]["autoperf"]["ratio"]
    assert ratio == {"median": 3.0, "lowest": 2.0, "highest": 8.0, "each": [8.0, 2.0, 3.0]}
    assert "ratio" not in row["variants"]["bare"]


def test_what_nobody_tells_is_left_out_and_not_made_up() -> None:
    host = Host(bare=[None, None], autoperf=[1.0, 2.0])
    data = results.as_data(measured(host, 2), "two messages", "other")
    assert data["rows"][0]["variants"]["bare"]["median"] is None
    assert data["rows"][0]["variants"]["autoperf"]["ratio"]["median"] is None
    table = measurements.scenario(data)
    assert [line for line in table if line.split() == ["CPU", "-", "1.50", "s"]]


def test_medians_and_extremes() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)
    assert spread([]) is None
    assert ratios([2.0, None, 3.0, 4.0], [1.0, 1.0, 0.0, None]) == [2.0]


def test_growth_is_shown_and_has_no_ratio() -> None:
    sample = Sample({GROWTH: 4.0})
    found = rounds.Measured("huge", {"bare": [sample], "autoperf": [Sample({GROWTH: 1.0})]})
    (row,) = results.as_data(found, "an answer", "other")["rows"]
    assert row["unit"] == "times"
    assert "ratio" not in row["variants"]["autoperf"]


@pytest.mark.parametrize(
    ("start", "message", "said"),
    [
        (
            0.3,
            0.05,
            "+300.0 ms once (the start), +50.0 ms by each message past the first: a message costs more",
        ),
        (0.3, -0.07, "-70.0 ms by each message past the first: the start is made up for after 5"),
        (-0.1, -0.07, "-100.0 ms once (the start), -70.0 ms by each message past the first"),
        (0.3, None, ""),
    ],
)
def test_a_constant_is_told_from_what_each_message_takes(
    start: float, message: float | None, said: str
) -> None:
    """By the median of the differences: of the values it would be another one."""
    rounds_bare, noise = [1.0, 5.0, 2.0], [0.0, 0.0, 3.0]

    def samples(added: float | None, started: float) -> list[Sample]:
        each = [
            None if added is None else bare + added + (more if added else 0.0)
            for bare, more in zip(rounds_bare, noise, strict=True)
        ]
        return [
            Sample({START_CPU: bare + started, LAST_CPU: one})
            for bare, one in zip(rounds_bare, each, strict=True)
        ]

    found = rounds.Measured("short", {"bare": samples(0.0, 0.0), "autoperf": samples(message, start)})
    data = results.as_data(found, "x", "other")
    told = measurements.constant(data, "autoperf")
    assert said in told
    assert bool(told) is bool(said)
    assert " ".join(told.split()) in " ".join(" ".join(measurements.scenario(data)).split())


def test_the_first_difference_is_kept_and_shown() -> None:
    host = Host(bare=[1.0] * 3, autoperf=[1.0] * 3)
    host.transcripts["autoperf"] = [said("hello"), said("goodbye"), said("good night")]
    data = results.as_data(measured(host, 3), "two messages", "other")
    assert {"-hello", "+goodbye"} <= set(data["differences"]["autoperf"]), "the first is kept"
    text = measurements.scenario(data)
    assert "transcripts differ, bare (1) and autoperf (2):" in text
    assert "+goodbye" in text
    assert "transcripts equal" not in text


def test_equal_transcripts_are_said_and_not_kept() -> None:
    found = measured(Host(bare=[1.0], autoperf=[1.0]), 1)
    assert [sample.transcript for samples in found.samples.values() for sample in samples] == [None, None]
    assert "transcripts equal" in measurements.scenario(results.as_data(found, "x", "other"))


def test_notes_of_runs_are_told_once() -> None:
    host = Host(bare=[1.0] * 2, autoperf=[1.0] * 2)
    plain = host.hold

    def hold(variant: Variant) -> Sample:
        sample = plain(variant)
        sample.notes.append("a start hung")
        return sample

    host.hold = hold  # type: ignore[method-assign]
    assert measured(host, 2).notes == ["bare: a start hung", "autoperf: a start hung"]


def test_the_machine_is_listened_to_around_every_run() -> None:
    noise = quiet()
    measured(Host(bare=[1.0] * 2, autoperf=[1.0] * 2), 2, noise)
    assert noise.readings == [0.01] * 6
    assert not noise.noisy
    assert measurements.noise(noise.as_row())[0].startswith("quiet machine: ")


@pytest.mark.parametrize(("slowest", "noisy"), [(1 + THRESHOLD / 2, False), (1 + 2 * THRESHOLD, True)])
def test_the_same_work_taking_longer_at_times_is_noise(slowest: float, noisy: bool) -> None:
    # The shortest of three counts each time.
    seconds = iter([1.0, 9.0, 9.0, 9.0, slowest, 9.0])
    noise = Noise(timed=lambda: next(seconds), load=0.0, cores=2)
    noise.listen()
    noise.listen()
    assert noise.readings == [1.0, slowest]
    assert math.isclose(noise.apart, slowest - 1)
    assert noise.noisy is noisy
    assert measurements.noise(noise.as_row())[0].startswith("noisy" if noisy else "quiet")


def test_load_before_the_first_run_is_noise() -> None:
    assert Noise(timed=lambda: 1.0, load=1.5, cores=2).noisy
    assert not Noise(timed=lambda: 1.0, load=None, cores=2).noisy
    assert not Noise(timed=lambda: 1.0, load=0.9, cores=2).noisy


def test_the_python_that_is_named_runs_the_checkout_else_its_own(tmp_path):
    assert interpreter(tmp_path) == sys.executable
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert interpreter(tmp_path) == str(own)
    assert interpreter(tmp_path, "/elsewhere/python") == "/elsewhere/python"
