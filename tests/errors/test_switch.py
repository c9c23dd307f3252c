"""A patch that finds out in use that it has to stand aside says so, and that it acts again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.errors.switch import DISABLE_AFTER_FAILURES, Switch, Together
from autoperf.patching.patch import Patch, PatchSet

TESTS = Path(__file__).resolve().parents[1]
# Of a look-alike, what another part of it may replace while it runs, and the patches that rely on it.
REPLACED = {
    "helpers.files:find_file_in_dirs": {"helpers.files:read_prompt_file"},
    "helpers.files:get_abs_path": {"helpers.files:read_prompt_file", "helpers.subagents:get_paths"},
    "helpers.extension:call_extensions_sync": {"helpers.extension:extensible"},
    "helpers.extension:_get_extension_classes": {
        "helpers.extension:call_extensions_async",
        "helpers.extension:call_extensions_sync",
        "agent:Agent.handle_intervention",
    },
    "helpers.cache:determine_cache_key": {"helpers.extension:call_extensions_async"},
    "helpers.dirty_json:DirtyJson._go": {"helpers.dirty_json:DirtyJson.parse"},
    "helpers.modules:import_module": {"helpers.modules:load_classes_from_file"},
    "helpers.yaml:yaml.safe_load": {"helpers.yaml:loads"},
    "os:getenv": {"helpers.dotenv:get_dotenv_value"},
    "helpers.git:Repo": {"helpers.git:get_repo_release_info"},
    "agent:Agent.wait_if_paused": {"agent:Agent.handle_intervention"},
}
PROGRAM = """
import importlib, json, sys
sys.path[:0] = [".", sys.argv[1], sys.argv[1] + "/hosts"]
from pathlib import Path
from introduction import introduce
from runtime_process import REPLIES, Conversation
introduce(Path.cwd(), "helpers")
import autoperf
runtime = autoperf.instrument(".")
talk = Conversation("v2")
for name in ("yaml", "dotenv", "git"):
    importlib.import_module(f"helpers.{name}")

def use():
    talk.say(REPLIES)
    modules = sys.modules
    modules["helpers.dirty_json"].DirtyJson().parse(json.dumps({"a": "x" * 300}))
    modules["helpers.yaml"].loads("a: 1")
    modules["helpers.dotenv"].get_dotenv_value("HOME")
    modules["helpers.git"].get_repo_release_info(str(Path.cwd()))
    for work in runtime.probe.idle_work:
        work()
    told = autoperf.status()["facts"]["patches"]["losses"]
    return {loss["target"]: [loss["state"], loss["reason"]] for loss in told}

def other(function):
    return lambda *args, **kwargs: function(*args, **kwargs)

use()
said = {"": use()}
for target in sys.argv[2:]:
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    before = vars(owner)[name]
    setattr(owner, name, other(before))
    during = use()
    setattr(owner, name, before)
    said[target] = [during, use()]
print("\\n" + json.dumps(said))
"""


def test_what_was_replaced_in_use_is_told_as_long_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    shutil.copytree(TESTS / "hosts" / "v2", folder)
    environ = {**os.environ, "AUTOPERF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, "-c", PROGRAM, str(TESTS), *REPLACED]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    before = said.pop("")
    for replaced, (during, after) in said.items():
        new = during.keys() - before.keys()
        assert REPLACED[replaced] <= new, f"{replaced} was replaced, and only this is told: {new}"
        assert {during[target][0] for target in new} == {"unrecognised"}
        assert after == before, f"{replaced} is what it was, and this is told of it"


def test_a_patch_that_goes_on_failing_is_lost(fail_open: None, capsys: pytest.CaptureFixture[str]) -> None:
    sys.modules["failing_host"] = type(sys)("failing_host")
    vars(sys.modules["failing_host"])["double"] = lambda x: 2 * x

    def build(_original: object, _switch: Switch) -> object:
        def fails(_call: object, _x: int) -> int:
            raise KeyError("ours")

        return fails

    patches = PatchSet([Patch("failing_host:double", "tokens", build)])
    patches.start()
    try:
        for _ in range(DISABLE_AFTER_FAILURES):
            assert (patches.aside, patches.rows[0].as_row()["state"]) == (0, "applied")
            assert sys.modules["failing_host"].double(2) == 4
        row = patches.rows[0].as_row()
        assert (patches.aside, row["state"]) == (1, "failed")
        assert row["reason"] == "switched off after 20 failures"
    finally:
        patches.stop()
        del sys.modules["failing_host"]


def test_rows_stand_aside_together_and_keep_their_own_reason() -> None:
    together, one, two, later = Together(), Switch(), Switch(), Switch()
    together.joins("one", one)
    together.joins("two", two)
    one.stand_aside("its own")
    together.stand_aside("theirs", "off")
    together.joins("later", later)
    assert [switch.aside for switch in (one, two, later)] == [
        ("unrecognised", "its own"),
        ("off", "theirs"),
        ("off", "theirs"),
    ]
    together.act_again()
    assert [switch.aside for switch in (one, two, later)] == [("unrecognised", "its own"), None, None]
    together.stand_aside("theirs", "off")
    for switch in (one, two, later):
        switch.act_again()
    assert {switch.aside for switch in (one, two, later)} == {("off", "theirs")}, "that is not theirs to say"


def test_a_patch_that_was_switched_off_does_not_act_again() -> None:
    switch = Switch()
    switch.on = False
    switch.stand_aside("switched off after 20 failures", "failed")
    switch.act_again()
    assert switch.aside == ("failed", "switched off after 20 failures")


def test_a_row_is_lost_while_one_that_notes_for_it_does_not_act() -> None:
    together, noting, relying = Together("exists"), Switch(), Switch()
    together.joins("get_paths", relying)
    assert together.state() is None
    assert relying.aside == ("unrecognised", "it relies on the patch of exists, which does not act")
    together.joins("exists", noting)
    assert (together.state(), relying.aside) == (0, None)
    noting.on = False
    noting.stand_aside("switched off after 20 failures", "failed")
    assert together.state() is None
    assert relying.aside == ("failed", "it relies on the patch of exists, which does not act")
    assert noting.aside == ("failed", "switched off after 20 failures")
