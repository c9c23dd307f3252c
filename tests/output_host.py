"""A package in the shape of the host's log, secrets, made anew for every test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "outputhost"

SECRETS = """
import functools
import sys

lookups = []


class SecretsManager:
    _instances = {}

    @classmethod
    def get_instance(cls, *files):
        return cls._instances.setdefault(files or ("all",), cls())

    def __init__(self):
        self.secrets = {}

    def load_secrets(self):
        return self.secrets

    def mask_values(self, text):
        if not text:
            return text
        known = self.load_secrets()
        for key in sorted(known, key=lambda name: len(known[name]), reverse=True):
            if known[key] and len(known[key].strip()) >= 4:
                text = text.replace(known[key], "<" + key + ">")
        return text


def extensible(function):
    @functools.wraps(function)
    def around(*args):
        from . import extension
        point = extension.point(function)
        for name in ("start", "end"):
            for each in extension._get_extension_classes(point + name):
                each(name)
        return function(*args)

    return around


def _look_up(context=None):
    from . import projects
    lookups.append(context)
    project = projects.get_context_project_name(context) if context else None
    return SecretsManager.get_instance("all", *([project] if project else []))


def plain(context=None):
    return _look_up(context)


@extensible
def get_secrets_manager(context=None):
    return _look_up(context)
"""

EXTENSION = """
import os
import time
from types import SimpleNamespace

_CLASSES_CACHE_AREA = "classes"
cache = SimpleNamespace(_cache={"classes": {}}, _enabled_global=True, _enabled_areas={})
installed = {}


def point(function):
    return os.path.join("_functions", *function.__module__.split("."), function.__name__, "")


def _get_extension_classes(name, agent=None):
    area = cache._cache["classes"]
    key = ("none", "none", name)
    if key not in area:
        area[key] = SimpleNamespace(value=list(installed.get(name, ())), timestamp=time.time())
    return area[key].value
"""

PROJECTS = """
def get_context_project_name(context):
    return context.get_data("project")
"""

LOG = """
import copy
import json

from .secrets import get_secrets_manager

KEY_MAX_LEN = 6
VALUE_MAX_LEN = 30


def _truncate_key(text):
    return str(text)[:KEY_MAX_LEN]


def _truncate_value(val):
    if isinstance(val, dict):
        for key in list(val):
            val[_truncate_key(key)] = _truncate_value(val.pop(key))
        return val
    if isinstance(val, list):
        val[:] = [_truncate_value(each) for each in val]
        return val
    if isinstance(val, tuple):
        return tuple(_truncate_value(each) for each in val)
    raw = val
    if not isinstance(val, str):
        try:
            raw = json.dumps(val, ensure_ascii=False)
        except Exception:
            raw = str(val)
    return val if len(raw) <= VALUE_MAX_LEN else raw[:VALUE_MAX_LEN] + "..."


def copied(value):
    return copy.deepcopy(value)


class Log:
    def __init__(self, context=None):
        self.context = context

    def _mask_recursive(self, obj):
        try:
            from agent import AgentContext

            manager = get_secrets_manager(self.context or AgentContext.current())
            if isinstance(obj, str):
                return manager.mask_values(obj)
            if isinstance(obj, dict):
                return {key: self._mask_recursive(value) for key, value in obj.items()}
            if isinstance(obj, list):
                return [self._mask_recursive(value) for value in obj]
            return obj
        except Exception:
            return obj


def _mask_recursive(obj):
    try:
        from .secrets import SecretsManager

        manager = SecretsManager.get_instance()
        if isinstance(obj, str):
            return manager.mask_values(obj)
        if isinstance(obj, dict):
            return {key: _mask_recursive(value) for key, value in obj.items()}
        if isinstance(obj, list):
            return [_mask_recursive(value) for value in obj]
        return obj
    except Exception:
        return obj
"""

AGENT = """
class AgentContext:
    now = None

    def __init__(self, project=None):
        self.project = project

    def get_data(self, name):
        return self.project if name == "project" else None

    @staticmethod
    def current():
        return AgentContext.now
"""

_SOURCES = {
    "secrets": SECRETS,
    "extension": EXTENSION,
    "projects": PROJECTS,
    "log": LOG,
}


@contextmanager
def package(folder: Path) -> Iterator[Any]:
    """The modules by attribute; nothing of them is left in ``sys.modules`` afterwards."""
    home = folder / NAME
    home.mkdir()
    (home / "__init__.py").touch()
    for name, source in _SOURCES.items():
        (home / f"{name}.py").write_text(source, encoding="utf-8")
    (folder / "agent.py").write_text(AGENT, encoding="utf-8")
    before = sys.modules.pop("agent", None)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    made = ModuleType("made")
    try:
        for name in _SOURCES:
            setattr(made, name, importlib.import_module(f"{NAME}.{name}"))
        made.agent = importlib.import_module("agent")  # type: ignore[attr-defined]
        yield made
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in (NAME, "agent")]:
            del sys.modules[name]
        if before is not None:
            sys.modules["agent"] = before
