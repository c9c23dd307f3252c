"""A host's modules of prompt files and of skills, small and in Agent Zero's shape, bare or instrumented."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from autoperf.instrumentation.agentzero import known_sources
from autoperf.instrumentation.agentzero.memos import prompt_files, prompts, skills
from autoperf.memo.counters import Lookups
from autoperf.memo.memo import Memo
from autoperf.memo.watch import Watch
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest, group_digest

FILES = """
import glob, importlib.util, json, os, re

BASE = {base!r}
calls = []

class VariablesPlugin:
    pass

def get_abs_path(*parts):
    return os.path.join(BASE, *parts)

def exists(path):
    return os.path.exists(path)

def find_file_in_dirs(_filename, _directories):
    for directory in _directories:
        path = get_abs_path(directory, _filename)
        if exists(path):
            return path
    raise FileNotFoundError(f"no {{_filename}} anywhere")

def load_plugin_variables(file, backup_dirs=None, **kwargs):
    name = os.path.basename(file)[:-3] + ".py"
    try:
        path = find_file_in_dirs(name, [os.path.dirname(file), *(backup_dirs or [])])
    except FileNotFoundError:
        return {{}}
    spec = importlib.util.spec_from_file_location("variables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls.append(name)
    return module.Variables().get_variables(file, backup_dirs, **kwargs)

def evaluate_text_conditions(_content, **kwargs):
    def decide(found):
        try:
            return found[2] if eval(found[1], {{}}, dict(kwargs)) else ""
        except Exception:
            return found[0]
    return re.sub(r"{{{{\\s*if\\s+(.*?)}}}}(.*?){{{{endif}}}}", decide, _content, flags=re.S)

def replace_placeholders_text(_content, **kwargs):
    for name, value in kwargs.items():
        _content = _content.replace("{{{{" + name + "}}}}", str(value))
    return _content

def process_includes(_content, _directories, **kwargs):
    def include(found):
        try:
            return read_prompt_file(found[1], _directories, **kwargs)
        except FileNotFoundError:
            return found[0]
    return re.sub(r"{{{{ *include *'(.*?)' *}}}}", include, _content)

def read_prompt_file(_file, _directories=None, _encoding="utf-8", **kwargs):
    if os.path.dirname(_file):
        _directories = [os.path.dirname(_file), *(_directories or [])]
        _file = os.path.basename(_file)
    with open(find_file_in_dirs(_file, _directories), encoding=_encoding) as file:
        text = file.read()
    values = load_plugin_variables(_file, _directories, **kwargs) or {{}}
    values.update(kwargs)
    text = replace_placeholders_text(evaluate_text_conditions(text, **values), **values)
    return process_includes(text, _directories, **kwargs)

def parse_file(_filename, _directories=None, _encoding="utf-8", **kwargs):
    path = find_file_in_dirs(_filename, _directories)
    with open(path, encoding=_encoding) as file:
        content = file.read()
    variables = load_plugin_variables(path, _directories, **kwargs) or {{}}
    variables.update(kwargs)
    for name, value in variables.items():
        content = content.replace("{{{{" + name + "}}}}", json.dumps(value))
    return json.loads(content)

def get_unique_filenames_in_dirs(dir_paths, pattern="*", type="file"):
    seen = {{}}
    for folder in dir_paths:
        for path in glob.glob(os.path.join(get_abs_path(folder), pattern)):
            if os.path.isfile(path) if type == "file" else os.path.isdir(path):
                seen.setdefault(os.path.basename(path), path)
    return [seen[name] for name in sorted(seen)]
"""
SKILLS = """
from dataclasses import dataclass, field
from pathlib import Path

@dataclass(slots=True)
class Skill:
    name: str
    path: Path
    skill_md_path: Path
    tags: list = field(default_factory=list)
    metadata: dict = field(default_factory=dict)

def _is_hidden_path(path):
    return any(name[:1] == "." for name in path.parts)

def discover_skill_md_files(root):
    found = [p for p in root.rglob("SKILL.md") if p.is_file() and not _is_hidden_path(p.relative_to(root))]
    return sorted(found)

def skill_from_markdown(skill_md_path, *, include_content=False, validate=True):
    lines = skill_md_path.read_text().splitlines()
    if not lines:
        return None
    metadata = {"nested": [lines]} if include_content else {}
    return Skill(lines[0], skill_md_path.parent, skill_md_path, lines[1:], metadata)
"""
FOLDERS = ["user", "profile", "prompts"]
_numbers = itertools.count()


def settle() -> None:
    """Wait until a change that comes now is sure to show in what was looked at before."""
    time.sleep(0.06)


class PromptHost:
    """The same tree of files read by a bare module and by one with our rows on it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for folder in FOLDERS:
            (base / folder).mkdir()
        number = next(_numbers)
        source = FILES.format(base=str(base))
        self.bare = _module(f"bare_files_{number}", source, base)
        self.ours = _module(f"our_files_{number}", source, base)
        self.skills = _module(f"our_skills_{number}", SKILLS, base)
        self.bare_skills = _module(f"bare_skills_{number}", SKILLS, base)
        self.counts = {name: Lookups() for name in ("prompts", "folders", "skill folders", "skills")}
        watch = Watch()
        files = prompt_files.PromptFiles(
            watch, self.counts["prompts"], _known(self.ours, known_sources.RELIES_ON)
        )
        names = prompts.unique_names(
            Memo(watch, self.counts["folders"]), _known(self.ours, prompts.RELIES_ON)
        )
        discovery = skills.discovery(
            Memo(watch, self.counts["skill folders"]), _known(self.skills, skills.DISCOVERS_BY)
        )
        parsing = skills.parsing(Memo(watch, self.counts["skills"]), _known(self.skills, skills.PARSES_BY))
        rows: dict[str, Callable[..., Any]] = {
            f"{self.ours.__name__}:read_prompt_file": files.reads,
            f"{self.ours.__name__}:parse_file": files.parses,
            f"{self.ours.__name__}:find_file_in_dirs": files.finds,
            f"{self.ours.__name__}:load_plugin_variables": files.asks,
            f"{self.ours.__name__}:get_unique_filenames_in_dirs": names,
            f"{self.skills.__name__}:discover_skill_md_files": discovery,
            f"{self.skills.__name__}:skill_from_markdown": parsing,
        }
        self.patches = PatchSet([Patch(target, "prompts", build) for target, build in rows.items()])
        self.patches.start()
        assert {row.state for row in self.patches.rows} == {"applied"}, [r.reason for r in self.patches.rows]

    def close(self) -> None:
        """Take the rows off, and the modules out of `sys.modules`."""
        self.patches.stop()
        for module in (self.bare, self.ours, self.skills, self.bare_skills):
            sys.modules.pop(module.__name__, None)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the tree."""
        target = self.base / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def same(self, file: str = "main.md", folders: list[str] | None = None, **values: Any) -> str:
        """Read a prompt on both sides, ours twice; what came of it, text or error, was the same."""
        folders = FOLDERS if folders is None else folders
        expected = outcome(self.bare, file, folders, values)
        assert outcome(self.ours, file, folders, values) == expected
        assert outcome(self.ours, file, folders, values) == expected
        return expected

    def warm(self, **values: Any) -> str:
        """Read a prompt until it is kept, and see that it is."""
        self.same(**values)
        before = self.hits
        text = self.same(**values)
        assert self.hits == before + 2, "not kept"
        return text

    @property
    def hits(self) -> int:
        """How many prompts were not read by the host."""
        return self.counts["prompts"].total() - self.counts["prompts"].misses


def outcome(module: ModuleType, file: str, folders: list[str], values: dict[str, Any]) -> str:
    """The text of a prompt, or its error."""
    try:
        return str(module.read_prompt_file(file, list(folders), **values))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _known(module: ModuleType, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        {group_digest({name: digest(vars(module)[name]) for name in names if name in vars(module)})}
    )


def _module(name: str, source: str, base: Path) -> ModuleType:
    path = base / f"{name}.py.txt"
    path.write_text(source)
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def prompt_host(base: Path) -> Iterator[PromptHost]:
    """For a fixture."""
    host = PromptHost(base)
    try:
        yield host
    finally:
        host.close()
