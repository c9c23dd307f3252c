"""Points without extensions on v0.9.8: nothing is run, and nothing that appears there is missed."""

from __future__ import annotations

import asyncio
import types
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extension_calls
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.patching.patch import Switch, replacement
from tests.path_hosts import Pair, agent

SOURCE = """
ASKED, RAN, FOUND, _cache = [], [], {}, {}

async def call_extensions(extension_point, agent=None, **kwargs):
    from python.helpers import projects, subagents

    paths = subagents.get_paths(agent, "extensions", extension_point, default_root="python")
    for cls in [cls for path in paths for cls in _get_extensions(path)]:
        await cls(agent).execute(**kwargs)

def _get_extensions(folder):
    ASKED.append(folder)
    if folder not in _cache:
        _cache[folder] = FOUND.get(folder.rpartition("/")[2], [])
    return _cache[folder]
"""


class Runs:
    def __init__(self, agent: Any) -> None:
        self.agent = agent

    async def execute(self, **kwargs: Any) -> None:
        if "error" in kwargs:
            raise kwargs["error"]
        kwargs["ran"].append(self.agent)


class Host:
    """The host's function, wrapped, over paths that are ours too."""

    def __init__(self, pair: Pair, source: str = SOURCE) -> None:
        self.pair, self.ran = pair, []
        self.module: Any = types.ModuleType("python.helpers.extension")
        exec(source, vars(self.module))
        self.switch = Switch()
        build = extension_calls.of_module(pair.probe, fast=True)
        self.wrapped = replacement(self.module.call_extensions, build, self.switch)

    def call(self, who: Any, point: str = "the_point", **kwargs: Any) -> list[Any]:
        self.ran.clear()
        asyncio.run(self.wrapped(point, who, ran=self.ran, **kwargs))
        return list(self.ran)

    def asked(self) -> int:
        """How often the host itself looked for classes since the last time."""
        count = len(self.module.ASKED)
        self.module.ASKED.clear()
        return count


@pytest.fixture
def pair(tmp_path, monkeypatch):
    made = Pair("v0_9_8", tmp_path, monkeypatch)
    yield made
    made.patches.stop()
    for stop in made.probe.at_stop:
        stop()


@pytest.fixture
def host(pair):
    return Host(pair)


def test_a_point_without_folders_runs_nothing_until_one_appears(host, pair):
    who = agent("p")
    host.module.FOUND["the_point"] = [Runs]
    for _ in range(3):
        assert host.call(who) == []
    hits = pair.hits
    assert host.call(who) == []
    assert pair.hits == hits + 1
    pair.write("usr/agents/p/extensions/the_point/_10_x.py")
    assert host.call(who) == [who]
    assert host.call(agent("q")) == []
    assert host.call(who) == [who]


def test_a_folder_in_which_the_host_found_nothing_is_not_looked_into_again(host, pair):
    pair.write("python/extensions/the_point/readme.md")
    for _ in range(3):
        assert host.call(agent()) == []
    host.asked()
    assert host.call(agent()) == []
    assert host.asked() == 0
    # As with the host alone, which keeps its answer for good; until somebody takes it from its cache.
    host.module.FOUND["the_point"] = [Runs]
    assert host.call(agent()) == []
    host.module._cache.clear()
    assert len(host.call(agent())) == 1


def test_what_an_extension_raises_passes(host, pair):
    pair.write("usr/extensions/the_point/_10_x.py")
    host.module.FOUND["the_point"] = [Runs]
    for _ in range(3):
        with pytest.raises(KeyError, match="the error"):
            host.call(agent(), error=KeyError("the error"))


def test_another_look_up_that_somebody_put_there_is_asked(host, pair):
    pair.write("usr/extensions/the_point/_10_x.py")
    for _ in range(3):
        host.call(agent())
    host.module._get_extensions = lambda folder: [Runs]
    assert len(host.call(agent())) == 1


def test_code_of_another_shape_is_called_every_time(pair):
    source = SOURCE.replace("    paths =", "    import time; time.time()\n    paths =")
    host = Host(pair, source)
    host.module.FOUND["the_point"] = [Runs]
    pair.write("usr/extensions/the_point/_10_x.py")
    for _ in range(4):
        host.call(agent())
    assert host.asked() == 4


def test_without_the_paths_it_is_the_host(pair):
    pair.probe.path_answers = None
    host = Host(pair)
    pair.write("usr/extensions/the_point/_10_x.py")
    for _ in range(3):
        host.call(agent())
    assert host.asked() == 3
    assert host.switch.aside is not None
    assert host.switch.aside[0] == "off"


def test_while_its_loader_is_replaced_it_is_told(host, pair):
    pair.write("usr/extensions/the_point/_10_x.py")
    for _ in range(3):
        host.call(agent())
    loader = host.module._get_extensions
    host.module._get_extensions = lambda folder: []
    host.call(agent())
    assert host.switch.aside is not None
    host.module._get_extensions = loader
    host.call(agent())
    assert host.switch.aside is None


def test_switched_off_it_is_the_host(host, pair):
    pair.write("usr/extensions/the_point/_10_x.py")
    for _ in range(3):
        host.call(agent())
    host.asked()
    host.switch.on = False
    host.call(agent())
    assert host.asked() == 1


def test_lookups_are_counted_as_hits(host, pair):
    probe: Probe = pair.probe
    for _ in range(4):
        host.call(agent())
    before = probe.extension_lookups.total()
    host.call(agent())
    assert probe.extension_lookups.total() == before + 1


def test_without_spans_a_call_that_had_to_read_a_file_is_a_miss():
    probe = Probe(None)
    code = CodeCache(300.0)

    def load(*_: Any) -> list[type]:
        if code.reads() == 0:
            code.count_read()
        return []

    noted = extension_calls.noting(probe, code, load)

    async def call_extensions(extension_point: str, agent: Any = None, **kwargs: Any) -> None:
        noted("folder")
        if "error" in kwargs:
            raise kwargs["error"]

    wrapped = replacement(call_extensions, extension_calls.of_module(probe), Switch())
    for _ in range(3):
        asyncio.run(wrapped("the_point"))
    with pytest.raises(ValueError, match="theirs"):
        asyncio.run(wrapped("the_point", error=ValueError("theirs")))
    row = probe.extension_lookups.as_row()
    assert (row["lookups"], row["hits"], row["misses"]) == (4, 3, 1)
    assert probe.point.get() is None
