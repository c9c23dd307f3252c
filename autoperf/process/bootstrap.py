"""Called inside a Python that is about to import Agent Zero: recognises it and starts the runtime, once."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoperf.errors import AutoperfError, failures, guarded, say
from autoperf.features import way_out
from autoperf.process.config import Config
from autoperf.telemetry.store import launches
from autoperf.version import __version__

if TYPE_CHECKING:
    from autoperf.instrumentation.agentzero import Layout
    from autoperf.process.optimizer import Optimizer
    from autoperf.process.runtime import Runtime

# Run by Agent Zero's container and installer before the server, in processes of their own.
PREPARING = frozenset({"prepare.py", "preload.py", "update_reqs.py"})
HOST_PID = "AUTOPERF_HOST_PID"
# Bytes of address space: each thread of ours or of an exporter takes 8 MiB of stack and reserves 64 MiB more.
ROOM = 2 << 30
_starting = threading.RLock()


def recognise(folder: str) -> bool:
    """Whether ``folder`` holds an Agent Zero; if so its runtime runs on return, or its failure is recorded.

    Raises only what importing our own parts raises: a package they need is missing in this interpreter.
    """
    begun = time.thread_time()
    root = Path(folder)
    if not is_candidate(root):
        return False
    lacking = cramped()
    if lacking is not None:
        launches.remove(os.environ)
        if is_server() and not Config.from_environ().quiet:
            say(f"{lacking}; to leave it out: {way_out('')}")
        return False
    from autoperf.instrumentation.agentzero import detect

    with _starting:
        layout = None
        with guarded("bootstrap"):
            layout = detect(root)
        if layout is None:
            if failures.of("bootstrap"):
                with guarded("bootstrap"):
                    _record_failure(root)
            return False
        import autoperf.process.runtime  # noqa: F401 - outside the fence, so that the finder can say what is missing

        with guarded("bootstrap"):
            runtime = start(root, layout)
            runtime.starting = runtime.starting or time.thread_time() - begun
            return True
        with guarded("bootstrap"):
            _record_failure(root, layout)
        return True


def _record_failure(root: Path, layout: Layout | None = None) -> None:
    """Leave a record of this process that `status` finds: it runs as without autoperf, and why."""
    from autoperf.telemetry.store.store import Store

    config = Config.from_environ()
    with Store.open(config.state_dir, max_bytes=config.store_max_mb << 20) as store:
        known = {} if layout is None else {"layout": layout.name, "generation": layout.generation}
        host = {**known, "root": str(root)}
        record = {"pid": os.getpid(), "started": time.time(), "autoperf": __version__, "host": host}
        store.save_process({**record, "features": [], "patches": [], "failures": failures.as_rows()})


def instrument(root: str | os.PathLike[str] | None = None, **options: Any) -> Runtime | None:
    """See `autoperf.instrument`."""
    if switched_off():
        return None
    begun = time.thread_time()
    lacking = cramped()
    if lacking is not None:
        raise AutoperfError(lacking)
    from autoperf.instrumentation.agentzero import detect

    searched = [Path(root)] if root is not None else [Path(entry) for entry in [*sys.path, os.curdir]]
    for folder in map(Path.absolute, searched):
        layout = detect(folder) if is_candidate(folder) else None
        if layout is not None:
            with _starting:
                runtime = start(folder, layout, **options)
                runtime.starting = runtime.starting or time.thread_time() - begun
                return runtime
    where = str(searched[0]) if root is not None else "sys.path or the working directory"
    raise AutoperfError(f"no Agent Zero in {where}; name the folder that holds its agent.py")


def start(root: Path, layout: Layout, **options: Any) -> Runtime:
    """Start the runtime of this process, or return the one that runs; only a server process prints lines."""
    from autoperf.process.runtime import Runtime, current

    running = current()
    if running is not None:
        return running
    config = Config.from_environ(**options)
    if not is_server():
        config = replace(config, quiet=True)
    failures.quiet = config.quiet
    if not config.quiet:
        for problem in config.problems:
            say(problem)
    os.environ[HOST_PID] = str(os.getpid())
    # The decision is made: a finder still waiting would instrument again after `uninstrument`.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "AutoperfFinder"]
    runtime = Runtime.start(root, layout, config)
    if runtime.telemetry is None:  # else once the first record is there
        launches.remove(os.environ)
    if config.tool != "off":
        runtime.probe.optimizer = _at_first_call(runtime)
        runtime.probe.at_stop.append(lambda: setattr(runtime.probe, "optimizer", None))
    return runtime


def _at_first_call(runtime: Runtime) -> Callable[[], Optimizer]:
    made: list[Optimizer] = []

    def optimizer() -> Optimizer:
        # What it needs is imported when the agent calls the tool: in most processes it never does.
        from autoperf.process.optimizer import Optimizer

        with _starting:
            if not made:
                made.append(Optimizer(runtime))
        return made[0]

    return optimizer


def is_candidate(folder: Path) -> bool:
    """Whether the files are where every Agent Zero has them; says nothing about what they define."""
    try:
        return (folder / "agent.py").is_file() and (
            (folder / "helpers").is_dir() or (folder / "python" / "helpers").is_dir()
        )
    except OSError:
        return False


def cramped() -> str | None:
    """One line when this process may not have `ROOM`; None where it may.

    What our threads reserve would be missing when the host starts one of its own, and nothing could undo it.
    """
    try:
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit

        limit = getrlimit(RLIMIT_AS)[0]
    except (ImportError, OSError, ValueError):
        return None
    if limit == RLIM_INFINITY or limit >= ROOM:
        return None
    needed, left = ROOM >> 20, limit >> 20
    return f"{left} MiB of address space (ulimit -v) are less than {needed}; going on without autoperf"


def is_server(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the process people watch: no preparation step, no child of an instrumented host."""
    script = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    if script in PREPARING:
        return False
    if _is_worker():
        return False
    if script == "run_ui.py":
        return True
    return environ.get(HOST_PID, str(os.getpid())) == str(os.getpid())


def _is_worker() -> bool:
    """Whether `multiprocessing` made this process; under spawn, from its import of the main module on."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None:
        return False
    # A spawned child names its parent only after that import, which brings the host in.
    inheriting = getattr(multiprocessing.current_process(), "_inheriting", False)
    return bool(inheriting) or multiprocessing.parent_process() is not None


def switched_off(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the kill switch ``AUTOPERF_DISABLED`` is set."""
    return environ.get("AUTOPERF_DISABLED", "").strip().lower() not in ("", "0", "false", "no", "off")
