"""The action `benchmark`: the host's look-ups with and without us, timed in turns in this very process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from types import FunctionType, ModuleType
from typing import Any, Final

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extension_calls
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading, Loaded
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.places import extension_files
from autoperf.instrumentation.agentzero.loading.shared_classes import SharedLoading
from autoperf.instrumentation.agentzero.memos.paths import PathAnswers
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.memo.cache import Cache
from autoperf.patching.patch import Applied, Switch, replacement
from autoperf.process.optimizer.bare import bare_namespace, rebound, stand_in
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.runtime import Runtime

SECONDS: Final = 1.6  # for all that is timed; what comes before adds little
_TOOLS: Final = 3
_BATCH_S: Final = 0.003
_KEPT_S: Final = 300.0
# Points of all generations, most of them without an extension in one host or another.
_POINTS: Final = (
    "tool_execute_after",
    "message_loop_prompts_before",
    "before_main_llm_call",
    "monologue_end",
    "monologue_start",
    "response_stream_end",
    "reasoning_stream_end",
    "tool_output_update",
    "util_model_call_before",
    "error_format",
    "hist_add_tool_result",
)
Clock = Callable[[], int]
Work = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """The same look-up in the host's own way and in ours; neither runs a tool or an extension."""

    what: str
    bare: Work
    ours: Work


@dataclass(frozen=True)
class Timed:
    """CPU time of one call in ns, by round."""

    what: str
    bare_ns: tuple[float, ...]
    ours_ns: tuple[float, ...]
    calls: int


def benchmark(runtime: Runtime, call: Call) -> str:
    """A table of microseconds a call; at most `SECONDS` of timing."""
    pairs = [*_tools(runtime), *_paths(runtime, call.agent), *_points(runtime, call.agent)]
    if not pairs:
        return (
            "Nothing can be timed yet: no tool was used twice whose module may be loaded again unnoticed, "
            "and no other look-up of this host is patched."
        )
    timed = [timing(pair, SECONDS / len(pairs)) for pair in pairs]
    rows = [
        (
            one.what,
            f"{median(one.bare_ns) / 1000:.1f} us",
            f"{median(one.ours_ns) / 1000:.1f} us",
            f"{median(one.bare_ns) / max(median(one.ours_ns), 1):.1f}x",
            f"{one.calls:,}",
        )
        for one in timed
    ]
    rounds = [len(one.bare_ns) for one in timed]
    return "\n".join(
        [
            *table(("look-up", "bare", "with autoperf", "bare / autoperf", "calls"), rows),
            f"CPU time of a call, median of {min(rounds)} to {max(rounds)} rounds in turns, just now in this "
            "process. Bare is the host's own code without autoperf's wrappers; spans are not counted in. No "
            "tool and no extension was run. A step of the agent makes a few to some hundred of these.",
        ]
    )


def timing(
    pair: Pair, seconds: float, clock: Clock = time.thread_time_ns, wall: Clock = time.perf_counter_ns
) -> Timed:
    """Both in turns, in batches of a few ms of ``clock``, the first one changing places.

    It ends when ``seconds`` of ``wall`` have passed, however busy the machine, after one round at least.
    """
    began, first = wall(), True
    for work in (pair.bare, pair.ours):
        for _ in range(3):  # the first loads, the second decides whether it can be kept
            work()
    started = clock()
    pair.bare()
    size = max(1, min(2000, int(_BATCH_S * 1e9 / max(1, clock() - started))))
    found: dict[bool, list[float]] = {True: [], False: []}
    while not found[False] or wall() - began < seconds * 1e9:
        for bare in (first, not first):
            found[bare].append(_batch(pair.bare if bare else pair.ours, size, clock))
        first = not first
    return Timed(pair.what, tuple(found[True]), tuple(found[False]), 2 * size * len(found[True]))


def _batch(work: Work, size: int, clock: Clock) -> float:
    started = clock()
    for _ in range(size):
        work()
    spent = clock() - started
    time.sleep(0)  # the agent's own threads may have waited
    return spent / size


def _row(runtime: Runtime, target: str | None) -> Applied | None:
    rows = runtime.patches.rows
    return next((row for row in rows if row.patch.target == target and row.state == "applied"), None)


def _module(row: Applied) -> ModuleType:
    return sys.modules[row.patch.module]


def _tools(runtime: Runtime) -> Iterator[Pair]:
    """Tools that this process has used, and whose classes can be told from freshly loaded ones in no way."""
    cache = runtime.caches.get("tools")
    shared = runtime.layout.shares_modules
    row = _row(runtime, runtime.layout.load_from_folder if shared else runtime.layout.load_from_file)
    if cache is None or row is None:
        return
    rows = runtime.patches.rows
    bare = bare_namespace(_module(row), rows)
    code = CodeCache(_KEPT_S)
    private: Cache[Loaded] = Cache(cache.maxsize, _KEPT_S)
    name = row.patch.path[-1]
    if shared:
        ours = replacement(bare[name], SharedLoading({"tools": private}, code).from_folder, Switch())
    else:
        space = bare_namespace(_module(row), rows)
        view = _row(runtime, runtime.layout.importlib)
        if view is not None:
            space["importlib"] = replacement(view.raw, code.importlib_view, Switch())
        original = rebound(bare[name], space)
        ours = replacement(original, ClassLoading({"tools": private}, code).from_file, Switch())
    for key in _keys(cache, shared=shared)[:_TOOLS]:
        file = key[1] if shared else os.path.basename(key[0])
        yield Pair(f"class of {cell(file)}", partial(bare[name], *key), partial(ours, *key))


def _keys(cache: Cache[Any], *, shared: bool) -> list[tuple[Any, ...]]:
    """Arguments of look-ups that found something, the latest first."""
    found = []
    for key in reversed(cache.keys()):
        kept = cache.peek(key)
        if kept is None or not isinstance(key, tuple) or not kept.classes:
            continue
        if shared or kept.reusable():
            found.append(key)
    return found


def _paths(runtime: Runtime, agent: Any) -> Iterator[Pair]:
    answers = runtime.probe.path_answers
    row = _row(runtime, runtime.layout.more.get("paths", {}).get("get_paths"))
    if not isinstance(answers, PathAnswers) or row is None:
        return
    bare = bare_namespace(_module(row), runtime.patches.rows)["get_paths"]
    ours = replacement(row.raw, answers.uncounted().get_paths, Switch())
    options = {} if runtime.layout.extensible else {"default_root": "python"}
    asked = ("tools", "response.py")
    yield Pair(
        "paths of a tool", partial(bare, agent, *asked, **options), partial(ours, agent, *asked, **options)
    )


def _points(runtime: Runtime, agent: Any) -> Iterator[Pair]:
    row = _row(runtime, runtime.layout.call_extensions)
    point = _empty_point(runtime)
    if row is None or point is None or not runtime.config.on("extensions"):
        return
    bare, ours = _callers(runtime, row)
    who = {} if runtime.layout.shares_modules else {"agent": agent}
    first = (agent, point) if runtime.layout.shares_modules else (point,)
    yield Pair(
        f"extension point {point}, which has none",
        lambda: _driven(bare(*first, **who)),
        lambda: _driven(ours(*first, **who)),
    )


def _empty_point(runtime: Runtime) -> str | None:
    """A point that no file of any extension belongs to; a v0.8 host wants a folder all the same."""
    root = str(runtime.root)
    for point in _POINTS:
        if extension_files(root, point):
            continue
        if not runtime.layout.shares_modules or os.path.isdir(os.path.join(root, "python/extensions", point)):
            return point
    return None


def _callers(runtime: Runtime, row: Applied) -> tuple[Callable[..., Any], Callable[..., Any]]:
    rows, probe, layout = runtime.patches.rows, Probe(None, inotify=runtime.config.inotify), runtime.layout
    if layout.shares_modules:
        return _old_callers(runtime, row, probe)
    others = {}
    paths = _row(runtime, layout.more.get("paths", {}).get("get_paths"))
    if paths is not None and not layout.extensible:
        others[paths.patch.module] = bare_namespace(_module(paths), rows)
    bare = bare_namespace(_module(row), rows, others)[row.patch.path[-1]]
    if layout.extensible:
        cached = extension_calls.Cached(probe, ExtensionClasses(), fast=True)
        return bare, replacement(row.raw, cached.asynchronous, Switch())
    answers = runtime.probe.path_answers
    if isinstance(answers, PathAnswers):
        probe.path_answers = answers.uncounted()
    return bare, replacement(row.raw, extension_calls.of_module(probe, fast=True), Switch())


def _old_callers(
    runtime: Runtime, row: Applied, probe: Probe
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """For ``Agent.call_extensions`` of v0.8, which loads at every call."""
    raw = row.raw
    assert isinstance(raw, FunctionType)
    load = _row(runtime, runtime.layout.load_from_folder)
    if load is None:
        return raw, replacement(raw, extension_calls.of_agent(probe), Switch())
    module, name = _module(load), load.patch.path[-1]
    bare_space = bare_namespace(module, runtime.patches.rows)
    private: Cache[Any] = Cache(runtime.config.extension_cache_size, _KEPT_S)
    loading = SharedLoading({"extensions": private}, CodeCache(_KEPT_S))
    ours_space = {**bare_space, name: replacement(bare_space[name], loading.from_folder, Switch())}
    short = module.__name__.rpartition(".")[2]
    calls = [
        rebound(raw, {**raw.__globals__, short: stand_in(module, space)})
        for space in (bare_space, ours_space)
    ]
    return calls[0], replacement(calls[1], extension_calls.of_agent(probe), Switch())


def _driven(call: Any) -> None:
    """Run a coroutine that has nothing to wait for."""
    try:
        call.send(None)
    except StopIteration:
        return
    call.close()
    raise RuntimeError("an empty extension point has waited for something")
