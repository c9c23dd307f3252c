"""Messages of a request: what is sent is what openai would have made of them."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.clients import known_sources as known
from autoperf.instrumentation.clients import openai_requests
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests.seam import module_of

# openai's in small: a type is a dictionary of field types, an alias where there is a second name; a tuple
# is a union, a list of one type is a list of it.
SOURCE = """
visited = []

class Given:
    pass

def is_given(value):
    return not isinstance(value, Given)

def is_base64_file_input(value):
    return False

def _maybe_transform_key(key, kind):
    return getattr(kind, "alias", key)

async def _async_format_data(data):
    return data

async def _async_transform_typeddict(data, kind):
    result = {}
    for key, value in data.items():
        if not is_given(value):
            continue
        field = kind.get(key)
        if field is None:
            result[key] = value
        else:
            made = await _async_transform_recursive(value, annotation=field)
            result[_maybe_transform_key(key, field)] = made
    return result

async def _async_transform_recursive(data, *, annotation, inner_type=None):
    visited.append(data)
    kind = annotation if inner_type is None else inner_type
    if isinstance(kind, dict) and isinstance(data, dict):
        return await _async_transform_typeddict(data, kind)
    if isinstance(kind, list) and isinstance(data, list):
        return [await _async_transform_recursive(d, annotation=annotation, inner_type=kind[0]) for d in data]
    if isinstance(kind, tuple):
        for one in kind:
            data = await _async_transform_recursive(data, annotation=annotation, inner_type=one)
        return data
    if isinstance(data, bytes):
        return data.decode()
    if kind == "loud":
        return data.upper()
    return data
"""


class Named(str):
    alias = "renamed"


MESSAGE = ({"role": "str", "content": ("str", [{"text": "str"}])}, {"role": "str", "odd_name": Named("str")})
BODY = {"loudly": [{"said": "loud"}], "messages": [MESSAGE], "model": "str", "metadata": "str"}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    module: Any = module_of("openai._utils._transform", SOURCE)
    monkeypatch.setitem(sys.modules, "openai._utils._transform", module)
    table = {f"{module.__name__}:{name}": "" for name in RELIED_ON}
    monkeypatch.setitem(
        known.RELIED_ON, "openai requests",
        {name: digest(getattr(module, name.partition(":")[2]))[:16] for name in table},
    )  # fmt: skip
    memo = SimpleNamespace(hits=0, misses=0)
    patches = PatchSet([Patch(openai_requests.TARGET, "client", openai_requests.transforming(memo))])
    yield SimpleNamespace(module=module, memo=memo, patches=patches)
    patches.stop()


RELIED_ON = (
    "_async_transform_recursive", "_async_transform_typeddict", "_async_format_data", "_maybe_transform_key",
    "is_given", "is_base64_file_input",
)  # fmt: skip


def made(module: ModuleType, data: Any, kind: Any = BODY) -> Any:
    transform: Any = module._async_transform_recursive  # type: ignore[attr-defined]
    return asyncio.run(transform(data, annotation=kind))


def conversation(count: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(count)]
    return {"model": "m", "messages": messages}


def spelled(value: Any) -> str:
    return repr(value)


BODIES = {
    "plain": conversation(8),
    "renamed": {"messages": [{"role": "a", "odd_name": str(n)} for n in range(4)]},
    "other order": {"messages": [{"odd_name": "x", "role": "a"}, {"role": "a", "odd_name": "x"}] * 2},
    "unknown keys": {"messages": [{"role": "a", "more": None, "n": 1.5, "b": True}] * 3},
    "clash": {"messages": [{"odd_name": "first", "renamed": "second"}] * 3},
    "parts": {"messages": [{"role": "a", "content": [{"text": "t"}, {"text": "u", "type": "x"}]}] * 3},
    "not plain": {"messages": [{"role": b"raw", "content": "x"}, {"role": "r", "content": "x"}] * 2},
    "values changed": {"loudly": [{"said": "a"}, {"said": "b"}]},
    "empty": {"messages": [{}, {}], "model": ""},
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_sent_is_the_same(host: SimpleNamespace, name: str) -> None:
    bare = made(host.module, BODIES[name])
    host.patches.start()
    for _ in range(3):
        assert spelled(made(host.module, BODIES[name])) == spelled(bare)


def test_later_messages_are_copied(host: SimpleNamespace) -> None:
    host.patches.start()
    made(host.module, conversation(2))
    host.module.visited.clear()
    sent = conversation(30)
    result = made(host.module, sent)
    # The body and its list; nothing of the messages.
    assert not any(isinstance(data, str) and data.startswith("message") for data in host.module.visited)
    assert host.memo.hits == 31
    assert all(a is not b and a == b for a, b in zip(result["messages"], sent["messages"], strict=True))


def test_what_is_not_given_is_left_out_every_time(host: SimpleNamespace) -> None:
    host.patches.start()
    with_it = {"role": "r", "content": host.module.Given()}
    for message, expected in (
        (with_it, {"role": "r"}),
        ({"role": "r", "content": "c"}, None),
        (with_it, {"role": "r"}),
    ):
        assert made(host.module, {"messages": [message]})["messages"] == [expected or message]


def test_one_type_is_not_taken_for_another(host: SimpleNamespace) -> None:
    host.patches.start()
    message = {"role": "r", "odd_name": "x"}
    for _ in range(2):
        assert list(made(host.module, message, {"role": "str"})) == ["role", "odd_name"]
        assert list(made(host.module, message, MESSAGE)) == ["role", "renamed"]
        assert made(host.module, message, "str") is message


def test_where_a_part_was_replaced_openai_does_it(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.patches.start()
    made(host.module, conversation(2))
    monkeypatch.setattr(host.module, "_maybe_transform_key", lambda key, _kind: key.upper())
    assert list(made(host.module, conversation(2))["MESSAGES"][0]) == ["ROLE", "CONTENT"]


def test_another_version_is_left_alone(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.RELIED_ON["openai requests"], "openai._utils._transform:is_given", "0" * 16)
    host.patches.start()
    assert [row.state for row in host.patches.rows] == ["unrecognised"]
    assert host.module._async_transform_recursive.__code__.co_filename != openai_requests.__file__


def test_taken_back(host: SimpleNamespace) -> None:
    original = host.module._async_transform_recursive
    host.patches.start()
    made(host.module, conversation(2))
    host.patches.stop()
    assert host.module._async_transform_recursive is original


def test_what_is_learnt_from_a_replaced_part_is_not_kept(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.patches.start()
    with monkeypatch.context() as patch:
        patch.setattr(host.module, "_maybe_transform_key", lambda key, _kind: key.upper())
        made(host.module, {"role": "r"}, {"role": "str"})
    kind = {"role": "str"}
    with monkeypatch.context() as patch:
        patch.setattr(host.module, "_maybe_transform_key", lambda key, _kind: key.upper())
        assert made(host.module, {"role": "r"}, kind) == {"ROLE": "r"}
    assert made(host.module, {"role": "r"}, kind) == {"role": "r"}


def test_a_type_that_is_known_lives_on(host: SimpleNamespace) -> None:
    """Another one in its place could have the same id, by which it is found."""

    class Kind(dict):  # type: ignore[type-arg]
        pass

    host.patches.start()
    kind = Kind(role="str")
    made(host.module, {"role": "r"}, kind)
    known = weakref.ref(kind)
    del kind
    gc.collect()
    assert known() is not None


def test_what_was_replaced_since_is_told_as_long_as_it_is(host: SimpleNamespace) -> None:
    host.patches.start()
    row = host.patches.rows[0].as_row
    for _ in range(2):
        made(host.module, conversation(3))
    assert row()["state"] == "applied"
    known_one, host.module.is_given = host.module.is_given, lambda _value: True
    made(host.module, conversation(3))
    assert row()["state"] == "unrecognised"
    host.module.is_given = known_one
    made(host.module, conversation(3))
    assert row()["state"] == "applied"
