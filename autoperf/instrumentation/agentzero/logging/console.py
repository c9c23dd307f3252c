"""The host's console style: colour codes worked out once, the HTML log written without being opened again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

# By the functions' source; the tags of the original that carry it.
COLOURS: Final = {"fdcd12033d47a7dcf65ef6c5de3e81421d366e77b5250598a08847b33aa38dbf"}  # v0.5 - v2.6
WRITERS: Final = {
    # Whether what UTF-8 cannot express is replaced.
    "cc1b4cb2db0e031489737b3d615e88af722cf5b524ec94dc15c52319e4a655a1": False,  # v0.6 - v1.4
    "3c79d8c733a34f41e6908e18d6a0f3083593b1c67bdd32b2c4f593784921a42b": True,  # v1.5 - v2.4
}
SANITIZERS: Final = {"8d342329d38d602176773b566d8c159824544ac6c40e99b6cd3028b3798599d0"}  # v0.8.6 - v2.6
# Seconds without a line after which the log file is closed.
IDLE_S: Final = 5.0
_COLOURS_KEPT: Final = 256
_MODE: Final = 0o666  # less the umask, as `open` creates files

Call = Callable[..., Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Call, Switch], Call]]]:
    """For the colour codes of `PrintStyle`, and for what writes its HTML log (to v2.4)."""
    if "colour" in targets:
        yield targets["colour"], colours
    # Elsewhere text files have other line ends, and an open file could not be deleted.
    if "html" in targets and os.name == "posix":
        yield targets["html"], html_log(probe)


def colours(original: Call, _switch: Switch) -> Call:
    """A colour's codes, which depend on nothing but its name."""
    expect_parameters(original, "self", "color", "is_background")
    if digest(original) not in COLOURS:
        raise AutoperfError("another way of writing colours than the one that is known")
    kept: dict[tuple[str, bool], Any] = {}

    def _get_rgb_color_code(call: Any, self: Any, color: Any, is_background: Any = False) -> Any:
        if type(color) is not str or type(is_background) is not bool:
            return call(self, color, is_background)
        codes = kept.get((color, is_background))
        if codes is None:
            codes = call(self, color, is_background)
            if len(kept) < _COLOURS_KEPT:
                kept[color, is_background] = codes
        return codes

    return _get_rgb_color_code


def html_log(probe: Probe) -> Callable[[Call, Switch], Call]:
    """The same bytes at the end of the same file, there when the call returns."""

    def build(original: Call, switch: Switch) -> Call:
        expect_parameters(original, "self", "html")
        names = original.__globals__
        replaces = WRITERS.get(digest(original))
        sanitizer = names.get("sanitize_string")
        if replaces is None or (replaces and digest(sanitizer) not in SANITIZERS):
            raise AutoperfError("another way of writing the HTML log than the ones that are known")
        errors = "replace" if replaces else "strict"
        file = LogFile()
        probe.idle_work.append(file.close_if_idle)
        probe.after_fork.append(file.forked)
        probe.at_stop.append(file.close)

        def _log_html(call: Any, self: Any, html: Any) -> Any:
            path = names["PrintStyle"].log_file_path
            known = names.get("open", open) is open and names.get("sanitize_string") is sanitizer
            if not known:
                switch.stand_aside("open or sanitize_string, which it relies on, was replaced")
            elif switch.aside is not None:
                switch.act_again()
            if known and type(html) is str and type(path) is str:
                try:
                    rest = file.append(path, html.encode("utf-8", errors))
                except UnicodeEncodeError:
                    return call(self, html)
                if not rest:
                    return None
                html = rest.decode("utf-8", "ignore")
            # What could not be written fails, if it does, in the host's own way.
            return call(self, html)

        return _log_html

    return build


class LogFile:
    """A file that is appended to, kept open as long as it is the one that its path names.

    Every piece is written at once, in one call to the system, with nothing left in a buffer: a fork, an exec
    or the end of the process finds the file as complete as if it had been closed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._fd = -1
        self._identity = (0, 0)
        self._used = 0.0

    def append(self, path: str, data: bytes) -> bytes:
        """Write ``data`` to the end of what ``path`` names now, creating it where there is no such file.

        What is given back could not be written.
        """
        with self._lock:
            try:
                if self._fd < 0 or self._identity != _identity(path):
                    self._open(path)
                self._used = self._clock()
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._close()
        return data

    def _open(self, path: str) -> None:
        self._close()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def close(self) -> None:
        """Close it; the next piece opens it again."""
        with self._lock:
            self._close()

    def close_if_idle(self) -> None:
        """Close it if nothing was written for a while: a deleted file gives its space back then."""
        if self._fd >= 0 and self._clock() - self._used > IDLE_S:
            self.close()

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.Lock()
        # That thread may have been about to open another file: nothing known of this one can be relied on.
        self._close()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
