"""What is kept by a name of the host's stays bounded, however many names there are."""

from __future__ import annotations

import asyncio
import gc
import types
import weakref
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.dispatch.extension_calls import Cached, folder_classes
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.shared_classes import SharedLoading
from autoperf.instrumentation.agentzero.mcp import keep
from autoperf.memo.cache import Cache
from autoperf.memo.inotify import FolderWatch
from autoperf.patching.patch import Switch, replacement

pytestmark = pytest.mark.slow

NAMES = 1500
BOUND = 1000


class Name(str):
    """Text of which it can be seen whether somebody keeps it."""

    __slots__ = ("__weakref__",)


class Thing:
    pass


def alive(refs: list[weakref.ref[Any]]) -> int:
    gc.collect()
    return sum(ref() is not None for ref in refs)


def asked(call: Any) -> int:
    """How many of the names are kept after ``call`` was made with each."""
    refs = []
    for number in range(NAMES):
        name = Name(f"folder{number}")
        refs.append(weakref.ref(name))
        call(name)
    del name
    return alive(refs)


def test_folders_of_extensions(tmp_path: Path) -> None:
    space: dict[str, Any] = {
        "files": types.SimpleNamespace(get_abs_path=lambda folder: f"{tmp_path}/{folder}"),
        "_cache": {},
    }
    exec("def _get_extensions(folder):\n    return []", space)
    assert asked(replacement(space["_get_extensions"], folder_classes(Probe(None)), Switch())) <= BOUND


def test_folders_of_a_host_that_keeps_its_modules(tmp_path: Path) -> None:
    space: dict[str, Any] = {"get_abs_path": lambda folder: f"{tmp_path}/{folder}"}
    source = "def load(folder, name_pattern, base_class, one_per_file=True):\n    return []"
    exec(source, space)
    base = type("Tool", (), {})
    loading = SharedLoading({"tools": Cache(10, 300.0)}, CodeCache(300.0))
    load = replacement(space["load"], loading.from_folder, Switch())
    assert asked(lambda folder: load(folder, "*.py", base)) <= BOUND


@pytest.mark.parametrize("sync", [True, False])
def test_points_with_something_to_run(sync: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExtensionClasses, "reader", lambda _self: lambda _point, _agent: [Thing])
    calls = Cached(Probe(None), ExtensionClasses(), fast=False)
    space: dict[str, Any] = {}
    exec("def plain(extension_point, agent=None, **kwargs): ...", space)
    exec("async def later(extension_point, agent=None, **kwargs): ...", space)
    monkeypatch.setattr(Cached, "_bind", lambda _self, _original: None)
    if sync:
        call = replacement(space["plain"], calls.synchronous, Switch())
    else:
        run = replacement(space["later"], calls.asynchronous, Switch())

        def call(point: str) -> None:
            asyncio.run(run(point))

    assert asked(call) <= BOUND


def test_projects_with_servers_of_their_own() -> None:
    sessions: Any = types.SimpleNamespace(retire=lambda _which: None)
    get = keep._project(sessions)
    refs = []

    def make(_name: str) -> Thing:
        config = Thing()
        refs.append(weakref.ref(config))
        return config

    for number in range(NAMES):
        get(make, None, (f"project{number}",), {})
    assert alive(refs) <= BOUND


def test_names_that_are_watched(tmp_path: Path) -> None:
    watch = FolderWatch()
    if not watch.watch([str(tmp_path)]):
        pytest.skip("the kernel tells nothing here")
    most = 20_000
    for number in range(most + NAMES):
        watched = watch.watch([f"{tmp_path}/{number}"])
    assert not watched
    assert sum(map(len, watch._names.values())) <= most
    watch.close()
