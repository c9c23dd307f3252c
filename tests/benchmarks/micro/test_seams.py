"""The seams of a tool call: paths, classes, extension points, interventions, the growing reply."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import interventions
from autoperf.instrumentation.agentzero.streaming import reply_parsing
from autoperf.memo.prefix import GrowingTexts
from autoperf.patching.patch import Switch, replacement
from autoperf.patching.sources import digest
from tests import loaders
from tests.growing_replies import load
from tests.instrumentation.agentzero.dispatch import test_extension_spans
from tests.instrumentation.agentzero.streaming.test_reply_parsing import PARSERS, Parsers
from tests.path_hosts import Pair, agent


class InterventionException(Exception):  # noqa: N818 - the host's name
    """What the host hands a user's message to the agent with."""


TOOL = "import the_base\nimport os, re, json\nfrom typing import Any\n" + "".join(
    f"def helper_{n}(text: str) -> Any:\n    return re.sub('a', 'b', text)\n" for n in range(8)
)
CLASS = "class T(the_base.Tool):\n    async def execute(self, **kwargs):\n        return helper_1('')\n"


@pytest.fixture(params=["v0_9_8", "v0_9_9"])
def pair(request, tmp_path, monkeypatch):
    made = Pair(request.param, tmp_path, monkeypatch)
    for name in ("one", "two", "three"):
        made.write(f"plugins/{name}/plugin.yaml")
    yield made
    made.patches.stop()
    for stop in made.probe.at_stop:
        stop()


def test_get_paths(compare, pair):
    pair.write("usr/tools/a.py")
    who = agent("p")

    def asking(host: dict[str, Any]) -> Callable[[], list[str]]:
        get_paths = host["subagents"].get_paths
        return lambda: get_paths(who, "tools", "a.py", **pair.options)

    compare(asking(pair.bare), asking(pair.ours))


@pytest.fixture
def base(monkeypatch):
    module = types.ModuleType("the_base")
    module.Tool = type("Tool", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "the_base", module)
    return module.Tool  # type: ignore[attr-defined]


def test_get_tool(compare, base, tmp_path):
    host = loaders.Host(tmp_path, loaders.BY_PATH, shared=False)
    path = str(tmp_path / host.write("tools/a.py", TOOL + CLASS))
    bare = host.bare["load_classes_from_file"]
    compare(
        lambda: bare(path, base), lambda: host.file(path, base), lambda classes: [c.__name__ for c in classes]
    )
    assert host.cache.info().hits


def test_extension_call_without_extensions(compare, tmp_path, monkeypatch):
    pair = Pair("v0_9_8", tmp_path, monkeypatch)
    host = test_extension_spans.Host(pair)
    who = agent("p")

    def calling(call: Callable[..., Any]) -> Callable[[], Any]:
        async def repeat() -> None:
            for _ in range(20):
                await call("the_point", who)

        return lambda: asyncio.run(repeat())

    compare(calling(host.module.call_extensions), calling(host.wrapped))
    pair.patches.stop()


class Check:
    """The host's check for interventions, as it was before v0.9.9."""

    context = types.SimpleNamespace(paused=False)
    intervention = None

    async def handle_intervention(self, progress: str = "") -> Any:
        if self.context.paused:
            await asyncio.sleep(0.1)
        if self.intervention:
            raise InterventionException(progress)


def test_handle_intervention_idle(compare):
    original = Check.handle_intervention
    patched = replacement(original, interventions.plain(Probe(None)), Switch())
    check = Check()

    def calling(call: Callable[..., Any]) -> Callable[[], Any]:
        async def repeat() -> None:
            for _ in range(50):
                await call(check)

        return lambda: asyncio.run(repeat())

    compare(calling(original), calling(patched))


def test_streaming_parse_per_chunk(compare, monkeypatch):
    path, variant = PARSERS[sorted(PARSERS)[0]]
    module = load(path)
    monkeypatch.setitem(reply_parsing.VARIANTS, digest(module), variant)
    chunks = ['{"thoughts": ["' + "some words " * n for n in range(40, 240, 4)]
    parsers = Parsers(module, GrowingTexts(), reply_parsing.BOUNDS)
    assert parsers.state == "applied"

    def parsing(parse: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: [parse(parsers.cls(), text) for text in chunks][-1]

    compare(parsing(parsers.bare), parsing(parsers.cls.parse))
    parsers.patches.stop()
