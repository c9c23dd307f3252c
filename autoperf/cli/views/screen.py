"""A terminal taken for whole screens and given back as it was, however the program ends.

Plain escapes of ECMA-48 and the two private modes that every terminal of today knows, not curses: curses
needs a terminfo entry for ``TERM``, which a container reached over ssh often lacks, and a screen is written
whole here.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, TextIO

from autoperf.errors.wording import printable

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"
_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"
_ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class Ended(BaseException):
    """A signal asks the program to end; no Exception, so that nothing on the way takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Screen:
    """The terminal while `taken`: `show` writes a screen, `key` waits for a key or a new size."""

    def __init__(self, out: TextIO, keys: int | None, wake: int) -> None:
        self._out = out
        self._keys = keys
        self._wake = wake
        self._before: Any = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        with contextlib.suppress(OSError, ValueError):
            found = os.get_terminal_size(self._out.fileno())
            if found.columns and found.lines:
                return found.columns, found.lines
        # Python 3.10 hands out the zeros of a terminal that knows no size, in place of what it was given.
        known = shutil.get_terminal_size((80, 24))
        return known.columns or 80, known.lines or 24

    def show(self, lines: Sequence[str], *, bold: int = 0) -> None:
        """Write ``lines`` over what was there, the first ``bold`` in bold; what does not fit is left out."""
        height = self.size[1]
        painted = [
            f"{_BOLD}{line}{_PLAIN}{_REST_OF_LINE}" if number < bold else line + _REST_OF_LINE
            for number, line in enumerate(map(printable, lines[:height]))
        ]
        # No line break behind the last line: it would scroll the first one out.
        self._out.write(_HOME + "\r\n".join(painted) + _REST_OF_SCREEN)
        self._out.flush()

    def key(self, seconds: float) -> str:
        """The next key; "" after ``seconds`` or when the size has changed, "q" when the terminal is gone."""
        sources = [self._wake] if self._keys is None else [self._keys, self._wake]
        ready, _, _ = select.select(sources, [], [], max(0.0, seconds))
        if self._wake in ready:
            os.read(self._wake, 512)
        if self._keys is not None and self._keys in ready:
            pressed = os.read(self._keys, 64)
            return pressed.decode("ascii", "replace") if pressed else "q"
        return ""

    def enter(self) -> None:
        """Take the terminal: the other screen, no cursor, keys as they are pressed."""
        if self._keys is not None:
            import termios
            import tty

            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._out.write(_ENTER)
        self._out.flush()

    def leave(self) -> None:
        """Give it back."""
        before, self._before = self._before, None
        with contextlib.suppress(OSError, ValueError):
            self._out.write(_LEAVE)
            self._out.flush()
        if before is not None and self._keys is not None:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, before)


@contextlib.contextmanager
def taken(out: TextIO) -> Iterator[Screen]:
    """The terminal that ``out`` is, given back at the end, on an error, on a signal, and while stopped.

    Raises `Ended` in the block when a signal asks the program to end.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.set_blocking(read, False)
    screen = Screen(out, _keyboard(), read)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, read)
        undo.callback(os.close, write)
        undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write, warn_on_full_buffer=False))
        for name, handler in _handlers(screen):
            number = getattr(signal, name, None)
            if number is not None:
                undo.callback(signal.signal, number, signal.signal(number, handler))
        undo.callback(screen.leave)
        screen.enter()
        yield screen


def _keyboard() -> int | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stdin.isatty():
            return sys.stdin.fileno()
    return None


def _handlers(screen: Screen) -> Iterator[tuple[str, Callable[[int, FrameType | None], None]]]:
    def end(number: int, _: FrameType | None) -> None:
        # Once: a second one would come in the middle of giving the terminal back.
        for name in _ENDING:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        raise Ended(number)

    def stop(number: int, _: FrameType | None) -> None:
        # Ctrl-Z: the shell gets its terminal back, and once it lets us go on we take it again.
        screen.leave()
        handler = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, handler)
        screen.enter()

    def resize(_number: int, _: FrameType | None) -> None:
        """Wake the waiting: the size is asked for at every screen."""

    yield from ((name, end) for name in _ENDING)
    yield "SIGTSTP", stop
    yield "SIGWINCH", resize
