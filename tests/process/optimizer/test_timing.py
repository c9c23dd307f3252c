"""The benchmark of `performance_optimizer`: in turns, on the host's own code, and nothing else runs."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors.fence import View
from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import Stamp
from autoperf.patching.patch import Patch, PatchSet
from autoperf.process.optimizer import timing as trial
from autoperf.process.optimizer.bare import bare_namespace, rebound
from autoperf.process.optimizer.timing import Pair, Timed, timing


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
        def inner(call: Any, text: str, mark: str = "!") -> str:
            return "ours " + text + mark

        return inner

    patches = PatchSet(
        [
            Patch("package.part:inner", "x", build),
            Patch("package.part:importlib", "x", lambda original, switch: View({})),
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


def test_the_table_says_how_many_times_as_long_the_bare_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise AssertionError("timing is made up here")

    asked: list[float] = []

    def made_up(pair: Pair, seconds: float) -> Timed:
        asked.append(seconds)
        return {
            "class of echo.py": Timed(
                pair.what, (90_000.0, 100_000.0, 400_000.0), (9_000.0, 10_000.0, 11_000.0), 4906
            ),
            "paths of a tool": Timed(pair.what, (4_000.0,), (8_000.0,), 2),
        }[pair.what]

    monkeypatch.setattr(trial, "_tools", lambda runtime: [Pair("class of echo.py", nothing, nothing)])
    monkeypatch.setattr(trial, "_paths", lambda runtime, agent: [Pair("paths of a tool", nothing, nothing)])
    monkeypatch.setattr(trial, "_points", lambda runtime, agent: [])
    monkeypatch.setattr(trial, "timing", made_up)
    call: Any = types.SimpleNamespace(agent=None)
    runtime: Any = None
    lines = trial.benchmark(runtime, call).splitlines()
    assert lines[:4] == [
        "| look-up | bare | with autoperf | bare / autoperf | calls |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| class of echo.py | 100.0 us | 10.0 us | 10.0x | 4,906 |",
        "| paths of a tool | 4.0 us | 8.0 us | 0.5x | 2 |",
    ]
    assert lines[4].startswith("CPU time of a call, median of 1 to 3 rounds in turns")
    assert asked == [trial.SECONDS / 2] * 2, "all of it together takes no longer"
    monkeypatch.setattr(trial, "_tools", lambda runtime: [])
    monkeypatch.setattr(trial, "_paths", lambda runtime, agent: [])
    assert trial.benchmark(runtime, call).startswith("Nothing can be timed yet")


def test_classes_that_may_be_loaded_again_unnoticed_the_latest_first() -> None:
    class Found:
        pass

    def kept(*classes: type, reusable: bool = True) -> Any:
        return types.SimpleNamespace(classes=list(classes), reusable=lambda: reusable)

    cache: Cache[Any] = Cache(10, 300.0)
    for key, value in (
        (("first.py", Found), kept(Found)),
        (("holds_state.py", Found), kept(Found, reusable=False)),
        (("none.py", Found), kept()),
        ("no arguments", kept(Found)),
        (("second.py", Found), kept(Found)),
    ):
        cache.keep(key, value, Stamp((1,), 0), 0.0)
    assert [key[0] for key in trial._keys(cache, shared=False)] == ["second.py", "first.py"]
    # A host that shares its modules executes nothing again.
    shared = [key[0] for key in trial._keys(cache, shared=True)]
    assert shared == ["second.py", "holds_state.py", "first.py"]


def test_a_look_up_that_waits_is_no_empty_point() -> None:
    async def waits() -> None:
        await Pause()

    class Pause:
        def __await__(self) -> Any:
            yield

    async def answers() -> int:
        return 5

    trial._driven(answers())
    with pytest.raises(RuntimeError, match="waited for something"):
        trial._driven(waits())


def test_it_ends_within_two_seconds() -> None:
    assert trial.SECONDS <= 2
