"""Variables modules: called at every read, once, with what the host would hand them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoperf.patching.tracebacks import without_our_frames
from tests.prompt_hosts import FOLDERS, PromptHost, outcome, prompt_host, settle

pytestmark = pytest.mark.usefixtures("both_ways")

COUNTING = """
import pathlib
class Variables:
    def get_variables(self, file, backup_dirs=None, **kwargs):
        return {"told": pathlib.Path(%r).read_text()}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PromptHost]:
    for host in prompt_host(tmp_path):
        host.write("prompts/main.md", "main {{who}} {{ include 'part.md' }}")
        host.write("prompts/part.md", "part {{who}}")
        settle()
        yield host


class Agent:
    pass


def test_variables_are_asked_for_at_every_read_once(host: PromptHost) -> None:
    told = host.write("told.txt", "one")
    host.write("profile/part.py", COUNTING % str(told))
    host.write("prompts/part.md", "part {{told}}")
    settle()
    assert host.warm(who="A") == "main A part one"
    told.write_text("two")
    host.ours.calls.clear()
    assert outcome(host.ours, "main.md", FOLDERS, {"who": "A"}) == "main A part two"
    assert host.ours.calls == ["part.py"]
    told.write_text("one")
    assert host.same(who="A") == "main A part one"
    (host.base / "profile/part.py").unlink()
    assert host.same(who="A") == "main A part {{told}}"
    host.write("main.py", COUNTING % str(told))
    host.write("prompts/main.md", "{{told}}")
    assert host.same(who="A") == "one"


def test_variables_that_raise_now_leave_the_traceback_of_the_host(host: PromptHost) -> None:
    told = host.write("told.txt", "one")
    host.write("profile/main.py", COUNTING % str(told))
    settle()
    host.warm(who="A")
    told.unlink()
    frames = []
    for module in (host.bare, host.ours):
        with pytest.raises(FileNotFoundError) as caught:
            module.read_prompt_file("main.md", FOLDERS, who="A")
        without_our_frames(caught.value)
        lines = traceback.extract_tb(caught.value.__traceback__)[1:]
        frames.append([(frame.name, frame.line) for frame in lines])
    assert frames[0] == frames[1]
    assert len(frames[0]) > 2


def test_variables_get_the_values_and_folders_of_this_read(host: PromptHost) -> None:
    source = """
seen = []
class Variables:
    def get_variables(self, file, backup_dirs=None, **kwargs):
        kwargs["_agent"].seen.append((file, list(backup_dirs), sorted(kwargs)))
        return {"told": "x"}
"""
    host.write("prompts/main.py", source)
    settle()
    seen = []
    for module in (host.bare, host.ours, host.ours, host.ours):
        agent = Agent()
        agent.seen = []  # type: ignore[attr-defined]
        assert outcome(module, "main.md", FOLDERS, {"_agent": agent, "who": "A"}) == "main A part A"
        seen.append(agent.seen)  # type: ignore[attr-defined]
    assert seen[0]
    assert all(one == seen[0] for one in seen)


def test_a_dictionary_that_others_hold_gets_the_values_as_by_the_host(host: PromptHost) -> None:
    host.write("prompts/main.py", "import builtins\nclass Variables:\n    def get_variables(self, *a, **k):\n"
               "        return builtins.__dict__.setdefault('_shared_by_a_test', {})['now']\n")  # fmt: skip
    settle()
    import builtins

    for _ in range(3):
        shared = {"told": 1}
        builtins._shared_by_a_test = {"now": shared}  # type: ignore[attr-defined]
        outcome(host.ours, "main.md", FOLDERS, {"who": "A"})
        assert shared == {"told": 1, "who": "A"}
    del builtins._shared_by_a_test  # type: ignore[attr-defined]


def test_a_module_that_writes_what_is_included_next(host: PromptHost) -> None:
    part, wish = host.base / "prompts/part.md", host.base / "away/wish.txt"
    wish.parent.mkdir()
    source = f"""
import pathlib
class Variables:
    def get_variables(self, *args, **kwargs):
        if pathlib.Path({str(wish)!r}).exists():
            pathlib.Path({str(part)!r}).write_text("written")
        return {{}}
"""
    host.write("prompts/main.py", source)
    settle()
    assert host.warm(who="A") == "main A part A"
    wish.touch()
    assert outcome(host.ours, "main.md", FOLDERS, {"who": "A"}) == "main A written"
