"""A wrapper that answers in the host's place knows the whole function: code that does more is refused."""

from __future__ import annotations

from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import interventions
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.dispatch.extension_calls import Cached
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.mcp import lookup
from autoperf.patching.patch import Switch

COUNTED = "    self.calls = 1\n"
CHECK = """
async def handle_intervention(self, progress=""):
{more}    while self.context.paused:
        await asyncio.sleep(0.1)
    if self.intervention:
        raise InterventionException(self.intervention)
"""
HAS = """
def has_tool(self, tool_name):
{more}    return any(tool['name'] == tool_name for tool in self.tools)
"""
LOAD = """
def load_classes_from_file(file, base_class, one_per_file=True):
{more}    return [c for _, c in inspect.getmembers(import_module(file)) if issubclass(c, base_class)]
"""
CALL = """
async def call_extensions_async(extension_point, agent=None, **kwargs):
{more}    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        await cls(agent=agent).execute(**kwargs)
"""


def function(source: str, more: str = "") -> Any:
    names: dict[str, Any] = {"__name__": __name__, "_get_extension_classes": lambda *_args, **_kwargs: []}
    exec(source.format(more=more), names)
    return list(names.values())[-1]


BUILDS: dict[str, tuple[str, Any]] = {
    "handle_intervention": (CHECK, lambda: interventions.plain(Probe(None))),
    "handle_intervention, extensible": (
        CHECK,
        lambda: interventions.extensible(Probe(None), ExtensionClasses()),
    ),
    "has_tool": (HAS, lambda: lookup.has_tool),
    "load_classes_from_file": (LOAD, lambda: ClassLoading({}, CodeCache(1.0)).from_file),
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_statement_more_is_refused(name: str) -> None:
    source, build = BUILDS[name]
    build()(function(source), Switch())
    more = COUNTED.replace("self", "os.environ") if name.startswith("load") else COUNTED
    with pytest.raises(AutoperfError, match="it asks for more than is known"):
        build()(function(source, more), Switch())


def test_an_extension_call_that_does_more_is_made_every_time() -> None:
    for more, aside in (("", False), ("    count(extension_point)\n", True)):
        switch = Switch()
        Cached(Probe(None), ExtensionClasses(), fast=True).asynchronous(function(CALL, more), switch)
        assert (switch.aside is not None) is aside
