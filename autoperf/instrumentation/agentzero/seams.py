"""Every patch in view: one row a seam, each host function wrapped once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero import tool as optimizer
from autoperf.instrumentation.agentzero.activity import host_facts
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extensible, extension_calls, interventions
from autoperf.instrumentation.agentzero.layout import Layout
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.shared_classes import SharedLoading
from autoperf.instrumentation.agentzero.logging import log_text, masking
from autoperf.instrumentation.agentzero.mcp import keep
from autoperf.instrumentation.agentzero.mcp import lookup as mcp
from autoperf.instrumentation.agentzero.memos import (
    base_directory,
    dotenv,
    git,
    global_settings,
    paths,
    plugins,
    prompts,
    settings,
    tokens,
    yaml,
)
from autoperf.instrumentation.agentzero.startup import collector, lazy_imports, watchdog
from autoperf.instrumentation.agentzero.streaming import object_starts, reply_parsing, throttle
from autoperf.instrumentation.agentzero.tracing import call_time, memory, model_calls, tool_lookup, turns
from autoperf.instrumentation.clients import seams
from autoperf.patching import tracebacks
from autoperf.patching.patch import Patch, Switch, wrapping

Build = Callable[[Any, Switch], Any]


def patches(
    layout: Layout, features: frozenset[str], probe: Probe, code: CodeCache, loading: ClassLoading
) -> list[Patch]:
    """The rows of ``layout`` for the features that are on; empty when none is."""
    # Without anything else on, nothing is patched for the tool either.
    tool = probe.tool_mode != "off" and bool(features)
    parts: list[tuple[str, Callable[[], Iterable[Row]]]] = [
        ("loading", lambda: _loading(layout, features, probe, code, loading)),
        ("extensions", lambda: _extensions(layout, features, probe)),
        ("tools", lambda: _tools(layout, features, probe, code, tool=tool)),
        ("mcp", lambda: _mcp(layout, features, probe)),
        ("streaming", lambda: _streaming(layout, features, probe)),
        ("memory", lambda: _memory(layout, features, probe)),
        ("turns", lambda: _turns(layout, features, probe)),
        ("models", lambda: _models(layout, features, probe)),
        *_more(layout, features, probe),
        ("tool", lambda: _tool(layout, probe, tool=tool)),
    ]
    rows: list[Row] = []
    for name, part in parts:
        with guarded(f"patches: {name}"):  # what one part fails of costs no other
            rows += list(part())
    known = set(layout.targets())
    if rows or "imports" in features:
        rows.insert(0, (layout.format_error, "always", wrapping(tracebacks.formatting)))
    return [
        Patch(target, feature, build, optional=layout.may_lack(target), foreign=target not in known)
        for target, feature, build in rows
        if target is not None
    ]


Row = tuple[str | None, str, Build]
Rows = Callable[[Mapping[str, str], Probe], Iterable[tuple[str, Build]]]
# Features that stand alone: each turns its own places in the layout into rows.
_ALONE: Final[dict[str, tuple[Rows, ...]]] = {
    "extensions": (extensible.rows,),
    "mcp-keep": (keep.keep,),
    "mcp-standby": (keep.standby,),
    "monitor": (host_facts.rows,),
    "paths": (paths.rows, base_directory.rows),
    "settings": (
        yaml.rows,
        git.rows,
        dotenv.rows,
        global_settings.rows,
        settings.rows,
        plugins.rows,
    ),
    "tokens": (tokens.rows,),
    "prompts": (prompts.rows,),
    "output": (masking.rows, log_text.rows),
    "client": (seams.rows,),
    "startup": (collector.rows, watchdog.rows),
    "imports": (lazy_imports.rows,),
    "throttle": (throttle.rows,),
}


# Fields of the layout that a feature patches, beside what stands under its own name in ``more``.
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "tools": ("get_tool", "importlib", "load_from_file", "load_from_folder"),
    "extensions": ("call_extensions", "call_extensions_sync", "folder_extensions"),
    "interventions": ("handle_intervention",),
    "mcp": ("mcp_get_tool", "mcp_has_tool"),
    "streaming": ("parse_reply", "root_starts"),
    "trace": (
        *("process_message", "monologue", "prepare_prompt", "system_prompt", "scheduled_task", "retry"),
        *("process_tools", "make_extension", "mcp_session", "compress_history", "recall_memory"),
        *("model_calls", "model_requests", "model_chunks", "model_events", "langchain_chunks"),
        *("chat_calls", "utility_calls"),
    ),
}


def places(layout: Layout) -> Iterator[tuple[str, str]]:
    """Each feature with each target of the host's that it would patch."""
    for feature in dict.fromkeys([*_FIELDS, *layout.more]):
        for name in _FIELDS.get(feature, ()):
            value = getattr(layout, name)
            for target in value if isinstance(value, tuple) else (value,):
                if target is not None:
                    yield feature, target
        for target in layout.more.get(feature, {}).values():
            yield feature, target


def _more(
    layout: Layout, features: frozenset[str], probe: Probe
) -> Iterator[tuple[str, Callable[[], Iterable[Row]]]]:
    for feature, parts in _ALONE.items():
        if feature in features:
            for rows in parts:
                yield feature, partial(_of_feature, feature, rows, layout.more.get(feature, {}), probe)


def _of_feature(feature: str, rows: Rows, targets: Mapping[str, str], probe: Probe) -> Iterator[Row]:
    for target, build in rows(targets, probe):
        yield target, feature, build


def _loading(
    layout: Layout, features: frozenset[str], probe: Probe, code: CodeCache, loading: ClassLoading
) -> Iterator[Row]:
    wanted = [name for name in ("tools", "extensions", "prompts") if name in features]
    if not wanted:
        return
    feature = wanted[0]

    from_folder = (SharedLoading(loading.caches, code) if layout.shares_modules else loading).from_folder

    def folder(original: Any, switch: Switch) -> Any:
        return extension_calls.noting(probe, code, from_folder(original, switch))

    yield layout.importlib, feature, code.importlib_view
    yield layout.load_from_file, feature, loading.from_file
    yield layout.load_from_folder, feature, folder


def _extensions(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if not features & {"extensions", "trace"}:
        return
    feature = "extensions" if "extensions" in features else "trace"
    if "trace" in features:
        yield layout.make_extension, "trace", extension_calls.instances(probe)
    if layout.extensible:
        calls = extension_calls.Cached(probe, probe.extension_classes, fast="extensions" in features)
        yield layout.call_extensions, feature, calls.asynchronous
        yield layout.call_extensions_sync, feature, calls.synchronous
        return
    on_agent = (layout.call_extensions or "").startswith("agent:")
    fast = "extensions" in features
    build = extension_calls.of_agent(probe) if on_agent else extension_calls.of_module(probe, fast=fast)
    yield layout.call_extensions, feature, build
    if "extensions" in features:
        yield layout.folder_extensions, feature, extension_calls.folder_classes(probe)


def _tools(
    layout: Layout, features: frozenset[str], probe: Probe, code: CodeCache, *, tool: bool
) -> Iterator[Row]:
    if not features & {"tools", "trace"}:
        if tool:
            yield layout.get_tool, "tool", optimizer.answering(probe)
        return
    feature = "tools" if "tools" in features else "trace"
    lookup = tool_lookup.lookup(probe, code if "tools" in features else None)
    yield layout.get_tool, feature, optimizer.answering(probe, lookup) if tool else lookup


def _tool(layout: Layout, probe: Probe, *, tool: bool) -> Iterator[Row]:
    if tool:
        for target, build in optimizer.rows(layout.more.get("tool", {}), probe):
            yield target, "tool", build


def _mcp(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if features & {"mcp", "trace"}:
        yield layout.mcp_get_tool, "mcp" if "mcp" in features else "trace", wrapping(mcp.lookup(probe))
    if "mcp" in features:
        yield layout.mcp_has_tool, "mcp", mcp.has_tool
    if "trace" in features:
        yield layout.mcp_session, "trace", wrapping(mcp.session(probe))


def _memory(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if "trace" in features:
        yield layout.compress_history, "trace", wrapping(memory.compression(probe))
        for target in layout.recall_memory:
            yield target, "trace", wrapping(memory.recall(probe))


def _streaming(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if "streaming" in features:
        yield layout.parse_reply, "streaming", reply_parsing.parsing(probe.replies)
        yield layout.root_starts, "streaming", object_starts.scanning(probe.roots)


def _turns(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if features & {"interventions", "trace"}:
        feature = "interventions" if "interventions" in features else "trace"
        if not layout.extensible:
            yield layout.handle_intervention, feature, interventions.plain(probe)
        else:
            fast = probe.extension_classes if "interventions" in features else None
            yield layout.handle_intervention, feature, interventions.extensible(probe, fast)
    if "trace" in features:
        yield layout.process_message, "trace", wrapping(turns.message(probe))
        yield layout.monologue, "trace", wrapping(turns.monologue(probe))
        yield layout.prepare_prompt, "trace", wrapping(turns.prompt(probe))
        yield layout.system_prompt, "trace", wrapping(turns.system_prompt(probe))
        yield layout.scheduled_task, "trace", wrapping(turns.scheduled(probe))
        yield layout.retry, "trace", wrapping(turns.retry(probe))
        for target in layout.process_tools:
            yield target, "trace", wrapping(tool_lookup.step(probe))


def _models(layout: Layout, features: frozenset[str], probe: Probe) -> Iterator[Row]:
    if "trace" not in features:
        return
    langchain = model_calls.LangChain(probe)
    targets: list[tuple[tuple[str | None, ...], Build]] = [
        (layout.model_calls, wrapping(model_calls.call(probe))),
        (layout.model_requests, wrapping(model_calls.request(probe))),
        (layout.model_chunks, model_calls.chunk(probe)),
        ((layout.model_events,), model_calls.event(probe)),
        ((layout.langchain_chunks,), langchain.chunk),
        (layout.chat_calls, wrapping(langchain.calling("chat"))),
        (layout.utility_calls, wrapping(langchain.calling("utility"))),
        ((layout.parse_reply, layout.root_starts), call_time.below(probe)),
    ]
    for places, build in targets:
        for target in places:
            yield target, "trace", build
