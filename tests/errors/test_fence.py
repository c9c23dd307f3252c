"""The shape of a patch: the host's function happens once, and what it does is all that its caller sees."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import inspect
import sys
import traceback
import types
import weakref
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import failures, frames
from autoperf.errors.fence import MISS, Shortcut, View, fenced, inside, method
from autoperf.errors.frames import host, without_ours
from autoperf.errors.standins import standing_in
from autoperf.errors.switch import ALWAYS, DISABLE_AFTER_FAILURES
from autoperf.patching.patch import Switch, replacement, wrapping

SEAM = "a_host:function"
pytestmark = pytest.mark.usefixtures("fail_open")


class Host:
    """Functions that note every call, and return or raise what they are told to."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.calls: list[Any] = []

    def ends(self) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def function(self, kind: str) -> Any:
        def plain(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((args, kwargs))
            return self.ends()

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((args, kwargs))
            await asyncio.sleep(0)
            return self.ends()

        return plain if kind == "sync" else coroutine


def ended(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What a call returns or raises, with the frames of its traceback and what it came from."""
    try:
        result = function(*args, **kwargs)
        return asyncio.run(result) if inspect.isawaitable(result) else result
    except BaseException as error:
        context = error.__context__
        return error, [frame.name for frame in traceback.extract_tb(error.__traceback__)][1:], context


def fails() -> None:
    raise RuntimeError("ours")


def failing(when: str) -> dict[str, Any]:
    """Wrappers that fail before, after or on the way out of the host's function, of every shape."""

    def plain(call: Any, *args: Any, **kwargs: Any) -> Any:
        if when == "before":
            fails()
        try:
            result = call("other", *args, **kwargs)
        finally:
            if when == "leaving":
                fails()
        if when == "after":
            fails()
        return result

    async def coroutine(call: Any, *args: Any, **kwargs: Any) -> Any:
        if when == "before":
            fails()
        try:
            result = await call("other", *args, **kwargs)
        finally:
            if when == "leaving":
                fails()
        if when == "after":
            fails()
        return result

    def bound(call: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return plain(call, *args, **kwargs)

    async def bound_coroutine(call: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return await coroutine(call, *args, **kwargs)

    for ours in (plain, coroutine, bound, bound_coroutine):
        ours.__code__ = ours.__code__.replace(co_filename=f"{frames.OURS}wrappers.py")

    return {
        "sync": lambda *_: plain,
        "async": lambda *_: coroutine,
        "sync bound": wrapping(bound),
        "async bound": wrapping(bound_coroutine),
        "sync shortcut": lambda *_: Shortcut(lambda *a, **k: fails() if when == "before" else MISS, plain),
        "async shortcut": lambda *_: Shortcut(
            lambda *a, **k: fails() if when == "before" else MISS, coroutine
        ),
    }


SHAPES = list(failing("before"))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("when", ["before", "after", "leaving"])
@pytest.mark.parametrize("kind_of_outcome", [str, ValueError, KeyboardInterrupt])
def test_the_host_function_happens_once_and_its_outcome_is_all_that_is_seen(shape, when, kind_of_outcome):
    kind, outcome = shape.split()[0], kind_of_outcome("the host's")
    told = Host(outcome)
    patched = replacement(told.function(kind), failing(when)[shape], Switch(), SEAM)
    result = ended(patched, 1, two=2)
    assert len(told.calls) == 1
    if isinstance(outcome, BaseException):
        error, frames, context = result
        assert error is outcome
        assert context is None
        if sys.version_info >= (3, 11) and kind == "sync":
            assert frames == ["plain", "ends"]
    else:
        assert result == outcome
    went_wrong = when != "after" or not isinstance(outcome, BaseException)
    expected = 2 if "shortcut" in shape and when == "before" else 1
    assert failures.of(SEAM) == (expected if went_wrong else 0)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a bare raise puts the frame back to Python 3.10")
@pytest.mark.parametrize("shape", SHAPES)
def test_no_frame_of_ours_is_left_in_a_traceback(shape):
    kind = shape.split()[0]
    bare = ended(Host(ValueError("the host's")).function(kind))
    told = Host(ValueError("the host's"))
    patched = replacement(told.function(kind), failing("never")[shape], Switch(), SEAM)
    assert ended(patched)[1] == bare[1]
    assert failures.of(SEAM) == 0


def test_an_exception_raised_while_another_is_handled_keeps_that_as_its_context():
    told = Host(ValueError("the host's"))
    patched = replacement(told.function("sync"), failing("leaving")["sync"], Switch(), SEAM)
    first = KeyError("first")

    def handling() -> None:
        try:
            raise first
        except KeyError:
            patched()

    assert ended(handling)[2] is first


def test_what_the_hosts_code_raises_below_ours_is_no_failure_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "root", f"{tmp_path}/")
    space: dict[str, Any] = {}
    source = "def asked():\n    raise LookupError('theirs')\n"
    exec(compile(source, f"{tmp_path}/helpers.py", "exec"), space)
    told = Host("result")
    patched = replacement(told.function("sync"), lambda *_: Shortcut(space["asked"]), Switch(), SEAM)
    assert patched() == "result"
    assert failures.of(SEAM) == 0


def test_a_recursion_that_the_host_began_is_no_failure_of_ours():
    def recursion() -> Any:
        raise RecursionError

    told = Host("result")
    patched = replacement(told.function("sync"), lambda *_: Shortcut(recursion), Switch(), SEAM)
    assert patched() == "result"
    assert failures.of(SEAM) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_patch_that_goes_on_failing_is_switched_off(shape):
    kind, switch, told = shape.split()[0], Switch(), Host("result")
    patched = replacement(told.function(kind), failing("after")[shape], switch, SEAM)
    for _ in range(DISABLE_AFTER_FAILURES + 5):
        assert ended(patched) == "result"
    assert not switch.on
    assert failures.of(SEAM) == DISABLE_AFTER_FAILURES
    assert told.calls[0] == (("other",), {})
    assert told.calls[-1] == ((), {})


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_shortcut_that_is_switched_off_finds_nothing(kind):
    switch, told = Switch(), Host("the host's")
    patched = replacement(told.function(kind), lambda *_: Shortcut(lambda: "ours"), switch, SEAM)
    assert ended(patched) == "ours"
    switch.on = False
    assert ended(patched) == "the host's"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_interruption_while_ours_is_at_work_passes_and_is_no_failure(shape, monkeypatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(globals(), "fails", interrupted)
    told = Host("result")
    patched = replacement(told.function(shape.split()[0]), failing("before")[shape], Switch(), SEAM)
    error, _, _ = ended(patched)
    assert type(error) is KeyboardInterrupt
    assert (told.calls, failures.of(SEAM)) == ([], 0)


@pytest.mark.parametrize("when", ["before", "after", "leaving"])
@pytest.mark.parametrize("kind_of_outcome", [str, ValueError, KeyboardInterrupt])
def test_a_method_in_the_place_of_a_function_is_fenced_alike(when, kind_of_outcome):
    outcome = kind_of_outcome("the host's")
    told, wrapper = Host(outcome), failing(when)["sync"]()
    patched = method(SEAM, lambda _self: told.function("sync"), lambda call, _self: wrapper(call))
    result = ended(patched, object())
    assert len(told.calls) == 1
    if isinstance(outcome, BaseException):
        assert (result[0], result[2]) == (outcome, None)
        if sys.version_info >= (3, 11):
            between = ["<lambda>"] if when == "after" else []  # of this file
            assert result[1] == [*between, "plain", "ends"]
    else:
        assert result == outcome


def test_an_interruption_in_such_a_method_passes(monkeypatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(globals(), "fails", interrupted)
    told, wrapper = Host("result"), failing("before")["sync"]()
    patched = method(SEAM, lambda _self: told.function("sync"), lambda call, _self: wrapper(call))
    assert type(ended(patched, object())[0]) is KeyboardInterrupt
    assert (told.calls, failures.of(SEAM)) == ([], 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_same_kind_of_function(shape):
    kind = shape.split()[0]
    original = Host(1).function(kind)
    patched = replacement(original, failing("never")[shape], Switch(), SEAM)
    assert inspect.iscoroutinefunction(patched) is inspect.iscoroutinefunction(original)
    assert (patched.__name__, patched.__qualname__, patched.__doc__) == (
        original.__name__,
        original.__qualname__,
        original.__doc__,
    )
    assert inspect.signature(patched) == inspect.signature(original)
    assert inspect.getsource(patched) == inspect.getsource(original)


def test_what_was_found_does_without_the_host():
    told = Host("result")
    patched = replacement(told.function("sync"), lambda *_: Shortcut(lambda x: x), Switch(), SEAM)
    assert patched(None) is None
    assert told.calls == []


def test_a_cancelled_call_is_cancelled():
    async def main() -> None:
        entered = asyncio.Event()

        async def waits() -> None:
            entered.set()
            await asyncio.sleep(60)

        patched = replacement(waits, failing("after")["async"], Switch(), SEAM)
        task = asyncio.create_task(patched.__wrapped__())
        ours = asyncio.create_task(replacement(waits, lambda *_: _passing, Switch(), SEAM)())
        await entered.wait()
        await asyncio.sleep(0)
        for each in (task, ours):
            each.cancel()
        assert await asyncio.gather(task, ours, return_exceptions=True) != [None, None]
        assert task.cancelled()
        assert ours.cancelled()

    asyncio.run(main())
    assert failures.of(SEAM) == 0


async def _passing(call: Any) -> Any:
    return await call()


def test_a_view_fences_what_it_replaces_and_shows_the_rest():
    real = types.ModuleType("real")
    real.sum = lambda *parts: sum(parts)  # type: ignore[attr-defined]
    real.inner = types.ModuleType("inner")  # type: ignore[attr-defined]
    real.inner.one = lambda: 1
    view = replacement(real, lambda *_: View({"inner": View({"one": lambda call: fails()})}), Switch(), SEAM)
    assert view.inner.one() == 1
    assert failures.of(SEAM) == 1
    real.later = 5  # type: ignore[attr-defined]
    assert view.later == 5
    assert view.sum(1, 2) == 3


def test_a_stand_in_that_fails_leaves_it_to_the_host():
    assert standing_in(SEAM, lambda x: fails(), lambda x: x + 1)(1) == 2
    assert failures.of(SEAM) == 1


def test_no_function_of_a_patch_stands_in_for_one_that_failed():
    """Two failures in one call reached the host: the second was in what stood in for the first."""
    package = Path(frames.OURS)
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "standing_in":
                assert not isinstance(node.args[2], ast.Lambda), f"{file}:{node.lineno}"


def test_no_wrapper_does_anything_while_its_call_is_under_way():
    """`settle` has nothing to give for a call that has not ended: each is awaited where it is made."""
    package = Path(frames.OURS)
    found = 0
    for file in package.rglob("*.py"):
        if file.parent.name in ("errors", "benchmark"):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
            names = {arg.arg for arg in function.args.posonlyargs + function.args.args} & {"call", "wrapped"}
            for node in ast.walk(function):
                if not isinstance(node, ast.Name) or node.id not in names:
                    continue
                found += 1
                inside_of: list[ast.AST] = [node]
                while not isinstance(inside_of[-1], (ast.Await, ast.stmt)):
                    inside_of.append(above[inside_of[-1]])
                here = f"{file}:{node.lineno}"
                assert isinstance(inside_of[-1], ast.Await), f"{here}: it is not awaited"
                text = ast.unparse(inside_of[-1])
                assert "asyncio." not in text, f"{here}: it is awaited with something else"
    assert found > 30


def test_the_wrapper_in_a_replacement_is_known():
    def wrapper(call: Any) -> Any:
        return call()

    patched = replacement(Host(1).function("sync"), lambda *_: wrapper, Switch(), SEAM)
    assert inside(patched) == (wrapper, patched.__wrapped__)
    assert inside(wrapper) is inside(len) is None


def test_under_a_test_a_failure_surfaces(monkeypatch):
    monkeypatch.delenv("AUTOPERF_FAIL_OPEN")
    patched = replacement(Host(1).function("sync"), failing("before")["sync"], Switch(), SEAM)
    with pytest.raises(RuntimeError, match="ours"):
        patched()


def test_frames_are_unlinked_in_place():
    assert without_ours(None) is None


class Held:
    """What a host's frame holds while it raises."""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a bare raise puts the frame back to Python 3.10")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("when", ["never", "after", "leaving"])
def test_what_a_host_frame_held_is_gone_when_the_error_is(shape, when):
    refs: list[weakref.ref[Held]] = []

    def plain(*_: Any, **__: Any) -> Any:
        held = Held()
        refs.append(weakref.ref(held))
        raise ValueError("the host's")

    async def coroutine(*_: Any, **__: Any) -> Any:
        held = Held()
        refs.append(weakref.ref(held))
        raise ValueError("the host's")

    original = plain if shape.startswith("sync") else coroutine
    patched = replacement(original, failing(when)[shape], Switch(), SEAM)

    def host_catches() -> None:
        with contextlib.suppress(ValueError):
            result = patched()
            if inspect.isawaitable(result):
                with contextlib.suppress(StopIteration):
                    result.send(None)

    gc.collect()
    gc.disable()
    try:
        host_catches()
        assert refs[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [RuntimeError("gui is gone"), AttributeError("no flush"), OSError()])
def test_a_failure_that_cannot_be_printed_is_counted_all_the_same(monkeypatch, error):
    class Console:
        def write(self, text: str) -> None:
            raise error

    monkeypatch.setattr(sys, "stderr", Console())
    patched = replacement(Host("result").function("sync"), failing("before")["sync"], Switch(), SEAM)
    assert patched() == "result"
    assert failures.of(SEAM) == 1


def test_a_failure_of_a_class_that_cannot_be_put_into_words_is_counted(monkeypatch):
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def mute(call: Any) -> Any:
        raise MuteError

    monkeypatch.setenv("AUTOPERF_DEBUG", "1")
    patched = replacement(Host("result").function("sync"), lambda *_: mute, Switch(), SEAM)
    assert patched() == "result"
    assert failures.of(SEAM) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_the_hosts_code_raises_after_its_function_passes(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(frames.host, "root", f"{tmp_path}/")
    space: dict[str, Any] = {}
    source = "def callback():\n    raise LookupError('theirs')\n"
    exec(compile(source, f"{tmp_path}/agent.py", "exec"), space)

    def plain(call: Any) -> Any:
        call()
        return space["callback"]()

    async def coroutine(call: Any) -> Any:
        await call()
        return space["callback"]()

    told = Host("result")
    wrapper = plain if kind == "sync" else coroutine
    patched = replacement(told.function(kind), lambda *_: wrapper, Switch(), SEAM)
    assert isinstance(ended(patched)[0], LookupError)
    assert len(told.calls) == 1
    assert failures.of(SEAM) == 0


def test_what_is_planted_without_a_switch_stays_on_for_others():
    told = Host("result")
    failing_one = fenced(SEAM, told.function("sync"), ALWAYS, failing("after")["sync"]())
    for _ in range(DISABLE_AFTER_FAILURES + 2):
        assert failing_one() == "result"
    assert ALWAYS.on
