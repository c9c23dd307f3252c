"""The record of a process: everything measured so far, as plain data."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

from autoperf.errors import failures
from autoperf.errors.meters import meters
from autoperf.instrumentation.agentzero.activity import host_facts
from autoperf.memo.cache import Cache
from autoperf.process.options import OPTIONS
from autoperf.version import __version__

if TYPE_CHECKING:
    from autoperf.process.runtime import Runtime


def snapshot(runtime: Runtime) -> dict[str, Any]:
    """Everything measured so far, as plain data; ``autoperf status --json`` prints it."""
    probe = runtime.probe
    return {
        "pid": os.getpid(),
        "started": runtime.started,
        "autoperf": __version__,
        "python": platform.python_version(),
        "host": {
            "layout": runtime.layout.name,
            "generation": runtime.layout.generation,
            "version": runtime.version.text,
            "root": str(runtime.root),
            "torch_loaded": "torch" in sys.modules,
            "local_models": host_facts.used(runtime.probe),
            "bytecode": host_facts.finds_compiled(runtime.root),
            "chats": host_facts.chats(),
        },
        "options": {
            option.name: value
            for option in OPTIONS
            if isinstance(value := getattr(runtime.config, option.name), (bool, int, float, str))
        },
        "features": sorted(runtime.config.features),
        "patches": rows(runtime),
        "lookups": lookups(runtime),
        "caches": stored(runtime),
        **({"inherited": runtime.inherited} if runtime.inherited else {}),
        "changed": dict(runtime.changed),
        "interventions": probe.interventions.as_row(),
        "replies": runtime.probe.replies.as_row(),
        "monitor": runtime.monitor.as_row(),
        "mcp": {"lookups": probe.mcp_lookups, "found": probe.mcp_found},
        "underway": probe.underway.as_rows(),
        "tools": probe.tools.as_rows(),
        "optimizer": dict(probe.tool_use),
        "extension_points": probe.points.as_rows(),
        "telemetry": {} if runtime.telemetry is None else runtime.telemetry.counts(),
        "cost": _cost(runtime),
        "failures": failures.as_rows(),
    }


def lookups(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """What was asked, and found, by name: the hits of a process stand here and nowhere else."""
    probe = runtime.probe
    found = {"tools": probe.tool_lookups.as_row(), "extensions": probe.extension_lookups.as_row()}
    found |= {name: memo.as_row() for name, memo in list(probe.memos.items())}
    if runtime.caches:
        info = runtime.code.cache.info()
        found["code"] = {"lookups": info.hits + info.misses, "hits": info.hits, "misses": info.misses}
    return found


def stored(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """What is kept, by name. How often a class was found is no look-up: a call may ask for many."""
    code = {"code": runtime.code.cache} if runtime.caches else {}
    found: dict[str, Cache[Any]] = {**runtime.caches, **code}
    rows = {name: cache.info().as_row() for name, cache in found.items()}
    return {
        name: {key: value for key, value in row.items() if key not in ("hits", "misses")}
        for name, row in rows.items()
    }


def rows(runtime: Runtime) -> list[dict[str, Any]]:
    return [row.as_row() for row in runtime.patches.rows]


def _cost(runtime: Runtime) -> dict[str, Any]:
    """CPU seconds of autoperf in this process, and of all of it; the seams by the feature they serve."""
    rows = (row.patch for row in runtime.patches.rows if row.patch.state == "waiting")
    features = {patch.target: patch.feature for patch in rows}
    told = meters.as_row()
    seams = [{**row, "feature": features.get(row["seam"], "trace")} for row in told["seams"]]
    starting = round(runtime.starting + runtime.patches.seconds, 6)
    return {**told, "seams": seams, "start": starting, "cpu": round(time.process_time(), 3)}
