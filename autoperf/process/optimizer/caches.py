"""The actions on what is kept: clear_cache, preload."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Final

from autoperf.errors.wording import count, milliseconds
from autoperf.instrumentation.agentzero.loading.places import profile_of, tool_files
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.process import controls
from autoperf.process.optimizer.arguments import ArgumentError, names
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.runtime import Runtime

_NOT_LOADABLE: Final = (OSError, SyntaxError, ValueError, ImportError, EOFError, RecursionError)


def clear_cache(runtime: Runtime, call: Call) -> str:
    """``which``: names as `status` shows them; all of them without."""
    which = [name.lower() for name in names(call.arguments, "which")]
    if which == ["all"]:
        which = []
    try:
        dropped = controls.clear(runtime, *which)
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    rows = [(name, count(entries)) for name, entries in dropped.items() if entries or which]
    if not rows:
        return "Nothing was kept: nothing to drop."
    told = f"{count(sum(dropped.values()))} entries dropped; the next uses read them again."
    return "\n".join([told, *table(("what", "entries dropped"), rows, 30)])


def preload(runtime: Runtime, call: Call) -> str:
    """``tools``: what these would have to read and compile is ready for their next call; nothing is run."""
    wanted = names(call.arguments, "tools")
    if not wanted:
        raise ArgumentError("`tools` names the tools to make ready")
    rows = []
    for name in wanted:
        files = tool_files(str(runtime.root), name, profile_of(call.agent))
        rows += [(name, cell(_below(path, runtime)), *_made_ready(runtime, path)) for path in files]
        rows += [] if files else [(name, "-", "no file of that name", "-")]
    told = "Read and compiled only: a tool's module runs when the tool is called."
    return "\n".join([told, *table(("tool", "file", "state", "time"), rows, 30)])


def _below(path: str, runtime: Runtime) -> str:
    return os.path.relpath(path, runtime.root)


def _made_ready(runtime: Runtime, path: str) -> tuple[str, str]:
    if runtime.layout.shares_modules:
        # Such a host imports a tool by its module's name, once; there is nothing of ours in between.
        module = _below(path, runtime)[: -len(".py")].replace(os.sep, ".")
        known = module in sys.modules
        return ("imported already, kept until restart" if known else "imported at its first call"), "-"
    if not runtime.config.on("tools"):
        return "the feature `tools` is off: nothing is kept", "-"
    kept = runtime.caches["tools"].keys()
    if any(isinstance(key, tuple) and path in key for key in kept):
        return "its class is kept already", "-"
    if runtime.code.cache.peek(path) is not None:
        return "its code is kept already", "-"
    started = time.perf_counter()
    state = "cannot be compiled; its call will say why"
    with contextlib.suppress(*_NOT_LOADABLE):
        compiled = runtime.code.compile_ahead(path)
        state = "compiled now" if compiled else "compiled before, its .pyc was read"
    return state, milliseconds(1000 * (time.perf_counter() - started))
