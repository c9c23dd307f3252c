"""Known defects: advised where the running version has them and they show, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoperf.insight.advice.recommendation import recommend
from autoperf.insight.advice.rules import defects
from autoperf.insight.facts import Facts, Host, Recommendation
from autoperf.insight.traces.timings import Timing
from autoperf.telemetry import names
from autoperf.telemetry.git_version import number


def samples(count: int = 1000, **of_time: Any) -> list[dict[str, Any]]:
    return [
        {"at": 1e9 + 10 * number, **{name: value(10 * number) for name, value in of_time.items()}}
        for number in range(count)
    ]


def used(tool: str, count: int = 40) -> dict[str, Any]:
    return {"tools": [{"name": tool, "count": count}, {"name": "other", "count": 99}]}


GROWING_FILES = samples(files=lambda at: 100 + at // 50)
BLOCKED = {
    "seconds": 4.0,
    "cause": "wait",
    "stack": ["agent.py:1 monologue", "helpers/mcp_handler.py:90 has_tool"],
}
CUT = Timing(names.EXECUTE_TOOL, "search.find", 12, 3, 9000.0, 10_010.0, 10_020.0, 99_000.0)
PAGERS = samples(400, children=lambda at: {"less": [2, 1000], "sh": [5, 1]})

# Everything that shows the defect: thread, facts, first and last version with it, the first without.
SHOWN = {
    "#1596": (Facts(samples=GROWING_FILES, process=used("code_execution_tool")), "v0.9.4", "v1.10", "v1.12"),
    "#906": (Facts(samples=GROWING_FILES, process=used("browser_agent")), "v0.8.6", "v1.9", "v1.10"),
    "#1553": (Facts(stalls=[BLOCKED] * 3), "v0.8.5", "v1.20", "v2.0"),
    "#946": (Facts(timings=[CUT]), "v0.9.1", "v0.9.7", "v0.9.8"),
    "#813": (Facts(samples=samples(threads=lambda at: 20 + at // 50)), "v0.8.1", "v0.9.7", "v0.9.8"),
    "#1697": (Facts(samples=PAGERS), "v0.9.4", "v1.20", "v2.0"),
}
BEFORE = {
    "v0.9.4": "v0.9.3",
    "v0.8.6": "v0.8.5.1",
    "v0.8.5": "v0.8.4.2",
    "v0.9.1": "v0.9.0",
    "v0.8.1": "v0.8",
}


def told(facts: Facts, version: str | None) -> list[Recommendation]:
    found = recommend(replace(facts, host=Host(version=version)))
    return [advice for advice in found if advice.rule == "known defect"]


def threads(facts: Facts, version: str | None) -> set[str]:
    return {
        row.thread
        for row in defects.DEFECTS
        for advice in told(facts, version)
        if row.thread in advice.evidence
    }


def test_every_defect_of_the_table_is_tried_here() -> None:
    assert {row.thread for row in defects.DEFECTS} == set(SHOWN)


@pytest.mark.parametrize("thread", SHOWN)
def test_told_of_the_versions_that_have_it(thread: str) -> None:
    facts, first, last, fixed = SHOWN[thread]
    for version in (first, last):
        assert thread in threads(facts, version)
    (advice,) = [one for one in told(facts, last) if thread in one.evidence]
    assert advice.title.startswith(f"Agent Zero {last} has a known defect")
    assert advice.action.startswith(f"update Agent Zero to {fixed} or newer")
    assert advice.gain


@pytest.mark.parametrize("thread", SHOWN)
@pytest.mark.parametrize("version", [None, "4f3a2b1c0d9e", "v1.7-pre", "v0.9.9 - v2.6", "", "latest"])
def test_nothing_without_a_known_version(thread: str, version: str | None) -> None:
    assert told(SHOWN[thread][0], version) == []


@pytest.mark.parametrize("thread", SHOWN)
def test_nothing_where_it_was_fixed_or_not_there_yet(thread: str) -> None:
    facts, first, _, fixed = SHOWN[thread]
    assert thread not in threads(facts, fixed)
    assert thread not in threads(facts, "v2.6")
    assert thread not in threads(facts, BEFORE[first])


@pytest.mark.parametrize("thread", SHOWN)
def test_nothing_where_it_does_not_show(thread: str) -> None:
    last = SHOWN[thread][2]
    assert threads(Facts(), last) == set()
    calm = Facts(
        samples=samples(files=lambda at: 100, threads=lambda at: 20, children=lambda at: {"sh": [2, 1]}),
        process=used("code_execution_tool"),
    )
    assert threads(calm, last) == set()


def test_a_version_between_the_last_with_it_and_the_first_without_counts_as_neither() -> None:
    assert "#1596" not in threads(SHOWN["#1596"][0], "v1.11")


@pytest.mark.parametrize(
    ("thread", "facts"),
    [
        ("#1596", Facts(samples=GROWING_FILES, process=used("code_execution_tool", 2))),
        ("#1596", Facts(samples=GROWING_FILES, process=used("browser_agent"))),
        ("#906", Facts(samples=GROWING_FILES, process=used("code_execution_tool"))),
        ("#1553", Facts(stalls=[BLOCKED] * 2)),
        ("#1553", Facts(stalls=[{**BLOCKED, "seconds": 29.0}])),
        ("#1553", Facts(stalls=[{**BLOCKED, "stack": [*BLOCKED["stack"], "helpers/git.py:1 f"]}] * 5)),
        ("#1553", Facts(stalls=[{**BLOCKED, "stack": []}] * 5)),
        ("#1553", Facts(stalls=[{**BLOCKED, "cause": "starved"}] * 5)),
        ("#1553", Facts(stalls=[{**BLOCKED, "cause": "lock"}] * 5)),
        ("#946", Facts(timings=[replace(CUT, errors=0)])),
        ("#946", Facts(timings=[replace(CUT, name="code_execution_tool")])),
        ("#946", Facts(timings=[replace(CUT, max_ms=600.0)])),
        ("#946", Facts(timings=[replace(CUT, max_ms=120_000.0)])),
        ("#1697", Facts(samples=PAGERS[:20])),
        ("#1697", Facts(samples=[*PAGERS, {"at": PAGERS[-1]["at"] + 5, "children": {}}])),
    ],
)
def test_what_is_no_evidence_of_it(thread: str, facts: Facts) -> None:
    assert thread not in threads(facts, SHOWN[thread][2])


def test_two_mcp_calls_that_wait_for_each_other_for_ever() -> None:
    stuck = Facts(stalls=[{**BLOCKED, "seconds": 86.0}])
    (advice,) = told(stuck, "v1.7")
    assert "for 86 s no chat moved while an MCP call held a lock; reported as #1553" in advice.evidence


def test_what_a_known_defect_explains_is_not_to_be_reported_again() -> None:
    def rules(stalls: list[dict[str, Any]], version: str) -> set[str]:
        return {one.rule for one in recommend(Facts(stalls=stalls, host=Host(version=version)))}

    elsewhere = {**BLOCKED, "stack": ["helpers/git.py:1 f"]}
    assert rules([BLOCKED] * 6, "v1.7") == {"known defect"}
    assert rules([BLOCKED] * 6, "v2.0") == {"loop blocked"}
    assert rules([*[BLOCKED] * 6, *[elsewhere] * 5], "v1.7") == {"known defect", "loop blocked"}


@pytest.mark.parametrize(
    ("thread", "name", "version", "without"),
    [("#1596", "files", "v1.7", "v2.0"), ("#813", "threads", "v0.9.4", "v0.9.8")],
)
def test_what_grows_by_a_known_defect_is_told_once(
    thread: str, name: str, version: str, without: str
) -> None:
    facts = SHOWN[thread][0]

    def rules(running: str) -> set[str]:
        return {one.rule for one in recommend(replace(facts, host=Host(version=running)))}

    assert rules(version) == {"known defect"}
    assert rules(without) == {f"{name} grow"}


@pytest.mark.parametrize("thread", ["#1596", "#813"])
def test_what_it_took_to_start_is_no_growth(thread: str) -> None:
    facts, _, last, _ = SHOWN[thread]
    few = samples(
        files=lambda at: 4 if at < 30 else 100 + at // 5000,
        threads=lambda at: 4 if at < 30 else 20 + at // 5000,
    )
    assert threads(replace(facts, samples=few), last) == set()


def test_versions_as_numbers() -> None:
    assert number("v0.9.8.1") == (0, 9, 8, 1)
    assert number("v1.0") == number("1.0.0") == (1,)
    assert (0, 9, 8) < (0, 9, 8, 1) < (1,) < (1, 10) < (1, 12)
