"""The heart of the suite: the same conversations, bare and instrumented, leave the same transcript.

Every look-alike host plays all its scenarios in a fresh process, once bare and once for each set of features.
The sets cover every pair of features: both on, both off, each on without the other.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autoperf.features import FEATURES, ON_REQUEST, parse_features
from autoperf.telemetry.store.store import Store

TESTS = Path(__file__).resolve().parents[1]
TEMPLATE = TESTS.parent / "sitecustomize_template"
HOSTS = ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"]
# "all" are those that are on by default; these too.
EVERYTHING = ",".join(f"+{name}" for name in sorted(ON_REQUEST))
# Throttled transcripts are compared less strictly, so that no pair is left to them alone.
PAIRED = [name for name in FEATURES if name != "throttle"]


def covering_array(names: list[str], rows: int) -> list[str]:
    """Feature lists in which each two of ``names`` occur in all four combinations of on and off.

    The first row has all off. Of the others each name is on in a subset of its own: any two are so large that
    they share a row, and as they are of one size each has a row without the other (Katona 1973; Kleitman and
    Spencer 1973).
    """
    subsets = itertools.combinations(range(1, rows), rows // 2)
    on = dict(zip(names, subsets, strict=False))
    return [",".join(name for name in names if row in on[name]) or "none" for row in range(rows)]


# What is on, and how much of it becomes spans.
CASES = [
    *((features, "step") for features in covering_array(PAIRED, 8)),
    ("all", "step"),
    ("all", "turn"),
    ("all", "all"),
    ("+throttle", "step"),
    (EVERYTHING, "step"),
]
# What some look-alikes lack, or have in words of their own where the host's are known by their very source.
NOT_ALIKE = {
    *("agent:Agent._execute_tool_request", "python.helpers.files:get_base_dir"),
    *("python.helpers.tokens:count_tokens", "helpers.tokens:count_tokens"),  # long texts are counted whole
}
# With callbacks throttled, extensions of a stream run less often, and later than what happened meanwhile.
OFTEN = {"stream", "log.update", "parsed", "thoughts", "extension", "event", "chunk seen"}
# The extension of it fails while it looks at more text than it would have been given: the log ends before it.
FAILS_LATE = "fast_failing_extension"


def play(host: str, environment: dict[str, str]) -> dict[str, Any]:
    """Transcripts by scenario name."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "transcripts.json"
        subprocess.run(
            [sys.executable, TESTS / "hosts" / "drive.py", TESTS / "hosts" / host, out],
            env={**clean, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        told: dict[str, Any] = json.loads(out.read_text())
        return told


class Matrix:
    """All the plays that the chosen tests will ask for, as many at a time as there are processors."""

    def __init__(self, cases: list[tuple[str, str, str]], folder: Path) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._folder = folder
        self._bare = {host: self._pool.submit(play, host, {}) for host in dict.fromkeys(c[0] for c in cases)}
        self._plays = {case: self._pool.submit(self._play, *case) for case in cases}

    def home(self, *case: str) -> Path:
        """Where the store of one play lies."""
        return self._folder.joinpath(*case)

    def bare(self, host: str) -> dict[str, Any]:
        """The transcripts that everything else is compared with."""
        return self._bare[host].result()

    def instrumented(self, *case: str) -> dict[str, Any]:
        """The transcripts of a host, a list of features and a detail; once, as they are large."""
        return self._plays.pop(case).result()

    def close(self) -> None:
        """Let nothing run on that nobody asks for any more."""
        self._pool.shutdown(cancel_futures=True)

    def _play(self, host: str, features: str, detail: str) -> dict[str, Any]:
        return play(
            host,
            {
                # The repository's own path serves an interpreter in which autoperf is not installed.
                "PYTHONPATH": os.pathsep.join([str(TEMPLATE), str(TESTS.parent)]),
                "AUTOPERF_HOME": str(self.home(host, features, detail)),
                "AUTOPERF_FEATURES": features,
                "AUTOPERF_DETAIL": detail,
            },
        )


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [item.callspec.params for item in items if item.originalname == "test_transcripts_are_equal"]
    cases = [(params["host"], params["features"], params["detail"]) for params in chosen]
    made = Matrix(cases, tmp_path_factory.mktemp("lossless"))
    yield made
    made.close()


def difference(expected: Any, found: Any) -> str:
    """The first lines in which two transcripts differ."""
    lines = (json.dumps(told, indent=1).splitlines() for told in (expected, found))
    return "\n".join(list(difflib.unified_diff(*lines, "bare", "instrumented", lineterm="", n=2))[:30])


def settled(told: dict[str, Any], name: str) -> dict[str, Any]:
    """What is left of a scenario when all is over: answers, history, log, what was stored, sent and begun."""
    found: dict[str, list[Any]] = {}
    threads = told["events"].values() if isinstance(told["events"], dict) else [told["events"]]
    for event in itertools.chain.from_iterable(threads):
        if event["kind"] not in OFTEN:
            found.setdefault(event["chat"], []).append(event)
    chats = told["chats"]
    if name == FAILS_LATE:
        chats = {chat: {key: one[key] for key in ("answers", "history")} for chat, one in chats.items()}
    return {"chats": chats, "events": found, "stdout": told["stdout"]}


def test_each_two_features_meet_in_every_combination():
    sets = [parse_features(features) for features, _ in CASES if "throttle" not in parse_features(features)]
    for one, other in itertools.combinations(PAIRED, 2):
        met = {(one in features, other in features) for features in sets}
        assert len(met) == 4, (one, other)
    assert any("throttle" in parse_features(features) for features, _ in CASES)


@pytest.mark.parametrize(("features", "detail"), CASES)
@pytest.mark.parametrize("host", HOSTS)
def test_transcripts_are_equal(host: str, features: str, detail: str, matrix: Matrix) -> None:
    expected, found = matrix.bare(host), matrix.instrumented(host, features, detail)
    assert list(found) == list(expected)
    chosen = sorted(parse_features(features))
    if "throttle" in chosen:
        expected, found = (
            {name: settled(one, name) for name, one in told.items()} for told in (expected, found)
        )
    different = {name: told for name, told in found.items() if told != expected[name]}
    shown = "\n".join(
        f"{name}:\n{difference(expected[name], told)}" for name, told in list(different.items())[:3]
    )
    assert not different, f"{len(different)} of {len(expected)} differ\n{shown}"
    with Store.open(matrix.home(host, features, detail)) as store:
        (record, *_) = store.processes()
    assert record["features"] == chosen
    assert not record["failures"]
    if "throttle" in chosen and host != "v0_8":
        assert record["lookups"]["stream chunks"]["hits"] > 200
    elif "streaming" in chosen:
        assert record["replies"]["resumed"] > 100
    wanted = [row for row in record["patches"] if row["state"] not in ("off", "absent")]
    states = {row["target"]: row["state"] for row in wanted if not row["foreign"]}
    absent = {target for target, state in states.items() if state != "applied"}
    if any(
        name.startswith("mcp-") for name in chosen
    ):  # the look-alikes have no such sessions as those that could be kept
        absent -= {row["target"] for row in wanted if row["feature"].startswith("mcp-")}
    assert absent <= NOT_ALIKE, states
