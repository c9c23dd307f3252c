"""The benchmark of `performance_optimizer`: in turns, on the host's own code, and nothing else runs."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf.optimizer import trial
from autoperf.optimizer.bare import bare_namespace, rebound
from autoperf.optimizer.trial import Pair, timing
from autoperf.patching import Patch, PatchSet


class Watch:
    """A clock that only work moves on, by 1,000 ns a call of the bare one and 100 of ours."""

    def __init__(self) -> None:
        self.now = 0
        self.order: list[str] = []

    def __call__(self) -> int:
        return self.now

    def pair(self) -> Pair:
        def work(name: str, ns: int) -> Any:
            def run() -> None:
                self.now += ns
                self.order.append(name)

            return run

        return Pair("a look-up", work("bare", 1000), work("ours", 100))


def test_both_are_timed_in_turns_and_each_is_first_as_often() -> None:
    watch = Watch()
    found = timing(watch.pair(), 0.02, watch, watch)
    assert set(found.bare_ns) == {1000.0}
    assert set(found.ours_ns) == {100.0}
    batches = [name for name, before in zip(watch.order[7:], watch.order[6:], strict=False) if name != before]
    assert found.calls == len(watch.order) - 7, "the calls to warm up are not timed"
    assert found.calls == 2 * 2000 * len(found.bare_ns)
    # bare ours | ours bare | bare ours: where two meet, they are one to the eye.
    assert batches == ["ours", "bare"] * (len(batches) // 2) + ["ours"] * (len(batches) % 2)
    assert len(batches) == len(found.bare_ns)


def test_it_ends_in_time_and_has_at_least_one_round() -> None:
    watch = Watch()
    found = timing(watch.pair(), 0.0, watch, watch)
    assert (len(found.bare_ns), len(found.ours_ns)) == (1, 1)


def test_a_batch_of_what_is_slow_is_a_single_call() -> None:
    watch = Watch()

    def slow() -> None:
        watch.now += 50_000_000

    found = timing(Pair("slow", slow, slow), 0.0, watch, watch)
    assert found.calls == 2


SOURCE = """\
import importlib

COUNT = 0

def inner(text, mark="!"):
    return "host's " + text + mark

def outer(text, *, mark="!"):
    return inner(text, mark)

def loads(name):
    return importlib.import_module(name)

def late():
    from package import part, other
    return part.inner("x"), other
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "part.py").write_text(SOURCE)
    (package / "other.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("package", "package.part", "package.other"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.import_module("package.other")
    yield importlib.import_module("package.part")
    for name in ("package", "package.part", "package.other"):
        sys.modules.pop(name, None)


def patched(host: Any) -> PatchSet:
    def build(original: Any, switch: Any) -> Any:
        def inner(text: str, mark: str = "!") -> str:
            return "ours " + text + mark

        return inner

    patches = PatchSet(
        [
            Patch("package.part:inner", "x", build),
            Patch("package.part:importlib", "x", lambda original, switch: types.SimpleNamespace()),
        ]
    )
    patches.start()
    return patches


def test_bare_functions_call_each_other_and_the_module_stays_patched(host: Any) -> None:
    patches = patched(host)
    try:
        assert host.outer("x") == "ours x!"
        bare = bare_namespace(host, patches.rows)
        assert bare["inner"]("x") == "host's x!"
        assert bare["outer"]("x", mark="?") == "host's x?"
        assert bare["outer"]("x") == "host's x!"
        assert bare["loads"]("json").__name__ == "json"
        assert host.outer("x") == "ours x!"
        bare["COUNT"] = 5
        assert host.COUNT == 0
        # The wrapper itself is of another module.
        assert bare_namespace(host, [])["inner"]("x") == "ours x!"
    finally:
        patches.stop()


def test_what_a_bare_function_imports_when_it_is_called(host: Any) -> None:
    patches = patched(host)
    try:
        assert bare_namespace(host, patches.rows)["late"]()[0] == "ours x!"
        others = {"package.part": bare_namespace(host, patches.rows)}
        inner, other = bare_namespace(host, patches.rows, others)["late"]()
        assert (inner, other) == ("host's x!", sys.modules["package.other"])
    finally:
        patches.stop()


def test_a_function_bound_to_other_names() -> None:
    def adds(a: int, *, b: int = 2) -> int:
        return a + b + OFFSET  # type: ignore[name-defined,no-any-return]  # noqa: F821

    assert rebound(adds, {"OFFSET": 10})(1) == 13


def test_it_ends_within_two_seconds() -> None:
    assert trial.SECONDS <= 2
