"""One process, one truth: every verb, the page, the agent's tool and the API say the same of it."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.insight.advice.collect import recommendations
from autoperf.insight.facts.caches import caches
from autoperf.insight.facts.ending import GONE
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.stalls import stalls
from autoperf.insight.facts.tally import Tokens
from autoperf.insight.processes import seen
from autoperf.process.optimizer import overview
from autoperf.telemetry.store.records import decoded
from tests import prepared_processes
from tests.prepared_processes import HOSTS, Prepared

pytestmark = pytest.mark.slow

NAMES = (
    *prepared_processes.REAL,
    "two with one store", "never reported", "some tokens", "earlier version", "replaced", "bootstrap failed",
)  # fmt: skip
UNRECORDED = ("killed before the first write", "never reported", "no store")
RECORDED = tuple(name for name in NAMES if name not in UNRECORDED)
# Nothing of these was traced.
TRACED = tuple(name for name in RECORDED if name != "bootstrap failed")
STATES = {
    "killed in mid-turn": "lost", "crashed": "lost", "still running": "runs", "stopped": "stopped",
    "replaced": "lost", "bootstrap failed": "unrecorded",
}  # fmt: skip


def flat(text: str) -> str:
    """``text`` as words, wherever its lines were broken."""
    return " ".join(text.split())


def said(*words: str) -> tuple[int, str, str]:
    """What ``autoperf words`` ends with, and writes to stdout and stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(words))
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


@dataclass
class Told:
    """Everything that is said of one prepared process."""

    prepared: Prepared
    answers: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @property
    def home(self) -> list[str]:
        return ["--home", str(self.prepared.home)]

    @property
    def pid(self) -> list[str]:
        return ["--pid", str(self.prepared.pid)]

    @cached_property
    def process(self) -> Process:
        found = seen(self.prepared.home, self.prepared.pid)
        assert found is not None
        return found

    def json(self, *words: str) -> Any:
        if words not in self.answers:
            self.answers[words] = json.loads(said(*words, *self.home, "--json")[1])
        return self.answers[words]

    @cached_property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json("status", *self.pid)["facts"]
        return found

    @property
    def root(self) -> str:
        host = self.process.record.get("host") or {}
        return str(host.get("root") or HOSTS / "v2")

    @cached_property
    def texts(self) -> dict[str, str]:
        """By reader; those that are about one process, in words."""
        found = {
            "status": said("status", *self.pid, *self.home)[1],
            "top": said("top", "--once", *self.pid, *self.home)[1],
            "advise": said("advise", *self.pid, *self.home)[1],
            "tool": "\n".join(overview.lines_of(self.process)),
        }
        if self.prepared.name not in ("earlier version", "bootstrap failed"):
            found["doctor"] = said("doctor", self.root, *self.home)[1]
        if self.prepared.name != "bootstrap failed":
            found["report"] = said("report", *self.home)[1]
            page = said("report", "--html", "-", *self.home)[1]
            found["page"] = html.unescape(re.sub(r"<[^>]*>", " ", page))
        return {reader: flat(text) for reader, text in found.items()}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    prepared = prepared_processes.prepare(tmp_path_factory.mktemp("prepared"))
    assert set(prepared) == set(NAMES)
    yield {name: Told(one) for name, one in prepared.items()}
    prepared_processes.end(prepared)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for every column and sentence."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.mark.parametrize("name", RECORDED)
def test_how_it_is_or_ended(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    state = told.facts["state"]
    assert state == STATES.get(name, "ended" if told.process.record.get("ended") else "lost")
    # A living one grows older from one reader to the next.
    words = told.process.ending.text.split(" since ")[0].split(", started ")[0]
    for reader, text in told.texts.items():
        assert f"process {told.prepared.pid} {words}" in text, reader
    if told.prepared.name in TRACED:
        (mine,) = [one for one in told.json("report")["processes"] if one["pid"] == told.prepared.pid][:1]
        assert (mine["state"], told.json("status", *told.pid)["running"]) == (
            state,
            state in ("runs", "stopped"),
        )


@pytest.mark.parametrize("name", UNRECORDED)
def test_what_was_never_heard_of(
    name: str, everything: dict[str, Told], capfd: pytest.CaptureFixture[str]
) -> None:
    told = everything[name]
    for words in (["status"], ["advise"], ["top", "--once"]):
        assert cli.main([*words, *told.home]) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert ("never reported" in line) == (name != "no store")
        if name == "killed before the first write":
            assert f"as process {told.prepared.pid}, never reported: it ended before its first" in line
    if name == "no store":
        assert told.prepared.live is not None
        drop = next(one for one in told.prepared.live["facts"]["drops"] if "local store cannot be" in one)
        assert drop.endswith("; to leave it out: AUTOPERF_FEATURES=-trace or AUTOPERF_DISABLED=1")


def test_a_program_that_was_replaced_in_its_process_ended(everything: dict[str, Told]) -> None:
    told = everything["replaced"]
    newer, older = prepared_processes.newest(told.prepared.home)
    assert newer["started"] == told.process.record["started"]
    assert Process(older, GONE, 0.0).ending.text == "was replaced by another program after 100 s"


@pytest.mark.parametrize("name", RECORDED)
def test_patches(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    if "doctor" in told.texts and name != "two with one store":
        file = told.prepared.home.parent / "report.md"
        said("doctor", told.root, "--bundle", str(file), *told.home)
        words = told.process.ending.text.split(" since ")[0].split(", started ")[0]
        line = next(line for line in file.read_text().splitlines() if line.startswith(f"* it {words}"))
        assert line.endswith(f"; {told.process.patches.text}"), "the bug report"
    for reader, text in told.texts.items():
        if reader not in ("top", "advise") and (reader != "status" or told.process.record.get("patches")):
            assert told.process.patches.text in text, reader
    if told.prepared.live is not None and told.prepared.stderr:
        assert told.prepared.live["facts"]["patches"] == told.facts["patches"]
        applied, wanted = told.facts["patches"]["applied"], told.facts["patches"]["wanted"]
        assert f"{applied} of {wanted} patches" in told.prepared.stderr, "the start line"


@pytest.mark.parametrize("name", RECORDED)
def test_the_version_of_the_host(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    version = told.process.version
    assert bool(version) == (name != "bootstrap failed")
    assert told.facts["version"] == version
    for reader, text in told.texts.items():
        assert f"Agent Zero {version}".strip() in text or not version, reader
    if name in prepared_processes.REAL:  # the others are of years ago
        assert version in [row["period"] for row in told.json("history", "--by", "version")]


@pytest.mark.parametrize("name", RECORDED)
def test_a_monitor_at_work_is_on(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    works = "monitor" in (told.process.record.get("features") or ())
    assert told.facts["patches"]["features"]["monitor"] == ("on" if works else "off by option")
    if name in prepared_processes.REAL and told.process.record.get("ended"):
        assert bool((told.process.record.get("monitor") or {}).get("running")) == works


@pytest.mark.parametrize("name", RECORDED)
def test_hits(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    expected = {one.name: one for one in told.process.caches.values() if one.lookups}
    if name not in ("bootstrap failed",):
        assert expected
    for one in expected.values():
        numbers = f"{one.name} {one.lookups:,.0f} {'-' if one.hits is None else f'{one.hits:,.0f}'}"
        assert numbers in told.texts["status"], one.name
        if name not in ("two with one store", "forked children"):  # the report adds processes up
            assert numbers in told.texts["report"], one.name
            assert numbers in told.texts["page"], one.name
            assert told.json("report")["caches"][one.name]["hits"] == one.hits
        assert told.facts["caches"][one.name]["hits"] == one.hits
        if one.why:
            assert f"{one.name}: {one.why}" in told.texts["status"], "why there is none"
    if told.prepared.live is not None:
        live = told.prepared.live["facts"]["caches"]
        assert {key: live[key]["hits"] for key in expected} == {
            key: one.hits for key, one in expected.items()
        }
        kept = told.prepared.live["caches"]
        assert not any({"hits", "misses"} & set(row) for row in kept.values())


@pytest.mark.parametrize("name", RECORDED)
def test_own_cost(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    own = told.process.cost
    assert (own is not None) == (name in prepared_processes.REAL or name == "two with one store")
    if own is not None:
        # A running process may have been described anew between two readers.
        shown = own.line() if told.process.record.get("ended") else "autoperf itself, CPU: "
        assert all(shown in told.texts[reader] for reader in ("status", "tool"))
        if len(told.json("report")["processes"]) == 1 and told.process.record.get("ended"):
            assert shown in told.texts["report"]
            assert told.json("report")["cost"] == told.facts["cost"]


def test_a_forked_child_has_hits_of_its_own_alone(everything: dict[str, Told]) -> None:
    told = everything["forked children"]
    parent, child = told.process, None
    for row in prepared_processes.newest(told.prepared.home):
        child = row if row["pid"] != told.prepared.pid else child
    assert child is not None
    assert (caches(child)["tools"].lookups, caches(child)["tools"].hits) == (1, 1)
    together = caches(child, parent.record)["tools"]
    assert together.lookups == 1 + (parent.caches["tools"].lookups or 0)
    assert child["tools"] == []
    assert child["started"] > parent.record["started"]
    assert Process(child, GONE, 0.0).notes[0] == "monitor is off: no monitor runs in this process"


@pytest.mark.parametrize("name", RECORDED)
def test_stalls(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    total = told.process.stalls.total
    assert told.facts["stalls"] == total
    if name == "stalls":
        assert (total or 0) >= 1
    if total:
        assert told.process.stalls.text in told.texts["status"]
        assert told.process.stalls.number in told.texts["tool"]
        assert re.search(rf"\b{total} stalls?\b", told.texts["top"])
    if name in TRACED:
        runs = [row for row in told.json("history") if row["period"].endswith(f"pid:{told.prepared.pid}")]
        assert runs[-1]["stalls"] == (total or 0)


@pytest.mark.parametrize("name", TRACED)
def test_messages_calls_and_tokens(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    traces = told.json("traces", "--all", "--limit", "100")
    counts = {
        "messages": sum(one["messages"] for one in traces),
        "tool_calls": sum(one["tool_calls"] for one in traces),
        "model_calls": sum(one["model_calls"] for one in traces),
    }
    report = told.json("report")
    assert report["tokens"]["calls"] == counts["model_calls"]
    assert sum(one["tool_calls"] for one in report["traces"]) == counts["tool_calls"]
    periods = told.json("history")
    assert sum(row["messages"] for row in periods) == counts["messages"]
    assert sum(row["tool_calls"] for row in periods) == counts["tool_calls"]
    assert sum(row["model_calls"] for row in periods) == counts["model_calls"]
    assert f"{counts['tool_calls']} tool calls, {counts['model_calls']} model calls" in told.texts["report"]
    tokens = sum((Tokens(**row["tokens"]) for row in periods), Tokens())
    assert tokens == Tokens(**report["tokens"])
    if counts["model_calls"]:
        assert tokens.coverage
        assert tokens.coverage in told.texts["report"]
        assert tokens.coverage in told.texts["page"]
    table = said("traces", "--all", *told.home)[1]
    assert ("not reported" in table or "no call" in table) or name in (
        "some tokens",
        "earlier version",
        "replaced",
    )
    if name == "some tokens":
        assert tokens.coverage == "reported for 4 of 5 calls"
        assert "(4/5)" in table
    if name == "killed in mid-turn":
        assert counts["model_calls"] == 2, "the one that went on is one, in the report and in the history"


@pytest.mark.parametrize("name", RECORDED)
def test_drops_failures_and_problems(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    readers = [reader for reader in told.texts if reader in ("status", "doctor", "report", "page", "top")]
    for sentence in (*told.process.problems, *told.process.notes):
        for reader in readers:
            shown = flat(sentence)[: 150 if reader in ("page", "top") else None]  # they cut long texts
            assert shown in told.texts[reader], reader
    for sentence in told.process.notes:
        assert flat(sentence)[:100] in told.texts["tool"]
    if name == "drops":
        assert any("lost" in sentence for sentence in told.facts["drops"])
    if name in ("failures", "bootstrap failed"):
        assert told.facts["failures"]
    if name in ("failed patches", "failures"):
        assert told.facts["problems"]
    if "doctor" in told.texts:
        report = told.json("doctor", told.root)
        problems = [
            one["text"]
            for one in report["findings"]
            if one["topic"] == "last run" and one["level"] == "problem"
        ]
        assert problems == told.process.problems
        assert not (problems and report["ok"])


@pytest.mark.parametrize("name", RECORDED)
def test_advice_and_health(name: str, everything: dict[str, Told]) -> None:
    told = everything[name]
    titles = [one.title for one in recommendations(told.prepared.home, told.prepared.pid)]
    assert [one["title"] for one in told.json("advise", *told.pid)] == titles
    assert titles or name != "advice"
    if "doctor" not in told.texts:
        return
    found = [one["text"] for one in told.json("doctor", told.root)["findings"] if one["topic"] == "advice"]
    assert [text.split("] ")[1].removesuffix("; see autoperf advise") for text in found] == titles
    if titles or not told.process.well:
        assert "all is well" not in told.texts["doctor"]


def test_too_few_measurements_are_too_few_everywhere(everything: dict[str, Told], tmp_path: Path) -> None:
    told, baseline = everything["some tokens"], everything["earlier version"].prepared.home
    report = json.loads(said("report", "--baseline", str(baseline), *told.home, "--json")[1])
    changes = report["before"]["changes"]
    few = [one for one in changes if min(one["before"]["count"], one["after"]["count"]) < 8]
    assert few
    assert all(one["verdict"] == "too few to tell" and one["ratio"] is None for one in few)
    assert "too few to tell" in said("report", "--baseline", str(baseline), *told.home)[1]


def test_why_there_is_no_hit_is_stored_and_told() -> None:
    reasons = {"git did not tell all": 400, "it had changed": 64}
    git = {"lookups": 464, "hits": 0, "misses": 464, "why": reasons}
    found = decoded(json.dumps({"lookups": {"git": git, "host": {"lookups": 3, "hits": None}}}))
    assert found is not None
    assert caches(found)["git"].why == "git did not tell all (400), it had changed (64)"
    assert caches(found)["host"].why == "not measured: the host loads there by itself"
    some = {"lookups": {"git": {**git, "hits": 1, "misses": 463}}}
    assert caches(some)["git"].why == ""


def test_a_stall_that_nobody_stored_is_counted_all_the_same() -> None:
    monitor = {"stalls": 6, "last_stall": None, "lasting": []}
    assert stalls({"monitor": monitor}).text == "6 stalls, 0 of them recorded"
    stored = [{"at": 5.0 + n, "seconds": 1.0, "loop": "a", "stack": []} for n in range(2)]
    going = {"at": 9.04, "loop": "a", "stack": ["x.py:1 f"]}
    found = stalls({"updated": 20.0, "monitor": {**monitor, "lasting": [going]}}, stored)
    assert found.text == "7 stalls, 3 of them recorded; the last, going on: seen in x.py:1 f"
    assert found.rows[-1]["seconds"] == 10.96
    # It has ended since, and lies in the store by its exact time.
    ended = stalls({"monitor": {"stalls": 1, "lasting": [going]}}, [{**going, "at": 9.0, "seconds": 3.0}])
    assert ended.text == "1 stall; the last, 3.0 s: seen in x.py:1 f"


def test_a_process_of_which_nothing_is_wrong_is_well() -> None:
    ended = {"pid": 7, "started": 1.0, "updated": 4.0, "ended": 4.0}
    assert Process(ended, GONE, 9.0).well
    assert not Process({**ended, "ended": None}, GONE, 9.0).well
    assert Process({**ended, "ended": None}, GONE, 9.0).problems == [], "a container is killed every day"
