"""Locks of ours: the collector or a signal may run code of the host on a thread that holds one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from autoperf.errors import Failures
from autoperf.memo.cache import Cache
from autoperf.memo.counters import Executions, Lookups
from autoperf.memo.inputs import Inputs
from autoperf.memo.memo import Memo
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.memo.series import Series
from autoperf.memo.watch import Watch

WATCH = Watch(False)
PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "failures": (lambda: Failures(quiet=True), lambda part: part.record("a seam", ValueError())),
    "cache": (lambda: Cache(2, 60.0), lambda part: part.info()),
    "executions": (Executions, lambda part: part.of("a tool")),
    "memo": (lambda: Memo(WATCH, Lookups()), lambda part: part.keep("key", "value", Inputs(WATCH))),
    "series": (Series, lambda part: part.add(1.0)),
    "growing texts": (GrowingTexts, lambda part: part.keep(Entry("a text"))),
}


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("name", PARTS)
def test_a_thread_that_holds_the_lock_may_ask_again(name: str, forked: bool) -> None:
    make, ask = PARTS[name]
    part = make()
    if forked:
        part.forked()

    def within() -> None:
        with part._lock:
            ask(part)

    thread = threading.Thread(target=within, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
