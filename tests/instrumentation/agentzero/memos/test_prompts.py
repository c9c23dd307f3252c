"""Prompt files: the same text as the bare host's for every change, and no read while nothing changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoperf.memo.inputs import Inputs
from autoperf.memo.recorder import TEXTS_EACH
from autoperf.memo.watch import Watch
from tests.prompt_hosts import FOLDERS, PromptHost, outcome, prompt_host, settle

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PromptHost]:
    for host in prompt_host(tmp_path):
        host.write("prompts/main.md", "main {{who}} {{ include 'part.md' }}")
        host.write("prompts/part.md", "part {{who}}")
        settle()
        yield host


class Agent:
    mood = True

    def __bool__(self) -> bool:
        return self.mood


def test_an_unchanged_prompt_is_read_once(host: PromptHost) -> None:
    assert host.warm(who="A") == "main A part A"
    assert host.warm(who="B") == "main B part B"


def test_values_count_by_type_and_by_order(host: PromptHost) -> None:
    host.write("prompts/main.md", "{{a}}{{b}}")
    settle()
    for values in ({"a": 1}, {"a": True}, {"a": 1.0}, {"a": "1"}, {"a": 0.0}, {"a": -0.0}, {"a": None}):
        host.warm(**values)
    assert host.warm(a="{{b}}", b="x") == "xx"
    assert host.warm(b="x", a="{{b}}") == "{{b}}x"
    assert host.warm(a=[1, "x"]) != host.warm(a=(1, "x"))


@pytest.mark.parametrize("part", ["main.md", "part.md"])
@pytest.mark.parametrize("folder", ["user", "profile"])
def test_an_override_acts_at_the_next_read_and_so_does_its_end(
    host: PromptHost, part: str, folder: str
) -> None:
    before = host.warm(who="A")
    path = host.write(f"{folder}/{part}", "other {{who}}")
    assert host.same(who="A") != before
    settle()
    host.warm(who="A")
    path.unlink()
    assert host.same(who="A") == before


def test_edits_act_even_with_size_and_time_of_the_old_file(host: PromptHost) -> None:
    host.warm(who="A")
    path = host.base / "prompts/part.md"
    seen = path.stat()
    path.write_text("PART {{who}}")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert host.same(who="A") == "main A PART A"


def test_folders_that_come_and_go(host: PromptHost) -> None:
    folders = ["later", *FOLDERS]
    host.same(folders=folders, who="A")
    host.same(folders=folders, who="A")
    host.write("later/part.md", "new {{who}}")
    assert host.same(folders=folders, who="A") == "main A new A"
    settle()
    host.same(folders=folders, who="A")
    shutil.rmtree(host.base / "later")
    assert host.same(folders=folders, who="A") == "main A part A"
    shutil.rmtree(host.base / "prompts")
    assert host.same(folders=folders, who="A").startswith("FileNotFoundError: no main.md")


def test_links_that_lead_nowhere_yet(host: PromptHost) -> None:
    (host.base / "away").mkdir()
    (host.base / "user/part.md").symlink_to(host.base / "away/part.md")
    settle()
    host.warm(who="A")
    host.write("away/part.md", "linked")
    assert host.same(who="A") == "main A linked"
    settle()
    host.warm(who="A")
    (host.base / "away/part.md").unlink()
    assert host.same(who="A") == "main A part A"


def test_where_folders_tell_nothing_every_name_is_asked(
    host: PromptHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoperf.memo.watch.file_system", lambda path: "vfat")
    monkeypatch.setattr(
        "autoperf.memo.inputs.look",
        lambda path: (
            None
            if not os.path.exists(path)
            else (1, 1, 1, 1, 1)
            if os.path.isdir(path)
            else tuple(os.stat(path)[:5])
        ),
    )
    host.same(who="A")
    host.write("user/part.md", "other")
    assert host.same(who="A") == "main A other"


def test_lists_of_folders_are_their_own(host: PromptHost) -> None:
    host.write("user/part.md", "mine")
    settle()
    assert host.warm(who="A") == "main A mine"
    assert host.same(folders=["prompts"], who="A") == "main A part A"


def test_conditions_are_decided_by_values(host: PromptHost) -> None:
    host.write("prompts/main.md", "{{if who}}yes{{endif}}{{if not who and other == 'x'}}no{{endif}}")
    settle()
    assert host.warm(who="A", other="x") == "yes"
    assert host.warm(who="", other="x") == "no"


@pytest.mark.parametrize("condition", ["_agent.mood", "__import__('builtins')._mood", "_agent"])
def test_conditions_that_can_change_by_themselves_are_decided_every_time(
    host: PromptHost, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("prompts/part.md", "{{if " + condition + "}}yes{{endif}}")
    settle()
    agent = Agent()
    for mood in (True, False, True):
        agent.mood = mood
        monkeypatch.setattr("builtins._mood", mood, raising=False)
        assert host.same(who="A", _agent=agent) == "main A " + "yes" * mood


def test_objects_show_only_where_the_prompt_asks_for_them(host: PromptHost) -> None:
    assert host.warm(who="A", _agent=Agent()) == "main A part A"
    before = host.hits
    host.same(who="A", _agent=Agent())
    assert host.hits > before
    host.write("prompts/part.md", "by {{_agent}}")
    settle()
    first, second = Agent(), Agent()
    for agent in (first, second, first):
        assert str(agent) in host.same(who="A", _agent=agent)


class Moody:
    def __str__(self) -> str:
        self.asked = getattr(self, "asked", 0) + 1
        return f"asked {self.asked}"


def test_objects_with_a_text_of_their_own_are_asked_every_time(host: PromptHost) -> None:
    moods = [(host.bare, Moody()), (host.ours, Moody())]
    texts = [outcome(module, "main.md", FOLDERS, {"who": mood}) for module, mood in moods]
    again = [outcome(module, "main.md", FOLDERS, {"who": mood}) for module, mood in moods]
    assert texts[0] == texts[1]
    assert again[0] == again[1] != texts[0]


def test_what_was_read_by_itself_is_part_of_what_includes_it(host: PromptHost) -> None:
    assert host.same("part.md", who="A") == "part A"
    assert host.warm(who="A") == "main A part A"
    host.write("prompts/part.md", "edited")
    assert host.same(who="A") == "main A edited"


def test_a_look_is_settled_once_the_next_change_must_show(host: PromptHost) -> None:
    path = host.write("prompts/part.md", "x")
    fresh = Inputs(Watch())
    fresh.file(str(path))
    assert not fresh.settled()
    settle()
    later = Inputs(Watch())
    later.file(str(path))
    assert later.settled()
    assert Inputs(Watch()).settled()


def test_what_is_touched_now_is_not_trusted(host: PromptHost) -> None:
    for number in range(20):
        host.write("prompts/part.md", f"part {number % 10}")
        assert outcome(host.ours, "main.md", FOLDERS, {"who": "A"}) == f"main A part {number % 10}"


def test_missing_includes_and_errors_are_the_hosts(host: PromptHost) -> None:
    host.write("prompts/main.md", "{{ include 'later.md' }}")
    settle()
    assert host.same() == "{{ include 'later.md' }}"
    host.write("prompts/later.md", "now")
    assert host.same() == "now"
    assert host.same("nowhere.md").startswith("FileNotFoundError")
    (host.base / "prompts/main.md").write_bytes(b"\xff\xfe")
    assert host.same().startswith("UnicodeDecodeError")


def test_json_prompts_are_parsed_every_time_but_found_once(host: PromptHost) -> None:
    host.write("prompts/message.json.md", '{"text": {{text}}, "list": [1]}')
    settle()
    for text in ("a", "b", "c"):
        ours = host.ours.parse_file("message.json.md", FOLDERS, text=text)
        assert ours == host.bare.parse_file("message.json.md", FOLDERS, text=text)
        ours["list"].append(2)
    assert host.hits == 2
    host.write("user/message.json.md", '{"mine": {{text}}}')
    assert host.ours.parse_file("message.json.md", FOLDERS, text="d") == {"mine": "d"}


def test_a_function_that_a_plugin_replaces_is_used(host: PromptHost) -> None:
    host.warm(who="A")
    host.ours.replace_placeholders_text = lambda _content, **kwargs: "replaced"
    assert outcome(host.ours, "main.md", FOLDERS, {"who": "A"}) == "replaced"


def test_off_is_the_host_alone(host: PromptHost) -> None:
    host.warm(who="A")
    for row in host.patches.rows:
        row.switch.on = False
    before = host.counts["prompts"].total()
    host.same(who="A")
    assert host.counts["prompts"].total() == before
    host.patches.stop()
    assert host.ours.read_prompt_file.__code__.co_filename == host.ours.__file__


def test_texts_are_bounded(host: PromptHost) -> None:
    for number in range(3 * TEXTS_EACH):
        host.same(who=str(number))
    assert host.same(who="0") == "main 0 part 0"


def test_names_in_folders(host: PromptHost) -> None:
    def both() -> list[str]:
        expected = host.bare.get_unique_filenames_in_dirs(FOLDERS, "pa*.md")
        for _ in range(2):
            found = host.ours.get_unique_filenames_in_dirs(FOLDERS, "pa*.md")
            assert found == expected
            found.clear()
        return [str(Path(path).relative_to(host.base)) for path in expected]

    assert both() == both() == ["prompts/part.md"]
    assert host.counts["folders"].hits
    override = host.write("user/part.md", "x")
    assert both() == ["user/part.md"]
    settle()
    both()
    override.unlink()
    override.mkdir()
    assert both() == ["prompts/part.md"]
    (host.base / "profile/pax.md").symlink_to(host.base / "target.md")
    settle()
    both()
    host.write("target.md", "x")
    assert both() == ["prompts/part.md", "profile/pax.md"]
