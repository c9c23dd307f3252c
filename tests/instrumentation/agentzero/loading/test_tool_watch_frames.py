"""Frames of ours in what a tool, a warning and a failure name."""

from __future__ import annotations

import asyncio
import sys
import traceback
import warnings
from typing import Any

import pytest

from tests.instrumentation.agentzero.loading.test_tool_watch import _undone, both

__all__ = ["_undone"]

OBSERVER = """
import traceback, warnings

class Base:
    pass

class Echo(Base):
    async def execute(self, how="", **kwargs):
        if how == "fails":
            raise ValueError("deep")
        if how == "warns":
            warnings.warn("look there", stacklevel=2)
        if how == "tells":
            try:
                await self.execute("fails")
            except ValueError:
                return traceback.format_exc()
        return type(self).execute(self).close() or vars(self), self.execute.__func__ is Echo.execute
"""


def hosts_view(module: Any, tool: Any) -> Any:
    """The places a host sees of a failure, and a warning of the tool that is to name the host's line."""

    async def run() -> Any:
        try:
            await tool.execute("fails")
        except ValueError as error:
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await tool.execute("warns")
        return frames, caught[0].filename, caught[0].lineno, await tool.execute("tells")

    return asyncio.run(run())


to_leave_none = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="to Python 3.10 a frame stays that raises again"
)


@to_leave_none
def test_no_frame_of_ours_is_in_what_a_failure_or_a_warning_names():
    bare, watched = both(hosts_view, OBSERVER)
    assert watched == bare


def test_a_warning_that_is_to_name_the_hosts_line_does():
    def look(module: Any, tool: Any) -> Any:
        return hosts_view(module, tool)[1:3]

    bare, watched = both(look, OBSERVER)
    assert watched == bare


@to_leave_none
def test_a_refused_call_names_no_frame_of_ours():
    def look(module: Any, tool: Any) -> Any:
        try:
            tool.execute(1, 2, 3)
        except TypeError as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]

    bare, watched = both(look)
    assert watched == bare
