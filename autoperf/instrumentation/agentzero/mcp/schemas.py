"""What the results of an MCP tool must look like: that is checked once, and every result against it."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_parameters

VALIDATE: Final = "jsonschema.validators:validate"
_SCHEMAS_KEPT: Final = 256
_DIALECT: Final = "$schema"
# Without references: with them equal values may be written in different ways.
_PLAIN_FORMAT: Final = 2


def checking(original: Callable[..., Any], _switch: Switch) -> Callable[..., Any]:
    """For ``jsonschema.validate(instance, schema, cls=None)``, which the `mcp` package calls each time.

    It checks the schema itself first, which takes fifty times as long as the result. A schema that has
    passed, with the same content down to the types, for the same validator, passes at once.
    """
    expect_parameters(original, "instance", "schema", "cls", "args")
    if "validator_for" not in original.__globals__:
        raise AutoperfError("it finds the validator of a schema in another way than is known")
    passed: set[Any] = set()

    def validate(call: Any, /, instance: Any, schema: Any, cls: Any = None, *args: Any, **kwargs: Any) -> Any:
        if cls is None and type(schema) is dict and _DIALECT not in schema:
            try:
                latest = original.__globals__["validator_for"](schema)
                content = marshal.dumps(schema, _PLAIN_FORMAT)
                cls = _Checked(latest, (latest, vars(latest)["check_schema"], content), passed)
            except (ValueError, TypeError, KeyError):
                pass  # with something in it that is no plain value
        return call(instance, schema, cls, *args, **kwargs)

    return validate


class _Checked:
    """A validator class as far as ``validate`` uses one."""

    def __init__(self, validator: Any, key: Any, passed: set[Any]) -> None:
        self._validator = validator
        self._key = key
        self._passed = passed

    def check_schema(self, schema: Any) -> None:
        if self._key not in self._passed:
            self._validator.check_schema(schema)
            if len(self._passed) >= _SCHEMAS_KEPT:
                self._passed.clear()
            self._passed.add(self._key)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._validator(*args, **kwargs)
