"""A function that was compiled again behaves, and fails, as the one it was made from."""

from __future__ import annotations

import ast
import traceback
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.clients.edits import QuietEdit
from autoperf.patching.rewriting import recompiled

OFFSET = 10


class Told:
    """Stands for litellm and its logger."""

    def __init__(self) -> None:
        self.set_verbose = False
        self.lines: list[str] = []
        self.made = 0

    def debug(self, line: str) -> None:
        self.lines.append(line)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return self.set_verbose and level == 10

    def __str__(self) -> str:
        self.made += 1
        return "told"


litellm = verbose_logger = Told()


def print_verbose(line: str) -> None:
    if litellm.set_verbose:
        litellm.lines.append(line)


class Host:
    """A class with methods worth compiling again."""

    def divide(self, value: int, *, by: int = 2) -> float:
        """Its documentation."""
        print_verbose(f"dividing {litellm}")
        verbose_logger.debug(f"by {litellm}")
        print_verbose("plain")
        return self.inner(value) / (
            by - 2 + by  # over several lines
        )

    def inner(self, value: int) -> int:
        return value + OFFSET


def error_of(function: Any) -> str:
    try:
        function(Host(), 1, by=1)
    except ZeroDivisionError as error:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    raise AssertionError("it did not fail")


def quiet() -> Any:
    return recompiled(Host.divide, QuietEdit(), {})


def test_it_computes_the_same_and_looks_the_same() -> None:
    again = quiet()
    assert again(Host(), 4) == Host().divide(4) == 7
    assert again(Host(), 4, by=3) == Host().divide(4, by=3)
    assert again.__code__.co_filename == __file__
    assert again.__code__.co_firstlineno == Host.divide.__code__.co_firstlineno
    assert again.__qualname__ == Host.divide.__qualname__
    assert again.__kwdefaults__ == Host.divide.__kwdefaults__
    assert again.__annotations__ == Host.divide.__annotations__
    assert again.__doc__ == Host.divide.__doc__
    assert again.__globals__ is globals()


def test_its_traceback_is_the_same_to_the_column() -> None:
    assert error_of(quiet()) == error_of(Host.divide)


def test_debug_texts_are_made_only_for_somebody() -> None:
    again = quiet()
    litellm.made, litellm.lines = 0, []
    again(Host(), 4)
    assert litellm.made == 0
    litellm.set_verbose = True
    try:
        again(Host(), 4)
    finally:
        litellm.set_verbose = False
    assert litellm.lines == ["dividing told", "by told", "plain"]


def test_a_global_that_is_replaced_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    again = recompiled(Host.inner, QuietEdit(), {})
    monkeypatch.setitem(globals(), "OFFSET", 100)
    assert again(Host(), 1) == 101


def test_what_is_bound_is_its_own() -> None:
    class Swap(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            return ast.copy_location(ast.Name("mine", ast.Load()), node) if node.id == "OFFSET" else node

    again = recompiled(Host.inner, Swap(), {"mine": 7})
    assert again(Host(), 1) == 8
    assert "mine" not in globals()


def test_what_cannot_be_compiled_again_is_refused() -> None:
    def closure() -> Any:
        return OFFSET, litellm, quiet_of

    quiet_of = closure
    for refused in (closure, len, Host):
        with pytest.raises(AutoperfError):
            recompiled(refused, QuietEdit(), {})
    scope: dict[str, Any] = {}
    exec("def unseen(): return 1", scope)
    with pytest.raises(AutoperfError):
        recompiled(scope["unseen"], QuietEdit(), {})
