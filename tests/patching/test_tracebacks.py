"""Error texts of the host hold its own frames and none of ours, in the exception and in all it came from."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from autoperf.errors import frames
from autoperf.patching import tracebacks
from autoperf.patching.patch import Switch, replacement, wrapping


def ours(action: Any) -> Any:
    """Call ``action`` through a frame that lies in our package."""
    source = "def through(action):\n    return action()\n"
    scope: dict[str, Any] = {}
    exec(compile(source, frames.OURS + "instrumentation/agentzero/loading/classes.py", "exec"), scope)
    return scope["through"](action)


def wrapt_then_ours(action: Any) -> Any:
    scope: dict[str, Any] = {}
    exec(
        compile("def through(action):\n    return action()\n", "/site-packages" + frames._WRAPT, "exec"),
        scope,
    )
    return scope["through"](lambda: ours(action))


def fails() -> None:
    raise ValueError("deep")


def caught(action: Any) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def files(error: BaseException | None) -> list[str]:
    assert error is not None
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


def names(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_our_frames_go_and_the_hosts_stay_in_order():
    error = caught(lambda: ours(lambda: ours(fails)))
    assert len(files(error)) == 8
    tracebacks.without_our_frames(error)
    assert names(error) == ["caught", "<lambda>", "ours", "<lambda>", "ours", "fails"]
    assert set(files(error)) == {__file__}


def test_frames_at_the_very_top_go_too():
    error = caught(lambda: ours(fails))
    error.__traceback__ = error.__traceback__.tb_next.tb_next.tb_next
    tracebacks.without_our_frames(error)
    assert names(error) == ["fails"]


def test_causes_contexts_and_groups_are_cleaned():
    def chained() -> None:
        try:
            ours(fails)
        except ValueError as first:
            try:
                ours(fails)
            except ValueError:
                raise KeyError("last") from first

    error = caught(lambda: ours(chained))
    tracebacks.without_our_frames(error)
    for link in (error, error.__cause__, error.__context__):
        assert set(files(link)) == {__file__}
    inner = caught(lambda: ours(fails))
    group = type("Group", (Exception,), {"exceptions": (inner,)})("several")
    tracebacks.without_our_frames(group)
    assert set(files(inner)) == {__file__}


def test_a_circle_of_causes_ends():
    one, two = caught(lambda: ours(fails)), caught(fails)
    one.__cause__, two.__cause__ = two, one
    tracebacks.without_our_frames(one)
    assert set(files(one)) == {__file__}


def test_wrapts_own_frames_go_only_with_ours():
    error = caught(lambda: wrapt_then_ours(fails))
    tracebacks.without_our_frames(error)
    # The helper's lambda between the two is this file's, so wrapt's frame is somebody else's there.
    assert [name for name in files(error) if name.endswith(frames._WRAPT)] != []

    def direct() -> None:
        scope: dict[str, Any] = {"inner": None}
        mine: dict[str, Any] = {}
        exec(compile("def t(a):\n    return a()\n", frames.OURS + "x.py", "exec"), mine)
        source = "def through(inner, action):\n    return inner(action)\n"
        exec(compile(source, "/site-packages" + frames._WRAPT, "exec"), scope)
        scope["through"](mine["t"], fails)

    error = caught(direct)
    tracebacks.without_our_frames(error)
    assert names(error)[-2:] == ["direct", "fails"]


def test_the_text_is_what_the_host_would_have_made():
    def format_error(e: BaseException, limit: int = 5) -> str:
        return "".join(traceback.format_exception(type(e), e, e.__traceback__)[-limit:])

    switch = Switch()
    wrapped = replacement(format_error, wrapping(tracebacks.formatting), switch)
    for arguments in (lambda e: ((e,), {}), lambda e: ((), {"e": e}), lambda e: ((e, 3), {})):
        args, kwargs = arguments(caught(lambda: ours(fails)))
        told = wrapped(*args, **kwargs)
        assert "ValueError: deep" in told
        assert frames.OURS not in told
    switch.on = False
    assert frames.OURS in wrapped(caught(lambda: ours(fails)))


@pytest.mark.parametrize("odd", [None, "text", 5])
def test_what_is_no_exception_is_passed_on(odd):
    assert tracebacks.formatting(lambda e=None: f"told {e}", None, (odd,), {}) == f"told {odd}"
    assert tracebacks.formatting(lambda: "nothing", None, (), {}) == "nothing"


def test_an_exception_that_resists_is_formatted_as_it_is(fail_open):
    class OddError(Exception):
        @property
        def exceptions(self):
            raise RuntimeError("no list")

    formatting = replacement(lambda e: "told", wrapping(tracebacks.formatting), Switch(), "format_error")
    assert formatting(OddError()) == "told"
