"""YAML texts: the same result as reading them each time, a fresh one, errors and all."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import yaml
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

# Reads JSON, and "date" for a day; the tables are those that PyYAML has.
LIBRARY = """
import datetime, json
read = []

class SafeLoader:
    yaml_constructors = {"str": str}
    yaml_multi_constructors = {}
    yaml_path_resolvers = {}
    yaml_implicit_resolvers = {"t": [("bool", 1)]}

def load(text):
    read.append(text)
    if text == "date":
        return {"day": datetime.date(2026, 1, 2)}
    if text == "shared":
        part = [1]
        return [part, part]
    if text == "function":
        return [lambda: 1]
    value = json.loads(text)
    if ("upper", 2) in SafeLoader.yaml_implicit_resolvers["t"]:
        return value.upper()
    return SafeLoader.yaml_constructors["str"](value) if type(value) is str else value

def safe_load(text):
    return load(text)
"""
HOST = """
def loads(text):
    found = yaml.safe_load(text)
    return found

def parse_frontmatter(frontmatter_text):
    errors = []
    try:
        found = yaml.safe_load(frontmatter_text)
    except ValueError as error:
        errors.append(str(error))
        return {}, errors
    return found, errors
"""
TEXT = '{"a": [1, 2.5, null, true, "é"], "b": {"c": {}}}'


@pytest.fixture
def library() -> ModuleType:
    return module_of("yamltexts_library", LIBRARY)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, library: ModuleType) -> Iterator[ModuleType]:
    module = module_of("yamltexts_host", HOST, yaml=library)
    monkeypatch.setattr(yaml, "KNOWN", {digest(module.loads), digest(module.parse_frontmatter)})
    targets = {"yaml": "yamltexts_host:loads", "frontmatter": "yamltexts_host:parse_frontmatter"}
    (_, loads), (_, frontmatter) = yaml.rows(targets, Probe(None))
    with patched(module, "loads", loads), patched(module, "parse_frontmatter", frontmatter):
        yield module


def test_a_text_is_read_once_and_gives_fresh_results(host: ModuleType, library: ModuleType) -> None:
    expected = json.loads(TEXT)
    for _ in range(3):
        found = host.loads(TEXT)
        assert found == expected
        assert json.dumps(found) == json.dumps(expected)  # the order too
        found["a"].append("mine")
        found["b"]["c"]["mine"] = 1
    assert len(library.read) == 1


def test_the_first_result_is_nobody_elses(host: ModuleType) -> None:
    host.loads(TEXT)["a"].clear()
    assert host.loads(TEXT) == json.loads(TEXT)


@pytest.mark.parametrize("text", ["date", "shared", "1", "null", '"text"', "[]"])
def test_whatever_comes_out_comes_out_again(host: ModuleType, library: ModuleType, text: str) -> None:
    first, second = host.loads(text), host.loads(text)
    assert first == second
    assert type(first) is type(second)
    assert len(library.read) == 1
    if text == "date":
        assert second == {"day": datetime.date(2026, 1, 2)}
    if text == "shared":
        assert second[0] is second[1]
        assert second[0] is not first[0]


def test_what_cannot_be_copied_is_read_again(host: ModuleType, library: ModuleType) -> None:
    assert host.loads("function")[0] is not host.loads("function")[0]
    assert len(library.read) == 2


def test_errors_are_the_hosts_every_time(host: ModuleType, library: ModuleType) -> None:
    for _ in range(2):
        with pytest.raises(json.JSONDecodeError):
            host.loads("{broken")
        assert host.parse_frontmatter("{broken")[1]
    assert len(library.read) == 4


def test_frontmatter_gives_fresh_pairs(host: ModuleType, library: ModuleType) -> None:
    expected = (json.loads(TEXT), [])
    for _ in range(3):
        found = host.parse_frontmatter(TEXT)
        assert found == expected
        found[0]["a"] = 1
        found[1].append("mine")
    assert len(library.read) == 1
    host.loads(TEXT)
    assert len(library.read) == 2  # another function, another result


@pytest.mark.parametrize("text", [b"1", bytearray(b"1"), type("Text", (str,), {})("1")])
def test_anything_but_a_plain_string_goes_to_the_host(
    host: ModuleType, library: ModuleType, text: Any
) -> None:
    assert host.loads(text) == host.loads(text) == 1
    assert len(library.read) == 2


def test_a_long_text_is_read_each_time(host: ModuleType, library: ModuleType) -> None:
    text = json.dumps(["a"] * 5_000)
    assert host.loads(text) == host.loads(text)
    assert len(library.read) == 2


def test_arguments_that_do_not_fit_are_the_hosts_to_refuse(host: ModuleType) -> None:
    host.loads(TEXT)
    for args, named in ((TEXT, 1), {}), ((), {}), ((TEXT,), {"other": 1}), ((), {"other": TEXT}):
        with pytest.raises(TypeError):
            host.loads(*args, **named)
    assert host.loads(text=TEXT) == host.loads(TEXT)


def _constructor(library: ModuleType) -> None:
    library.SafeLoader.yaml_constructors["str"] = str.upper


def _constructors_of_its_own(library: ModuleType) -> None:
    library.SafeLoader.yaml_constructors = {"str": str.upper}


def _resolver(library: ModuleType) -> None:
    library.SafeLoader.yaml_implicit_resolvers["t"].append(("upper", 2))


def _reader(library: ModuleType) -> None:
    library.safe_load = lambda text: json.loads(text).upper()


@pytest.mark.parametrize(
    "change", [_constructor, _constructors_of_its_own, _resolver, _reader], ids=lambda one: one.__name__
)
def test_a_changed_grammar_is_not_answered_from_before(
    host: ModuleType, library: ModuleType, change: Any
) -> None:
    assert [host.loads('"t"') for _ in range(2)] == ["t", "t"]
    change(library)
    assert [host.loads('"t"') for _ in range(2)] == ["T", "T"]


def test_switched_off_means_the_host(host: ModuleType, library: ModuleType) -> None:
    wrapper = copy.copy(host.loads)
    host.loads(TEXT)
    (row,) = (cell.cell_contents for cell in wrapper.__closure__ or () if hasattr(cell.cell_contents, "on"))
    row.on = False
    wrapper(TEXT)
    assert len(library.read) == 2


def test_another_reader_than_the_known_ones_is_left_alone(library: ModuleType) -> None:
    module = module_of("yamltexts_other", HOST, yaml=library)
    ((_, loads),) = yaml.rows({"yaml": "yamltexts_other:loads"}, Probe(None))
    with patched(module, "loads", loads) as patches:
        assert patches.rows[0].state == "unrecognised"
