"""Log values, copied and cut: the same data as from the real `copy.deepcopy` and the host's own cutting."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.logging import log_values
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests import output_host

COPY, CUT = f"{output_host.NAME}.log:copy", f"{output_host.NAME}.log:_truncate_value"


class Odd(dict[str, Any]):
    """A mapping of somebody's own."""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The log module with our patches on it; ``bare_cut`` is its own function."""
    with output_host.package(tmp_path) as host:
        monkeypatch.setattr(log_values, "CUTS", {digest(host.log._truncate_value): True})
        monkeypatch.setattr(log_values, "KEYS", {digest(host.log._truncate_key)})
        host.log.bare_cut = host.log._truncate_value
        rows = log_values.rows({"copy": COPY, "cut": CUT}, Probe(None))
        patches = PatchSet([Patch(target, "output", build) for target, build in rows])
        patches.start()
        assert {row.state for row in patches.rows} == {"applied"}, [row.reason for row in patches.rows]
        yield host.log
        patches.stop()
        assert host.log.copy is copy
        assert host.log._truncate_value is host.log.bare_cut


def grown(rng: random.Random, depth: int = 0) -> Any:
    """Data as a reply may hold it, and a little of what it cannot."""
    kind = rng.randrange(12 if depth < 4 else 7)
    if kind < 3:
        return rng.choice(("", "short", "x" * 29, "x" * 30, "x" * 31, "y" * 400))
    if kind < 7:
        return rng.choice((None, True, 3, 10**40, 1.5, float("inf"), -1e-300, (1, "t" * 40), Odd(a="b" * 40)))
    if kind < 9:
        return [grown(rng, depth + 1) for _ in range(rng.randrange(4))]
    made = {
        rng.choice(("a", "b", "sixsix", "seven77", "seven78", 5)): grown(rng, depth + 1) for _ in range(4)
    }
    return OrderedDict(made) if kind == 11 else made


def shape(value: Any) -> Any:
    """Everything that can be told of a value: classes, order, contents."""
    if isinstance(value, dict):
        return type(value), [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape(inner) for inner in value]
    return type(value), repr(value)


def containers(value: Any) -> list[int]:
    """The identities of all containers in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    return [] if inner is None else [id(value), *(one for each in inner for one in containers(each))]


def test_copies_and_cuts_are_the_hosts(log: Any) -> None:
    rng = random.Random(3)
    for _ in range(1500):
        value = grown(rng)
        before = shape(value)
        copied = log.copied(value)
        assert shape(copied) == before == shape(copy.deepcopy(value))
        if not isinstance(value, tuple):
            assert not set(containers(value)) & set(containers(copied)) or _has_tuple(value)
        other = copy.deepcopy(value)
        cut = log._truncate_value(copied)
        assert shape(cut) == shape(log.bare_cut(other))
        if isinstance(value, (dict, list)):
            assert cut is copied


def _has_tuple(value: Any) -> bool:
    if isinstance(value, tuple):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_has_tuple, inner))


def test_what_is_one_object_in_two_places_stays_one(log: Any) -> None:
    inner = ["one"]
    copied = log.copied({"a": inner, "b": inner})
    assert copied["a"] is copied["b"] is not inner
    looped: list[Any] = []
    looped.append(looped)
    copied = log.copied(looped)
    assert copied[0] is copied is not looped


def test_attributes_and_memos_reach_the_real_function(log: Any) -> None:
    ordered: Any = OrderedDict(a=1)
    ordered.extra = "kept"
    assert log.copied(ordered).extra == "kept"
    memo: dict[int, Any] = {}
    value = ["text"]
    assert log.copy.deepcopy(value, memo) == value
    assert id(value) in memo
    assert log.copy.copy is copy.copy


def test_limits_are_the_ones_of_the_moment(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "VALUE_MAX_LEN", 3)
    assert log._truncate_value(["abcd", None, 12345.5]) == ["abc...", "nul...", "123..."]
    monkeypatch.setattr(log, "KEY_MAX_LEN", 1)
    assert log._truncate_value({"ab": 1, "ac": 2}) == log.bare_cut({"ab": 1, "ac": 2}) == {"a": 2}
