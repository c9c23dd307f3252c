"""What a process can observe of itself, as plain data; run inside a host by this folder's sitecustomize."""

import atexit
import contextvars
import decimal
import gc
import locale
import os
import random
import sys
import threading
import warnings

from state_process import (
    called,
    environment,
    interpreter,
    lasting_descriptors,
    short,
    signals,
    system,
    threads,
)

# Where a function of the standard library could be replaced by another one.
STANDARD = [
    *("builtins", "os", "sys", "time", "threading", "socket", "subprocess", "signal", "importlib", "random"),
    *("logging", "gc", "multiprocessing", "selectors", "contextvars", "warnings", "traceback", "atexit"),
    *("asyncio", "asyncio.base_events", "asyncio.events", "asyncio.selector_events", "tempfile", "shutil"),
]


def fingerprint(probe, instance):
    """All of it; ``probe`` is this folder, ``instance`` the object whose method begins, or None."""
    return {
        **randomness(),
        **signals(),
        **threads(),
        **warning_filters(),
        **imports(),
        "hooks": hooks(),
        "logging": logs(),
        "asyncio": loops(),
        "contextvars": variables(),
        "opentelemetry": telemetry(),
        "decimal": str(decimal.getcontext()),
        "locale": locale.setlocale(locale.LC_ALL),
        "gc": collector(),
        "system": system(),
        "environment": environment(probe),
        "descriptors": lasting_descriptors(),
        "streams": [called(type(stream)) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "argv": sys.argv,
        "interpreter": interpreter(),
        "standard functions replaced": replaced(),
        "exit callbacks": atexit._ncallbacks(),
        "names": names(instance, {}, 3),
    }


def names(value, found, depth):
    """What `vars` names of an object of the host's, of its class, and of what it leads to; by class."""
    kind = type(value)
    own = getattr(value, "__dict__", None)
    if value is None or depth == 0 or kind.__name__ in found or not isinstance(own, dict):
        return found
    found[kind.__name__] = {"instance": sorted(own), "class": sorted(vars(kind))}
    for each in list(own.values()):
        if (
            not isinstance(each, type)
            and getattr(type(each), "__module__", "") not in sys.stdlib_module_names
        ):
            names(each, found, depth - 1)
    return found


def randomness():
    numpy = sys.modules.get("numpy.random")
    return {
        "random": short(random.getstate()),
        "random numpy": short(numpy.get_state()) if numpy else "not imported",
    }


def warning_filters():
    def text(row):
        return f"{row[0]} {called(row[2])} text {row[1]} module {row[3]} line {row[4]}"

    return {"warnings": [text(row) for row in warnings.filters], "showwarning": called(warnings.showwarning)}


def imports():
    return {
        "sys.path": sys.path,
        "meta_path": [called(finder) for finder in sys.meta_path],
        "path_hooks": [called(hook) for hook in sys.path_hooks],
        "import function": called(__import__),
        "modules": sorted({name.partition(".")[0] for name in list(sys.modules)}),
    }


def hooks():
    tools = [sys.monitoring.get_tool(n) for n in range(6)] if hasattr(sys, "monitoring") else None
    return {
        **{name: called(getattr(sys, name)) for name in ("excepthook", "displayhook", "unraisablehook")},
        "breakpointhook": called(sys.breakpointhook),
        "threading.excepthook": called(threading.excepthook),
        "trace": called(sys.gettrace()),
        "profile": called(sys.getprofile()),
        "threading trace": called(threading.gettrace()) if hasattr(threading, "gettrace") else None,
        "asyncgen": [called(hook) for hook in sys.get_asyncgen_hooks()],
        "origin": sys.get_coroutine_origin_tracking_depth(),
        "monitoring": tools,
    }


def logs():
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    root = logging.getLogger()
    loggers = {k: v for k, v in root.manager.loggerDict.items() if isinstance(v, logging.Logger)}
    changed = {k: v for k, v in sorted(loggers.items()) if v.level or v.handlers or not v.propagate}
    return {
        "level": root.level,
        "handlers": [called(type(handler)) for handler in root.handlers],
        "filters": len(root.filters),
        "disabled": root.manager.disable,
        "class": called(logging.getLoggerClass()),
        "factory": called(logging.getLogRecordFactory()),
        "raise": logging.raiseExceptions,
        "others": {k: [v.level, len(v.handlers), v.propagate] for k, v in changed.items()},
    }


def loops():
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {"policy": called(type(asyncio.get_event_loop_policy()))}
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return found
    return found | {
        "loop": called(type(loop)),
        "debug": loop.get_debug(),
        "task factory": called(loop.get_task_factory()),
        "exception handler": called(loop.get_exception_handler()),
        "slow callback": loop.slow_callback_duration,
        "selector": called(type(getattr(loop, "_selector", None))),
        "instance attributes": sorted(vars(loop)) if hasattr(loop, "__dict__") else [],
    }


def variables():
    return sorted(f"{each.name}={called(type(value))}" for each, value in contextvars.copy_context().items())


def telemetry():
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {"current span": False, "tracer provider": None, "meter provider": None}
    metrics = sys.modules.get("opentelemetry.metrics._internal")
    return {
        "current span": trace.get_current_span().get_span_context().is_valid,
        "tracer provider": called(type(trace._TRACER_PROVIDER)) if trace._TRACER_PROVIDER else None,
        "meter provider": called(type(made)) if (made := getattr(metrics, "_METER_PROVIDER", None)) else None,
    }


def collector():
    return {
        "enabled": gc.isenabled(),
        "threshold": gc.get_threshold(),
        "debug": gc.get_debug(),
        "callbacks": [called(callback) for callback in gc.callbacks],
        # Python 3.12 itself freezes some hundreds.
        "frozen": gc.get_freeze_count() > 2_000,
    }


def replaced():
    """Functions of the standard library in whose place there is another one."""
    home = os.path.dirname(os.__file__)
    found = []
    for module in STANDARD:
        for key, value in list(vars(sys.modules[module]).items()) if module in sys.modules else ():
            members = [(key, value)]
            if isinstance(value, type):
                members = [(f"{key}.{name}", member) for name, member in list(vars(value).items())]
            for name, member in members:
                code = getattr(getattr(member, "__func__", member), "__code__", None)
                file = getattr(code, "co_filename", "")
                foreign = bool(file) and not file.startswith((home, "<frozen"))
                if foreign or type(member).__module__.startswith("wrapt"):
                    found.append(f"{module}.{name}")
    return sorted(found)
