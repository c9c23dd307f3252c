"""YAML, as far as it is lines of ``key: value`` with values in JSON."""

import json
from types import ModuleType


def _load(text: str) -> dict[str, object]:
    parts = (line.partition(":") for line in text.splitlines() if line.strip())
    return {key.strip(): json.loads(value) for key, _, value in parts}


yaml = ModuleType("yaml")
yaml.safe_load = yaml.load = _load
yaml.SafeLoader = type(
    "SafeLoader",
    (),
    dict.fromkeys(
        ("yaml_constructors", "yaml_multi_constructors", "yaml_path_resolvers", "yaml_implicit_resolvers"), {}
    ),
)


def loads(text: str) -> dict[str, object]:
    return yaml.safe_load(text)
