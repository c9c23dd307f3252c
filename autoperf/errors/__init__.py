"""What can go wrong on our side, and the one fence that keeps it away from the host."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

from autoperf.errors.frames import OURS, described
from autoperf.errors.wording import printable
from autoperf.features import of_seam, way_out

_FRAMES_SHOWN: Final = 4
_DISTINCT_FAILURES_KEPT: Final = 50
_OUR_DEPTH: Final = 100
_TEXT_KEPT: Final = 300
_OTHER: Final = "(other)"  # the reason under which kinds are counted when there are too many

T = TypeVar("T")


class AutoperfError(Exception):
    """A failure whose text is one line for a person: what is wrong and what to do about it."""


class Failures:
    """Counts our own failures by seam; each kind is printed once, every one is counted.

    A seam is a short name such as ``"agent:Agent.get_tool"``. Thread-safe.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.features: dict[str, str] = {}  # by seam, for those that are targets of patches
        # Reentrant: inside, the collector or a signal may run the host's code, and ours fail in that.
        self._lock = threading.RLock()
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def record(self, seam: str, error: BaseException) -> int:
        """Count one failure and return how often this seam has failed so far.

        That the host had used up the stack when it called us is no failure of ours, and not counted.
        """
        if isinstance(error, RecursionError) and _began_deep(error.__traceback__):
            return self.of(seam)
        reason = _reason(error)
        # Before the lock: allocating may run the collector, that the host's code, and that may fail us again.
        known = self._kinds.get((seam, reason)) or self._kinds.get((seam, _OTHER))
        kind = known or _Kind(error)
        with self._lock:
            key = (seam, reason)
            if key not in self._kinds and len(self._kinds) >= _DISTINCT_FAILURES_KEPT:
                key = (seam, _OTHER)
            kind = self._kinds.setdefault(key, kind)
            kind.count += 1
            first, total = kind.count == 1, self._total(seam)
        if first and not self.quiet:
            with contextlib.suppress(Exception):
                _tell(seam, reason, error, self.way_out(seam))
        return total

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.RLock()

    def of(self, seam: str) -> int:
        """How often ``seam`` has failed."""
        with self._lock:
            return self._total(seam)

    def _total(self, seam: str) -> int:
        return sum(kind.count for (name, _), kind in self._kinds.copy().items() if name == seam)

    def way_out(self, seam: str) -> str:
        """What a person sets to do without what failed at ``seam``."""
        return way_out(self.features.get(seam) or of_seam(seam))

    def as_rows(self) -> list[dict[str, Any]]:
        """Every distinct failure: ``seam``, ``reason``, ``count``, ``way_out``, and what a bug report tells.

        That are the class of the ``error``, the ``frames`` of its first one, see `frames.described`, and its
        ``text`` where that is ours.
        """
        with self._lock:
            return [
                {"seam": seam, "reason": reason, "way_out": self.way_out(seam), **vars(kind)}
                for (seam, reason), kind in self._kinds.copy().items()
            ]


class _Kind:
    """One kind of failure: how often, and what is told of the first; it holds neither error nor frame."""

    def __init__(self, error: BaseException) -> None:
        self.count = 0
        self.error = type(error).__name__
        self.text = str(error)[:_TEXT_KEPT] if isinstance(error, AutoperfError) else ""
        self.frames: list[str] = []
        with contextlib.suppress(Exception):
            self.frames = described(error.__traceback__)


def told(failure: Mapping[str, Any]) -> str:
    """One line on a row of `Failures.as_rows`, of any version of autoperf, with the way out of it."""
    seam = str(failure.get("seam"))
    out = failure.get("way_out") or way_out(of_seam(seam))
    return f"{seam} failed {failure.get('count')} times: {failure.get('reason')}; to leave it out: {out}"


def _reason(error: BaseException) -> str:
    """The class and the place in our code; not the text, which may quote what the host was told.

    Texts of ours and of the system are none of that, and a person who debugs asks for all of them.
    """
    text = ""
    if isinstance(error, AutoperfError) or os.environ.get("AUTOPERF_DEBUG"):
        with contextlib.suppress(Exception):  # it may be a class of anybody's
            text = f": {error}"
    elif isinstance(error, OSError) and error.strerror:
        text = f": {error.strerror}"
    elif isinstance(error, ImportError) and error.name:
        text = f": {error.name}"
    return f"{type(error).__name__}{text}{_place(error.__traceback__)}"[:300]


def _tell(seam: str, reason: str, error: BaseException, out: str) -> None:
    say(f"{seam}: {reason}; the host's own code runs instead; to leave it out: {out}")
    if os.environ.get("AUTOPERF_DEBUG"):
        trace = traceback.format_exception(type(error), error, error.__traceback__)
        for line in "".join(trace[-_FRAMES_SHOWN:]).rstrip().splitlines():
            say(line)


def _place(trace: TracebackType | None) -> str:
    found = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(OURS):
            found = f" at {file[len(OURS) :]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _began_deep(trace: TracebackType | None) -> bool:
    """Whether the stack was nearly used up below the fence: our own code recurses nowhere as deep as this."""
    depth = 0
    while trace is not None and depth <= _OUR_DEPTH:
        depth, trace = depth + 1, trace.tb_next
    return depth <= _OUR_DEPTH


failures = Failures()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=failures.forked)  # before all that counts failures in the child


class guarded(AbstractContextManager["guarded"]):  # noqa: N801 - reads as a keyword: with guarded("seam"):
    """Context manager around our own code inside the host: an ``Exception`` is counted and goes no further.

    In our own tests (``AUTOPERF_RAISE``) it is raised again, so that none can pass over a defect of ours; set
    ``AUTOPERF_FAIL_OPEN=1`` in a test that is about failing open. ``BaseException`` (cancellation,
    interrupts) always passes. Never put host code inside.
    """

    __slots__ = ("_seam",)

    def __init__(self, seam: str) -> None:
        self._seam = seam

    def __enter__(self) -> guarded:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        failures.record(self._seam, error)
        return not raises_under_test()


def fail_open(seam: str, error: Exception) -> None:
    """What `guarded` does with an error, for seams too hot for a context manager: call it in ``except``."""
    failures.record(seam, error)
    if raises_under_test():
        raise error


def begin_anew(*parts: Callable[[], object]) -> None:
    """In a child made by fork: call each of ``parts``; what one of them fails of costs no other."""
    for part in parts:
        with guarded("fork"):
            part()


def asked(question: Callable[[], T]) -> T | None:
    """What code of the host's answers; None where it raises: that it says itself when the host asks.

    For questions that the host is about to ask as well. ``BaseException`` passes.
    """
    try:
        return question()
    except Exception:
        return None


def raises_under_test() -> bool:
    """True when a failure of ours must surface: in our own tests, unless one asks to fail open.

    Not in every pytest: the host has tests too.
    """
    return "AUTOPERF_RAISE" in os.environ and not os.environ.get("AUTOPERF_FAIL_OPEN")


def class_name(error: BaseException) -> str:
    """The class of ``error`` as it goes into attributes: with its module, unless it is a builtin."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def say(line: str) -> None:
    """Print one `printable` line for a person on stderr; a closed or full stderr is not an error.

    Past the stream's buffer: what stays in that because the disk is full, Python tries to write again as it
    exits, and makes the exit code 120 of it.
    """
    stream, text = sys.stderr, f"autoperf: {printable(line)}\n"
    try:
        if type(stream) is io.TextIOWrapper:
            stream.flush()
            os.write(stream.fileno(), text.encode(stream.encoding, "backslashreplace"))
        elif stream is not None:
            stream.write(text)
            stream.flush()
    except Exception:  # the host may have put anything there
        pass
