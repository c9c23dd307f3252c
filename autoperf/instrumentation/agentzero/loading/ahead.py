"""Tools that were executed before, executed again on another thread while their arguments still stream.

What a module does when it is executed belongs to its use. So this is for those only that do nothing but bring
names into being, by the proof in `purity` from their source and from what they made the first time: executed
earlier, on another thread or for nothing, nobody can tell. Everything else the host executes at its use.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final

from autoperf.errors.switch import failed
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading, Guards, Loaded
from autoperf.instrumentation.agentzero.loading.host_call import HostCall
from autoperf.instrumentation.agentzero.loading.purity import Judgement
from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp, stamp_or_none

# Two threads that parse at the same time can fail each other on 3.11, up to 3.11.7 (CPython gh-106905), and
# there the host parses whenever it formats a traceback: nothing is judged beside it.
PARSES_SAFELY: Final = not (3, 11) <= tuple(sys.version_info[:3]) < (3, 11, 8)

_Made = tuple[list[type], Guards, float]


class AheadLoading:
    """Has the classes of a tool ready, and what must hold for them to be used, when the host asks."""

    def __init__(self, loading: ClassLoading) -> None:
        self._loading = loading

    def wanted(self, path: str) -> bool:
        """Whether there may be something to do before the next use of a file; microseconds."""
        known = self._loading.files.get(path)
        stamp = None if known is None else stamp_or_none(Stamp.of, path)
        if known is None or stamp is None or stamp is ABSENT or not self._loading.usual():
            return False
        cache, key, _ = known
        loaded = cache.fresh(key, stamp)
        if loaded is None:
            return self._loading.judgements.earlier(path) is not None
        return PARSES_SAFELY and not (loaded.decided or loaded.awaited)

    def load(self, path: str) -> bool:
        """Load what the host would load from ``path``, on this thread; False where that is for its use.

        A file that has changed since it was executed is such a case, and so is one that the host is loading.
        """
        known = self._loading.files.get(path)
        stamp = None if known is None else stamp_or_none(Stamp.of, path)
        if known is None or stamp is None or stamp is ABSENT or not self._loading.usual():
            return False
        cache, key, host = known
        loaded = cache.fresh(key, stamp)
        if loaded is None:
            return self._renewed(cache, key, host, stamp, path)
        if loaded.decided or loaded.awaited or not PARSES_SAFELY:
            return False
        loaded.awaited = True
        try:
            return self._decided(cache, loaded, host)
        finally:
            loaded.awaited = False

    def _decided(self, cache: Cache[Loaded], loaded: Loaded, host: HostCall) -> bool:
        # What it made the first time must pass too: a base class may act on every class made from it.
        executed = loaded.executed  # a use that decides meanwhile empties it
        if len(executed) != 1 or self._loading.guards(executed) is None:
            return False
        made = self._made(host, self._loading.judgements.of(executed[0]))
        if made is None or not loaded.decide(*made):
            return False
        _account(cache, made)
        return True

    def _renewed(self, cache: Cache[Loaded], key: Any, host: HostCall, stamp: Stamp, path: str) -> bool:
        """Again what has aged, or went to make room for others."""
        made = self._made(host, self._loading.judgements.earlier(path))
        if made is None:
            return False
        classes, _, seconds = made
        loaded = Loaded(classes)
        loaded.decide(*made)
        cache.keep(key, loaded, stamp, seconds)
        return True

    def _made(self, host: HostCall, judgement: Judgement | None) -> _Made | None:
        """The classes of one more execution; None where it cannot be done unseen, or fails."""
        code = None if judgement is None else judgement.code
        if judgement is None or code is None or not judgement.stands():
            return None
        # The time of this thread alone, for others are at work meanwhile.
        started = time.thread_time()
        # Whatever it fails of, the host will find when it loads the tool itself.
        try:
            with self._loading.code.watch_executions() as executed, self._loading.code.only(code):
                classes = host.anew()()
                seconds = time.thread_time() - started
                guards = self._loading.guards(executed)
                return None if guards is None else (list(classes), guards, seconds)
        except (ImportError, OSError):
            return None  # another source by now, or none: the file was edited or removed meanwhile
        except Exception as error:
            failed("preload", error)
            return None


def _account(cache: Cache[Loaded], made: _Made) -> None:
    # The first use will count what it spares; by then it has been spent, once.
    cache.saved(-made[2])
