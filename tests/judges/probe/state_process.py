"""The process as the kernel and the interpreter know it; see `state_fingerprint`."""

import contextlib
import hashlib
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time


def called(value):
    """What a function, class or object is called, without its address."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '?')}.{value.__qualname__}"
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def counted(names):
    names = list(names)
    return {name: names.count(name) for name in sorted(set(names))}


def short(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def signals():
    """Dispositions as Python tells them and as the kernel does, the mask and the timers."""
    found = {each.name: signal.getsignal(each) for each in signal.valid_signals() if hasattr(each, "name")}
    return {
        "signals": {name: called(handler) for name, handler in found.items()},
        "signals ignored, caught, blocked": [
            standard_signals(status(n)) for n in ("SigIgn", "SigCgt", "SigBlk")
        ],
        "timers": [signal.getitimer(n) for n in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL)],
    }


def standard_signals(mask):
    """The numbers in a mask of the kernel's; the C library's own, from 32 on, come with the first thread."""
    return [number for number in range(1, 32) if int(mask or "0", 16) >> (number - 1) & 1]


def status(name):
    """One line of what the kernel tells of this process; None elsewhere than on Linux."""
    lines = [line.split(":", 1) for line in text_of("/proc/self/status").splitlines()]
    return next((value.strip() for key, value in lines if key == name), None)


def text_of(path):
    with contextlib.suppress(OSError), open(path) as stream:
        return stream.read()
    return ""


def threads():
    return {
        "threads": counted(thread.name for thread in threading.enumerate()),
        "threads alive": threading.active_count(),
        "stack size": threading.stack_size(),
    }


def system():
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    children = f"/proc/self/task/{os.getpid()}/children"
    return {
        "umask": status("Umask"),
        "cwd": os.getcwd(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "children": len(text_of(children).split()),
        "temporary folder": tempfile.tempdir,
        "socket timeout": socket.getdefaulttimeout(),
    }


def environment(probe):
    def value(text):
        return short(text.replace(probe + os.pathsep, "").replace(os.pathsep + probe, "").replace(probe, ""))

    return {k: value(v) for k, v in sorted(os.environ.items()) if not k.startswith("STATE_")}


def lasting_descriptors():
    """Those that are there in two looks: another thread may just read a file."""
    first = descriptors()
    time.sleep(0.02)
    second = descriptors()
    return {kind: min(number, second[kind]) for kind, number in first.items() if kind in second}


def descriptors():
    """What the open descriptors lead to, each kind with its number."""
    kinds = []
    with contextlib.suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{number}")
                named = target.startswith(("pipe:", "socket:", "anon_inode:"))
                kinds.append(target.split(":[")[0] if named else os.path.basename(target) or target)
    return counted(kinds)


def interpreter():
    tracemalloc, multiprocessing = sys.modules.get("tracemalloc"), sys.modules.get("multiprocessing")
    faulthandler = sys.modules.get("faulthandler")
    return {
        "recursion limit": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "integer digits": getattr(sys, "get_int_max_str_digits", int)(),
        "bytecode": [sys.dont_write_bytecode, sys.pycache_prefix],
        "start method": multiprocessing.get_start_method(True) if multiprocessing else None,
        "tracemalloc": bool(tracemalloc and tracemalloc.is_tracing()),
        "faulthandler": bool(faulthandler and faulthandler.is_enabled()),
    }
