"""autoperf: makes Agent Zero observable and faster from outside, with no change to its code."""

from __future__ import annotations

from autoperf.version import __version__ as __version__

TYPE_CHECKING = False  # typing itself would cost the launcher a third of its time
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any

    from autoperf.insight.facts import Recommendation
    from autoperf.process.runtime import Runtime

__all__ = [
    "__version__",
    "clear_cache",
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
    the attributes of `autoperf.process.config.Config`, already typed, and win over the environment. Call it
    before the host's modules are imported. A second call returns the first runtime; with
    ``AUTOPERF_DISABLED=1`` it is None.

    Raises ``AutoperfError`` when there is no Agent Zero, ``TypeError`` for an unknown option.
    """
    from autoperf.process import bootstrap

    return bootstrap.instrument(root, **options)


def uninstrument() -> None:
    """Undo every patch of this process, to the identical original objects; harmless when there is none."""
    from autoperf.process.runtime import current

    if (runtime := current()) is not None:
        runtime.stop()


def status() -> dict[str, Any] | None:
    """The numbers of this process (`Runtime.snapshot`) and ``facts``: what every reader says of them.

    None when the process is not instrumented.
    """
    from autoperf.process.runtime import current

    runtime = current()
    return None if runtime is None else runtime.facts().as_row()


def recommendations() -> list[Recommendation]:
    """Advice on this process, the weightiest first; empty without data, or when it is not instrumented.

    It reads the local store, which can take seconds: not for an event loop.
    """
    from autoperf.process.runtime import current

    runtime = current()
    if runtime is None:
        return []
    from autoperf.insight.advice.collect import recommendations_for

    return recommendations_for(runtime)


def clear_cache(which: str | Iterable[str] | None = None) -> dict[str, int]:
    """Drop what autoperf keeps in this process: everything, or what has one of the names ``which``.

    Returns how many entries each had; nothing when the process is not instrumented. The names are those of
    the caches and look-ups that `status` shows: ``tools``, ``extensions``, ``prompts``, ``code``, ``paths``,
    ``yaml``, ``tokens``, ... as far as their features are on. The next uses read again, nothing else changes.
    Raises ``ValueError``, which tells the names there are, for another one.
    """
    from autoperf.process.runtime import current

    runtime = current()
    if runtime is None:
        return {}
    from autoperf.process.controls import clear

    return clear(runtime, *([which] if isinstance(which, str) else which or ()))


def start_monitoring(interval: float | None = None) -> bool:
    """Take samples of this process every ``interval`` seconds; whether it does now.

    Without ``interval`` the one that is configured. Raises ``ValueError`` for one that is not above 0.
    """
    from autoperf.monitor.monitor import checked
    from autoperf.process.runtime import current

    checked(interval)
    runtime = current()
    if runtime is not None:
        runtime.monitor.start(interval)
    return runtime is not None and runtime.monitor.running


def stop_monitoring() -> None:
    """Take no more samples; harmless when none are taken."""
    from autoperf.process.runtime import current

    if (runtime := current()) is not None:
        runtime.monitor.stop()
