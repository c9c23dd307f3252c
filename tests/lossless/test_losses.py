"""The next release has other code in a function that autoperf knows: what is lost by it is told."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.instrumentation.agentzero import detect, survey
from autoperf.instrumentation.agentzero.layout import Source
from autoperf.instrumentation.agentzero.memos import dotenv, git, tokens, yaml
from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing
from autoperf.instrumentation.agentzero.versions import Asks, _pins
from tests.hosts.generations import GENERATIONS
from tests.hosts.introduction import introduce
from tests.known_functions import Known, change, known_functions

TESTS = Path(__file__).resolve().parents[1]
HOSTS = ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"]
# At least so many known functions of each: one that is found no more would be tested no more.
FEWEST = {"v0_8": 19, "v0_9_3": 19, "v0_9_8": 27, "v0_9_9": 25, "v2": 30}
# What reads prompt files is known from v0.9.5 on, and this one is v0.9.4 by what it defines.
ABSENT = {"v0_9_3": "python.helpers.files"}
PROGRAM = """
import json, sys
sys.path[:0] = [".", sys.argv[1], sys.argv[1] + "/hosts"]
from pathlib import Path
from generations import GENERATIONS
from introduction import introduce
from runtime_process import REPLIES, Conversation
introduce(Path(sys.argv[2]), GENERATIONS[sys.argv[3]].package)
import autoperf
runtime = autoperf.instrument(".")
Conversation(sys.argv[3]).say(REPLIES)
for module in sys.argv[4:]:
    __import__(module)
print("\\n" + json.dumps(autoperf.status()))
"""


def status(host: str, folder: Path, home: Path, modules: set[str]) -> tuple[dict[str, Any], str]:
    """What a process of the host in ``folder`` says of itself after a message, and its stderr."""
    command = [sys.executable, "-c", PROGRAM, str(TESTS), str(TESTS / "hosts" / host), host, *sorted(modules)]
    environ = {"PATH": "/usr/bin:/bin", "AUTOPERF_HOME": str(home), "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a look-alike whose sources are known in this process too."""
    tables: list[Any] = [
        *(reply_parsing.VARIANTS, object_starts.KNOWN, yaml.KNOWN, tokens.KNOWN, dotenv.KNOWN),
        *(git.OF_A_PATH, git.OF_THE_HOST),
    ]
    before = [copy.copy(table) for table in tables]
    introduce(TESTS / "hosts" / request.param, GENERATIONS[request.param].package)
    yield request.param
    for table, known in zip(tables, before, strict=True):
        table.clear()
        table.update(known)


def copied(host: str, folder: Path) -> Path:
    shutil.copytree(TESTS / "hosts" / host, folder)
    return folder


def known_of(host: str, folder: Path) -> list[Known]:
    found = [one for one in known_functions(folder) if one.module != ABSENT.get(host)]
    assert len(found) >= FEWEST[host]
    return found


def lost_by_source(root: Path) -> set[str]:
    """What `autoperf doctor` says to be lost of a host that has not run."""
    layout = detect(root)
    assert layout is not None
    return {seam.target for seam in survey(root, layout) if seam.lost}


def lost_in(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each target that a process lost, with what is said of it."""
    return {loss["target"]: loss for loss in told["facts"]["patches"]["losses"]}


def expect_told(known: Known, lost: set[str], applied: set[str]) -> None:
    """The patch of the function itself, where it has one that looks at it, else one that relies on it."""
    of_it = {target for target in applied if target == known.text}
    if known.alone and of_it:
        assert of_it <= lost, f"{known.text} has other code than is known, and nothing is told"
    assert lost, f"{known.text} has other code than is known, and nothing is told"


def test_each_known_function_that_was_changed_is_told(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(host, tmp_path / "next")
    known = known_of(host, folder)
    modules = {one.module for one in known}
    before, _ = status(host, copied(host, tmp_path / "this"), tmp_path / "before", modules)
    applied = {row["target"] for row in before["patches"] if row["state"] == "applied"}
    first = lost_by_source(folder)
    assert first == {one for one in lost_in(before) if one in first}, "lost by its source, and in a run"

    changed = [one for one in known if change(folder, one)]
    after, stderr = status(host, folder, tmp_path / "home", modules)
    lost = lost_in(after)
    new = set(lost) - set(lost_in(before))
    for module in {one.module for one in changed}:
        assert any(target.startswith(f"{module}:") for target in new), f"nothing is told of {module}"
    for one in changed:
        expect_told(one, new, applied)
    assert new <= applied
    assert {lost[target]["state"] for target in new} == {"unrecognised"}
    assert lost_by_source(folder) - first == new, "a run tells what doctor tells without one"

    states = after["facts"]["patches"]["features"]
    assert {name for name, state in states.items() if state in ("off", "partly off")} == {
        loss["feature"] for loss in lost.values()
    }
    assert "autoperf doctor" in next(line for line in stderr.splitlines() if "patches" in line)
    for home in ("home", "empty"):
        capsys.readouterr()
        assert cli.main(["doctor", str(folder), "--home", str(tmp_path / home)]) == 1
        out = capsys.readouterr().out
        assert all(target in out for target in new)
        assert "all is well" not in out


def test_each_known_function_alone_is_told_by_the_source(host: str, tmp_path: Path) -> None:
    folder = copied(host, tmp_path / "next")
    known, first = known_of(host, folder), lost_by_source(folder)
    applied = {one.text for one in known}
    for one in known:
        path = folder.joinpath(*one.module.split(".")).with_suffix(".py")
        text = path.read_text("utf-8")
        if change(folder, one):
            expect_told(one, lost_by_source(folder) - first, applied)
            path.write_text(text, "utf-8")


def test_a_function_that_asks_for_more_is_told_by_the_source_as_by_a_run(host: str, tmp_path: Path) -> None:
    folder = copied(host, tmp_path / "next")
    layout, first = detect(folder), lost_by_source(folder)
    assert layout is not None
    asking = {str(target) for target, pins in _pins(layout) if any(isinstance(pin, Asks) for pin in pins)}
    changed = {
        target
        for target in asking
        if Source(folder).code(target) and change(folder, Known(*target.split(":"), True), "type.__doc__")
    }
    assert layout.handle_intervention in changed
    lost = lost_by_source(folder) - first
    assert lost
    # Where an extension call looks everything up again, it may ask for what it likes.
    assert changed - lost <= {layout.call_extensions}
    before, _ = status(host, copied(host, tmp_path / "this"), tmp_path / "before", set())
    after, _ = status(host, folder, tmp_path / "home", {target.partition(":")[0] for target in lost})
    assert lost == set(lost_in(after)) - set(lost_in(before))


@pytest.mark.judge
def test_each_known_function_alone_is_told_by_a_run(host: str, tmp_path: Path) -> None:
    folder = tmp_path / "this"
    known = known_of(host, copied(host, folder))
    modules = {one.module for one in known}
    before, _ = status(host, folder, tmp_path / "before", modules)
    applied = {row["target"] for row in before["patches"] if row["state"] == "applied"}
    for number, one in enumerate(known):
        folder = copied(host, tmp_path / f"next{number}")
        if change(folder, one):
            after, _ = status(host, folder, tmp_path / f"home{number}", modules)
            expect_told(one, set(lost_in(after)) - set(lost_in(before)), applied)


def test_a_health_check_may_allow_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied("v2", tmp_path / "next")
    assert change(folder, Known("helpers.yaml", "loads", True))
    status("v2", folder, tmp_path / "home", {"helpers.yaml"})
    doctor = ["doctor", str(folder), "--home", str(tmp_path / "home")]
    told = cli.main(doctor), cli.main([*doctor, "--allow-losses"])
    assert told == (1, 0), capsys.readouterr().out
    assert "helpers.yaml:loads" in capsys.readouterr().out
