"""Objects made after others are equal to them, share what they share, and own what they own."""

from __future__ import annotations

from typing import Any

import pytest

from autoperf.instrumentation.clients.templates import DifferentError, recipe, take


class Model:
    """The parts of a pydantic model."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
    model_fields: dict[str, Any] = {}

    def __init__(
        self, values: dict[str, Any], extra: Any = None, private: Any = None, fields: Any = ()
    ) -> None:
        self.__dict__.update(values)
        self.__pydantic_extra__ = extra
        self.__pydantic_private__ = private
        self.__pydantic_fields_set__ = set(fields)


SHARED: list[str] = []


def chunk(text: str, *, created: float = 1.0, **more: Any) -> Model:
    delta = Model({}, {"content": text, "role": None, **more}, None, {"content"})
    return Model(
        {"id": "x", "choices": [delta], "usage": None},
        {"citations": [1, {"a": 2.5}]},
        {"_hidden": {"created_at": created, "shared": SHARED}},
        {"id", "choices"},
    )


def made(text: str, now: float = 9.0) -> Any:
    return recipe(take(chunk("a")), take(chunk("b", created=2.0)), ["a"], ["b"])([text], now)


def test_it_is_the_like_of_both() -> None:
    found, expected = made("c"), chunk("c", created=9.0)
    assert type(found) is Model
    recipe(take(found), take(expected), (), ())
    assert found.choices[0].__pydantic_extra__ == {"content": "c", "role": None}
    assert list(vars(found)) == ["id", "choices", "usage"]
    assert found.__pydantic_fields_set__ == {"id", "choices"}
    assert found.__pydantic_private__["_hidden"]["created_at"] == 9.0


def test_what_they_share_is_shared_and_the_rest_is_fresh() -> None:
    make = recipe(take(chunk("a")), take(chunk("b")), ["a"], ["b"])
    one, two = make(["c"], 0.0), make(["c"], 0.0)
    assert one.__pydantic_private__["_hidden"]["shared"] is SHARED
    for get in (
        lambda m: m,
        lambda m: vars(m),
        lambda m: m.choices,
        lambda m: m.choices[0],
        lambda m: m.__pydantic_extra__,
        lambda m: m.__pydantic_extra__["citations"],
        lambda m: m.__pydantic_extra__["citations"][1],
        lambda m: m.__pydantic_private__["_hidden"],
        lambda m: m.__pydantic_fields_set__,
    ):
        assert get(one) is not get(two)


def test_later_changes_to_an_example_do_not_matter() -> None:
    first, second = chunk("a"), chunk("b")
    taken = take(first), take(second)
    first.choices[0].__pydantic_extra__["content"] = "changed"
    second.__pydantic_extra__["citations"][1]["a"] = 3
    second.choices.clear()
    found = recipe(*taken, ["a"], ["b"])(["c"], 0.0)
    assert found.choices[0].__pydantic_extra__["content"] == "c"
    assert found.__pydantic_extra__["citations"] == [1, {"a": 2.5}]


@pytest.mark.parametrize(
    "other",
    [
        chunk("x"),
        chunk("b", role="assistant"),
        chunk("b", more=1),
        Model({"id": "x"}),
        {"id": "x"},
        None,
    ],
)
def test_any_other_difference_is_one(other: Any) -> None:
    with pytest.raises(DifferentError):
        recipe(take(chunk("a")), take(other), ["a"], ["b"])


@pytest.mark.parametrize(
    ("one", "two"),
    [(1, True), (1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1], [1, 2]), ({1: 2}, {1: 2}), ({1}, {1})],
)
def test_equal_is_not_the_same(one: Any, two: Any) -> None:
    with pytest.raises(DifferentError):
        recipe(take([one]), take([two]), (), ())


def test_fields_that_were_set_count() -> None:
    with pytest.raises(DifferentError):
        recipe(take(Model({}, fields={"a"})), take(Model({}, fields={"b"})), (), ())


def test_two_texts_keep_their_places() -> None:
    def both(one: str, two: str) -> Any:
        return {"p": two, "q": [one]}

    make = recipe(take(both("a", "b")), take(both("c", "d")), ["a", "b"], ["c", "d"])
    assert make(["x", "y"], 0.0) == both("x", "y")
