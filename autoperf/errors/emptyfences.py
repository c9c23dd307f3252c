"""Fences with nothing in them around nothing: they tell, beside a timed call, what a fence itself takes."""

from __future__ import annotations

import contextlib
from typing import Any

from autoperf.errors.around import Around
from autoperf.errors.fence import fenced
from autoperf.errors.meters import ASYNC, EMPTY, FULL, LIGHT, empty_fences, meters
from autoperf.errors.switch import ALWAYS


def make() -> None:
    """Have them ready; until then the times of calls are without that of their fence."""
    meters.of(EMPTY).never()
    coroutine = fenced(EMPTY, _nothing_async, ALWAYS, _passing_on)

    def driven() -> None:
        with contextlib.suppress(StopIteration):  # it never waits
            coroutine().send(None)

    empty_fences[LIGHT] = fenced(EMPTY, _nothing, ALWAYS, Around(_nothing))
    empty_fences[FULL] = fenced(EMPTY, _nothing, ALWAYS, _passing)
    empty_fences[ASYNC] = driven


def _passing(call: Any) -> None:
    call()


async def _passing_on(call: Any) -> None:
    await call()


def _nothing() -> None:
    return


async def _nothing_async() -> None:
    return
