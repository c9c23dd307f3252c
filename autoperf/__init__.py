"""autoperf: makes Agent Zero observable and faster from outside, with no change to its code."""

from __future__ import annotations

from autoperf.version import __version__ as __version__

TYPE_CHECKING = False  # typing itself would cost the launcher a third of its time
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from autoperf.insight.facts import Recommendation
    from autoperf.runtime import Runtime

__all__ = [
    "__version__",
    "instrument",
    "recommendations",
    "start_monitoring",
    "status",
    "stop_monitoring",
    "uninstrument",
]


def instrument(root: str | PathLike[str] | None = None, **options: Any) -> Runtime | None:
    """Instrument the Agent Zero in folder ``root`` within this process and return the running `Runtime`.

    Without ``root`` the folder is looked for on ``sys.path`` and in the working directory. ``options`` are
    the attributes of `autoperf.config.Config`, already typed, and win over the environment. Call it before
    the host's modules are imported. A second call returns the first runtime; with ``AUTOPERF_DISABLED=1``
    it is None.

    Raises ``AutoperfError`` when there is no Agent Zero, ``TypeError`` for an unknown option.
    """
    from autoperf import bootstrap

    return bootstrap.instrument(root, **options)


def uninstrument() -> None:
    """Undo every patch of this process, to the identical original objects; harmless when there is none."""
    from autoperf.runtime import current

    if (runtime := current()) is not None:
        runtime.stop()


def status() -> dict[str, Any] | None:
    """The measured numbers of this process (see `Runtime.snapshot`), or None when it is not instrumented."""
    from autoperf.runtime import current

    runtime = current()
    return None if runtime is None else runtime.snapshot()


def recommendations() -> list[Recommendation]:
    """Advice on this process, the weightiest first; empty without data, or when it is not instrumented.

    It reads the local store, which can take seconds: not for an event loop.
    """
    from autoperf.runtime import current

    runtime = current()
    if runtime is None:
        return []
    from os import getpid

    from autoperf.advising import recommendations as made

    if runtime.telemetry is not None:
        runtime.telemetry.flush()
    return made(runtime.config.state_dir, getpid())


def start_monitoring(interval: float | None = None) -> bool:
    """Take samples of this process every ``interval`` seconds; whether it does now.

    Without ``interval`` the one that is configured. Raises ``ValueError`` for one that is not above 0.
    """
    from autoperf.runtime import current

    if interval is not None and not 0 < interval < float("inf"):
        raise ValueError("interval: use a number of seconds above 0")
    runtime = current()
    if runtime is not None:
        runtime.monitor.start(interval)
    return runtime is not None and runtime.monitor.running


def stop_monitoring() -> None:
    """Take no more samples; harmless when none are taken."""
    from autoperf.runtime import current

    if (runtime := current()) is not None:
        runtime.monitor.stop()
