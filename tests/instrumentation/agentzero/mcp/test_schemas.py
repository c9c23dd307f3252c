"""The schema of an MCP tool's results: checked again only when it is another one, results every time."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

jsonschema = pytest.importorskip("jsonschema")

from autoperf.errors import AutoperfError  # noqa: E402
from autoperf.instrumentation.agentzero.mcp import schemas  # noqa: E402
from autoperf.patching.patch import Patch, PatchSet, Switch, replacement  # noqa: E402

REAL = jsonschema.validate
LATEST = jsonschema.validators.validator_for({})


def schema(kind: Any = "string", **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"result": {"type": kind}}, "required": ["result"], **more}


@pytest.fixture
def checks(monkeypatch) -> list[Any]:
    """Every schema that the real class was asked to check."""
    seen: list[Any] = []
    real = vars(LATEST)["check_schema"]

    def check_schema(cls, schema, **options):
        seen.append(schema)
        return real.__func__(cls, schema, **options)

    monkeypatch.setattr(LATEST, "check_schema", classmethod(check_schema))
    return seen


def outcome(validate: Any, *args: Any) -> Any:
    try:
        return validate(*args)
    except Exception as error:
        return type(error), str(error), getattr(error, "path", None)


def test_a_schema_is_checked_once_and_every_result_against_it(checks):
    validate = replacement(REAL, schemas.checking, Switch())
    for text in ("a", "b", "c"):
        validate({"result": text}, schema())
    assert len(checks) == 1
    with pytest.raises(jsonschema.ValidationError, match="7 is not of type"):
        validate({"result": 7}, schema())


@pytest.mark.parametrize(
    "other",
    [schema("integer"), schema(minProperties=1), schema(minProperties=True), schema(minProperties=1.0)],
)
def test_another_content_down_to_its_types_is_checked(checks, other):
    validate = replacement(REAL, schemas.checking, Switch())
    for each in (schema(), schema(minProperties=1), schema(minProperties=1), other):
        assert outcome(validate, {"result": "a"}, each) == outcome(REAL, {"result": "a"}, each)
    ours = [each for each in checks if each == other]
    assert ours, "its own check was made"


def test_a_schema_changed_in_place_is_checked_again(checks):
    validate, own = replacement(REAL, schemas.checking, Switch()), schema()
    validate({"result": "a"}, own)
    own["properties"]["result"]["type"] = "nonsense"
    assert outcome(validate, {"result": "a"}, own)[0] is jsonschema.SchemaError
    assert len(checks) == 2


@pytest.mark.parametrize(
    "given",
    [
        schema("nonsense"),
        schema(minProperties=True),
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True},
        {"const": object},
        {1: 2},
        True,
        False,
        None,
        ["type"],
    ],
)
def test_what_is_refused_or_odd_ends_as_without_us(given):
    validate = replacement(REAL, schemas.checking, Switch())
    for _ in range(3):
        assert outcome(validate, {"result": "a"}, given) == outcome(REAL, {"result": "a"}, given)


def test_a_refused_schema_is_refused_each_time(checks):
    validate = replacement(REAL, schemas.checking, Switch())
    for _ in range(2):
        assert outcome(validate, {}, schema("nonsense"))[0] is jsonschema.SchemaError
    assert len(checks) == 2


def test_a_class_that_was_given_is_asked_itself(checks):
    validate = replacement(REAL, schemas.checking, Switch())
    for _ in range(2):
        validate({"result": "a"}, schema(), LATEST)
    assert len(checks) == 2


def test_another_way_to_check_is_asked_again(checks, monkeypatch):
    validate = replacement(REAL, schemas.checking, Switch())
    validate({"result": "a"}, schema())

    def refuse(cls, schema, **options):
        raise jsonschema.SchemaError("not here")

    monkeypatch.setattr(LATEST, "check_schema", classmethod(refuse))
    assert outcome(validate, {"result": "a"}, schema())[1].startswith("not here")


def test_switched_off_it_is_the_packages_own(checks):
    switch = Switch()
    validate = replacement(REAL, schemas.checking, switch)
    switch.on = False
    for _ in range(2):
        validate({"result": "a"}, schema())
    assert len(checks) == 2


def test_everybody_who_asks_for_it_by_name_gets_it_and_loses_it_again():
    rows = PatchSet([Patch(schemas.VALIDATE, "mcp-keep", schemas.checking)])
    rows.start()
    try:
        assert jsonschema.validate is sys.modules["jsonschema.validators"].validate is not REAL
        with pytest.raises(jsonschema.ValidationError) as raised:
            jsonschema.validate({}, schema())
        assert "is a required property" in traceback.format_exception(raised.value)[-1] + str(raised.value)
    finally:
        rows.stop()
    assert jsonschema.validate is REAL


def test_a_version_that_finds_validators_in_another_way_is_refused():
    def validate(instance, schema, cls=None, *args, **kwargs):
        return None

    with pytest.raises(AutoperfError, match="another way"):
        schemas.checking(validate, Switch())
