"""A scenario becomes a sample: what is asked of a checkout's run, and what is made of what it left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host.checkout import chat_model
from autoperf.benchmark.host.http_client import Answer
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.host.run import Run, TurnResult
from autoperf.benchmark.measure import own_account, samples
from autoperf.benchmark.measure import run as holding
from autoperf.benchmark.measure.noise import Noise
from autoperf.benchmark.measure.progress import Progress
from autoperf.benchmark.measure.rounds import BARE, Variant
from autoperf.benchmark.measure.run import Setting
from autoperf.benchmark.measure.samples import CLIENT, FRAMEWORK, GROWTH, PEAK, Sample
from autoperf.benchmark.model.server import CHAT_MODEL, KNOWN_CHAT_MODEL, Recorded, is_chat
from autoperf.benchmark.parts import client_alone, instrumented
from autoperf.benchmark.parts.benchmark import Benchmark
from autoperf.benchmark.parts.client_alone import NotMeasuredError
from autoperf.benchmark.scenarios.scenario import SCENARIOS, Scenario

OURS = Variant("autoperf", "tools")


def shown(lookups: int, hits: int | None, **more: Any) -> dict[str, Any]:
    patches = [{"state": "applied", "optional": False, "foreign": False}]
    lookup = {"tools": {"lookups": lookups, "hits": hits}}
    return {"patches": patches, "lookups": lookup, "failures": [], **more}


class Checkout:
    """Stands in for `checkout.run`: two messages of which the second is cheaper, as CPU and wall seconds."""

    def __init__(self, **left: Any) -> None:
        self.left = left
        self.asked: dict[str, Any] = {}

    def __call__(self, path: Path, conversation: Any, workdir: Path, **options: Any) -> Run:
        self.asked = {"conversation": conversation, **options}
        turns = [
            TurnResult(Answer(200, {}), 3.0, 2.0, 0.5, steps=4, chunks=8),
            TurnResult(Answer(200, {}), 2.0, 1.0, 0.0, steps=2, chunks=2),
        ]
        return Run(turns=turns, **{"start_wall": 4.0, "start_cpu": 3.5, "peak_kib": 2048, **self.left})


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "checkout", tmp_path / "work")


def held(
    monkeypatch: pytest.MonkeyPatch, run: Checkout, name: str, setting: Setting, variant: Variant
) -> Sample:
    monkeypatch.setattr(holding.checkouts, "run", run)
    monkeypatch.setattr(instrumented, "command", lambda *_: "/bin/autoperf")
    return holding.hold(SCENARIOS[name], setting, variant)


def test_a_bare_run_has_no_prefix_and_each_number_is_one_that_was_read(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    run = Checkout()
    sample = held(monkeypatch, run, "short", setting, BARE)
    assert run.asked["prefix"] == []
    assert run.asked["observe"] is None
    assert run.asked["chunk_size"] == SCENARIOS["short"].chunk_size
    assert sample.values == {
        "CPU": 3.0,
        "CPU, first message": 2.0,
        "CPU, last message": 1.0,
        "CPU a step": 0.5,
        "CPU a chunk": 0.3,
        "wall": 5.0,
        "wall, first message": 3.0,
        "wall, last message": 2.0,
        "wall a step": pytest.approx(5 / 6),
        "wall a chunk": 0.5,
        "CPU of ended child processes": 0.5,
        "start, CPU": 3.5,
        "start, wall": 4.0,
        PEAK: 2048,
    }
    assert sample.counts == {"messages": 2, "steps": 6, "chunks": 10}


def test_replies_that_were_not_streamed_are_told() -> None:
    turn = TurnResult(Answer(200, {}), 1.0, 1.0, steps=1)
    assert samples.of_run(Run(turns=[turn])).notes == [
        "the host asked for no stream: its replies came in one piece"
    ]
    assert samples.of_run(Run()).notes == []


@pytest.mark.parametrize("provider", ["other", "openai"])
def test_the_chat_model_is_one_that_its_client_streams_from(provider: str) -> None:
    name = chat_model(provider)
    assert is_chat(name)
    assert is_chat(f"openai/{name}")
    # What litellm does not know it does not stream from over the Responses API.
    assert (name == KNOWN_CHAT_MODEL) is (provider == "openai")


def test_a_run_under_autoperf_has_its_features_and_a_state_folder_that_is_new(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    old = setting.workdir / "state" / "store.db"
    old.parent.mkdir(parents=True)
    old.touch()
    run = Checkout(observed=[None, shown(10, 5), shown(30, 25)])
    sample = held(monkeypatch, run, "short", setting, OURS)
    state = str(setting.workdir / "state")
    assert run.asked["prefix"] == ["/bin/autoperf", "run", "--quiet", "--home", state, "--features", "tools"]
    assert not old.exists()
    assert sample.hit_rates == {"tools": pytest.approx(25 / 30), "tools, last message": 1.0}


def test_only_the_last_two_messages_are_looked_at(monkeypatch: pytest.MonkeyPatch, setting: Setting) -> None:
    run = Checkout(observed=[shown(1, 1)])
    held(monkeypatch, run, "history", setting, OURS)
    looked: list[int] = []
    monkeypatch.setattr(holding.time, "sleep", lambda _: None)
    monkeypatch.setattr(instrumented, "status", lambda command, home, pid: looked.append(pid))
    turns = len(run.asked["conversation"].turns)
    for number in range(turns):
        run.asked["observe"](type("Process", (), {"pid": number}))
    assert looked == [turns - 2, turns - 1]


def test_patches_that_were_not_applied_and_failures_are_told() -> None:
    row = shown(0, 0, failures=[{"seam": "x"}])
    row["patches"] += [
        {"state": "failed", "optional": False, "foreign": False},
        {"state": "absent", "optional": True, "foreign": False},
        {"state": "waiting", "optional": False, "foreign": True},
    ]
    sample = Sample()
    own_account.add(sample, [row])
    assert sample.notes == ["1 of 2 patches"]
    assert sample.failures == [{"seam": "x"}]
    assert sample.hit_rates == {}
    own_account.add(sample, [shown(5, None), shown(9, None)])
    assert sample.hit_rates == {}, "hits that nobody counted are none"
    with pytest.raises(HostError, match="no record"):
        own_account.add(sample, ["no record"])


def test_a_sum_of_which_a_part_is_not_known_is_not_known() -> None:
    turns = [TurnResult(Answer(200, {}), 1.0, None, steps=1), TurnResult(Answer(200, {}), 1.0, 2.0, steps=1)]
    values = samples.of_turns(turns)
    assert values["CPU"] is None
    assert values["CPU a step"] is None
    assert values["wall a step"] == 1.0
    assert "CPU a chunk" not in values
    assert samples.of_turns([]) == {}


def test_the_huge_answer_has_its_first_and_its_last_tenth(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    monkeypatch.setattr(client_alone, "measure", lambda *_: 1.0)
    run = Checkout(tenths=[0.001] * 9 + [0.004])
    sample = held(monkeypatch, run, "huge", setting, BARE)
    assert run.asked["tenths"] is True
    assert run.asked["timeout"] > 600
    assert sample.values[GROWTH] == pytest.approx(4.0)
    sample = held(monkeypatch, Checkout(), "huge", setting, BARE)
    assert GROWTH not in sample.values
    assert "the tenths of the answer could not be told apart" in sample.notes


def prompts(count: int) -> list[Recorded]:
    return [Recorded("/v1/chat/completions", CHAT_MODEL, {"number": number}) for number in range(count)]


def test_the_client_alone_gets_the_prompts_and_replies_of_the_run(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    given: list[Any] = []

    def measure(*arguments: Any) -> float:
        given.extend(arguments)
        return 0.75

    monkeypatch.setattr(client_alone, "measure", measure)
    utility = Recorded("/v1/chat/completions", "scripted-utility", {})
    replies = SCENARIOS["long"].conversation().turns[0].replies
    run = Checkout(requests=[*prompts(len(replies)), utility])
    sample = held(monkeypatch, run, "long", setting, OURS)
    assert [request.body["number"] for request, _ in given[0]] == list(range(len(replies)))
    assert tuple(reply for _, reply in given[0]) == replies
    assert given[3][0] == "/bin/autoperf", "the client is measured as the variant has it"
    assert (sample.values[CLIENT], sample.values[FRAMEWORK]) == (0.75, 2.25)


def test_without_a_measurement_of_the_client_there_is_no_row_but_a_reason(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    sample = held(monkeypatch, Checkout(requests=prompts(3)), "long", setting, BARE)
    assert CLIENT not in sample.values
    assert FRAMEWORK not in sample.values
    assert sample.notes == ["no row for the model client: 3 prompts were sent for 21 replies"]


def fake_host(folder: Path, chunks: str) -> None:
    """A host whose client is one of the standard library, and which must be imported before it."""
    (folder / "models.py").write_text("import sys; sys.host_was_imported = True")
    (folder / "litellm.py").write_text(
        "import json, sys, urllib.request\n"
        "async def acompletion(model, api_base, api_key, **body):\n"
        "    assert sys.host_was_imported and model.startswith('openai/')\n"
        "    body['model'] = model.partition('/')[2]\n"
        "    headers = {'Content-Type': 'application/json'}\n"
        "    url = api_base + '/chat/completions'\n"
        "    request = urllib.request.Request(url, json.dumps(body).encode(), headers)\n"
        "    lines = urllib.request.urlopen(request).read().splitlines()\n"
        "    async def stream():\n"
        f"        for line in {chunks}:\n"
        "            yield line\n"
        "    return stream()\n"
    )


def test_the_client_alone_is_timed_in_the_hosts_folder(tmp_path: Path) -> None:
    fake_host(tmp_path, "lines")
    body = {"model": CHAT_MODEL, "messages": [], "stream": True}
    exchanges = [(Recorded("/v1/chat/completions", CHAT_MODEL, body), "a reply " * 50)] * 3
    seconds = client_alone.measure(exchanges, tmp_path, tmp_path, [sys.executable], 4)
    assert 0 < seconds < 60


def test_a_host_with_another_client_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("raise ImportError('no litellm here')")
    exchange = (Recorded("/v1/chat/completions", CHAT_MODEL, {"model": CHAT_MODEL}), "x")
    with pytest.raises(NotMeasuredError, match="no litellm here"):
        client_alone.measure([exchange], tmp_path, tmp_path, [sys.executable], 4)
    done = subprocess.CompletedProcess([], 0, json.dumps({"cpu": 1.0, "requests": 2, "chunks": 9}), "")
    with pytest.raises(NotMeasuredError, match="2 of 3 requests"):
        client_alone._seconds(done, 3)


def test_both_providers_where_the_host_has_two_apis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def hold(scenario: Scenario, setting: Setting, variant: Variant) -> Sample:
        asked.append((scenario.name, setting.provider))
        return Sample({"CPU": 1.0})

    monkeypatch.setattr(holding, "hold", hold)
    host = tmp_path / "host"
    (host / "helpers").mkdir(parents=True)
    noise = Noise(timed=lambda: 0.01, load=0.0)
    for number in range(2):
        folder = tmp_path / f"work{number}"
        folder.mkdir()
        benchmark = Benchmark(host, folder, Progress(str), rounds=1, provider="both", noise=noise)
        data = benchmark.scenarios(["short"], [BARE])
        assert [one["provider"] for one in data] == (["other", "openai"] if number else ["other"])
        (host / "helpers" / "responses_tools.py").touch()
    assert asked == [("short", "other"), ("short", "other"), ("short", "openai")]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_is_what_its_name_says(name: str) -> None:
    scenario = SCENARIOS[name]
    turns = scenario.conversation().turns
    longest = max((len(reply) for turn in turns for reply in turn.replies), default=0)
    messages = sum(2 * len(turn.replies) for turn in turns)
    assert (longest >= 65_536) is (name == "huge")
    assert (longest >= 20_000) is (name in ("long", "huge"))
    assert (messages >= 400) is (name == "history")
    assert (scenario.chunk_size == 4) is (name in ("long", "huge", "answer"))
    assert bool(turns) is (name != "start")
