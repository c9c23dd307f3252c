"""What every look-alike can observe of itself: the same bare and under autoperf, but for the docs' list."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.judges.served_host import MOMENTS
from tests.judges.state import ALLOWED, allow_list, compare, diff, flat

HERE = Path(__file__).resolve().parent
HOSTS = ("v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2")
ONE_LIST = [re.compile("threads / autoperf-")]


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Bare and under autoperf, by look-alike."""
    if sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is there from Python 3.12 on")
    root = tmp_path_factory.mktemp("state") / "host"
    program = [sys.executable, str(HERE / "served_host.py")]
    return {
        host: diff([*program, str(HERE.parent / "hosts" / host), str(root)], list(MOMENTS)) for host in HOSTS
    }


@pytest.mark.judge
@pytest.mark.parametrize("host", HOSTS)
def test_nothing_differs_but_what_the_docs_list(host: str, fingerprints: dict[str, Any]) -> None:
    bare, ours = fingerprints[host]
    assert set(bare) == {"start", *MOMENTS, "exit"}
    assert compare(bare, ours, allow_list())[0] == []


@pytest.mark.judge
def test_every_line_of_the_list_is_needed(fingerprints: dict[str, Any]) -> None:
    allowed = allow_list()
    used = set().union(*(compare(bare, ours, allowed)[1] for bare, ours in fingerprints.values()))
    assert used == {pattern.pattern for pattern in allowed}


def test_the_list_is_a_table_whose_every_line_has_a_reason() -> None:
    rows = [line for line in ALLOWED.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) == len(allow_list())
    assert all(len(re.split(r"(?<!\\)\|", row)[2].split()) > 2 for row in rows)
    assert any(pattern.search("exit modules / csv: absent -> there") for pattern in allow_list())


def test_words_are_compared_one_by_one_and_numbers_as_a_whole() -> None:
    nested = {"hooks": {"trace": None}, "modules": ["a", "b"], "limits": [1, 2]}
    assert flat(nested) == {
        "hooks / trace": None,
        "modules / a": "there",
        "modules / b": "there",
        "limits": [1, 2],
    }


def test_a_difference_is_told_unless_the_list_lets_it_pass() -> None:
    bare = {"start": {"random": "x", "threads": {"main": 1}}, "exit": {}}
    ours = {"start": {"random": "y", "threads": {"main": 1, "autoperf-store": 1}}}
    found, used = compare(bare, ours, ONE_LIST)
    assert found == ["start random: x -> y", "exit: only bare"]
    assert used == {"threads / autoperf-"}
    assert compare(bare, bare, []) == ([], set())
