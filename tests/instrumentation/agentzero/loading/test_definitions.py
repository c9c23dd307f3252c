"""Reading a tool's source for what it defines: the process's warnings stay as they are."""

from __future__ import annotations

import ast
import warnings

import pytest

from autoperf.instrumentation.agentzero.loading.definitions import parsed

ODD_ESCAPE = b'pattern = "\\d"\n'


def test_what_python_warns_of_in_the_source_is_not_said_again() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tree = parsed(ODD_ESCAPE)
    assert [type(node) for node in tree.body] == [ast.Assign]
    assert told == []


@pytest.mark.parametrize("source", [ODD_ESCAPE, b"not python"])
def test_the_filters_of_the_process_are_as_before(source: bytes) -> None:
    before = list(warnings.filters)
    try:
        parsed(source)
    except SyntaxError:
        assert source == b"not python"
    assert list(warnings.filters) == before


def test_a_warning_that_was_shown_once_is_not_shown_again() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(2):
            warnings.warn("odd", UserWarning, stacklevel=1)
            parsed(ODD_ESCAPE)
    assert [str(each.message) for each in told] == ["odd"]
