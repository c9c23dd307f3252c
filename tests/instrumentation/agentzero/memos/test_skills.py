"""Skills: found and parsed once while their folders and files stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.prompt_hosts import PromptHost, prompt_host, settle

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PromptHost]:
    for host in prompt_host(tmp_path):
        host.write("skills/first/SKILL.md", "first\ntag")
        host.write("skills/deep/below/second/SKILL.md", "second")
        settle()
        yield host


def found(host: PromptHost, **options: Any) -> list[Any]:
    root = host.base / "skills"
    lists = []
    for module in (host.bare_skills, host.skills, host.skills):
        paths = module.discover_skill_md_files(root)
        skills = [module.skill_from_markdown(path, **options) for path in paths]
        lists.append([s and [str(getattr(s, name)) for name in s.__slots__] for s in skills])
        assert all(s is None or type(s) is module.Skill for s in skills)
        for skill in filter(None, skills):
            skill.tags.append("ours")
            skill.metadata.setdefault("nested", []).append("ours")
            if skill.metadata["nested"][:-1]:
                skill.metadata["nested"][0].append("ours")
        paths.clear()
    assert lists[0] == lists[1] == lists[2]
    return lists[0]


@pytest.mark.parametrize("options", [{}, {"include_content": True}, {"validate": False}])
def test_unchanged_skills_are_parsed_once_and_handed_out_fresh(
    host: PromptHost, options: dict[str, Any]
) -> None:
    assert len(found(host, **options)) == 2
    misses = host.counts["skills"].misses
    found(host, **options)
    assert host.counts["skills"].misses == misses
    assert host.counts["skills"].hits >= 4


def test_additions_edits_and_deletions(host: PromptHost) -> None:
    found(host)
    host.write("skills/first/SKILL.md", "edited\ntag")
    assert found(host)[1][0] == "edited"
    settle()
    found(host)
    host.write("skills/deep/below/third/SKILL.md", "third")
    assert len(found(host)) == 3
    settle()
    found(host)
    host.write("skills/.hidden/SKILL.md", "hidden")
    assert len(found(host)) == 3
    shutil.rmtree(host.base / "skills/deep")
    assert len(found(host)) == 1
    settle()
    found(host)
    shutil.rmtree(host.base / "skills")
    assert found(host) == []
    host.write("skills/new/SKILL.md", "new")
    assert len(found(host)) == 1


def test_what_is_no_skill_is_read_every_time(host: PromptHost) -> None:
    path = host.write("skills/first/SKILL.md", "")
    settle()
    assert found(host)[1] is None
    path.write_text("now")
    assert found(host)[1][0] == "now"


def test_links_are_left_to_the_host(host: PromptHost) -> None:
    host.write("elsewhere/SKILL.md", "linked")
    (host.base / "skills/linked").mkdir()
    (host.base / "skills/linked/SKILL.md").symlink_to(host.base / "elsewhere/SKILL.md")
    settle()
    found(host)
    assert len(found(host)) == 3
    (host.base / "elsewhere/SKILL.md").unlink()
    assert len(found(host)) == 2
