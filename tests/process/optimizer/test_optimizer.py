"""The actions of `performance_optimizer` one by one: arguments, what they change, what they tell."""

from __future__ import annotations

import asyncio
import py_compile
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import AutoperfError, failures
from autoperf.insight.facts import Recommendation
from autoperf.instrumentation.agentzero import detect
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading.classes import Loaded
from autoperf.instrumentation.agentzero.tool import ACTIONS, NAME, Call, answering
from autoperf.memo.snapshot import Stamp
from autoperf.patching.patch import Switch, replacement
from autoperf.process.config import Config
from autoperf.process.optimizer import Action, Optimizer, caches, overview, tuning
from autoperf.process.optimizer.arguments import ArgumentError, is_set, names, number
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.optimizer.monitor import Monitoring
from autoperf.process.runtime import Runtime

HOSTS = Path(__file__).resolve().parents[2] / "hosts"


class Asking:
    """A tool object as the host makes it."""

    def __init__(self, method: str | None = None) -> None:
        self.method = method
        self.agent = types.SimpleNamespace(config=types.SimpleNamespace(profile=""), context=None)


def ask(action: str = "", method: str | None = None, **arguments: Any) -> Call:
    given = {"action": action, **arguments} if action else arguments
    return Call(Asking(method), given)


def made(host: str, home: Path, **options: Any) -> Runtime:
    layout = detect(HOSTS / host)
    assert layout is not None
    return Runtime(HOSTS / host, layout, Config(home=home, quiet=True, **options))


@pytest.fixture
def process(tmp_path: Path) -> Runtime:
    return made("v0_9_8", tmp_path / "state")


@pytest.fixture
def optimizer(process: Runtime) -> Optimizer:
    return Optimizer(process)


# -- what is asked for


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (ask("status"), "status"),
        (ask(" Clear-Cache "), "clear_cache"),
        (ask("start monitoring"), "start_monitoring"),
        (ask(method="status"), "status"),
        (ask("history", method="status"), "status"),
        (Call(Asking(), {"method": "status"}), "status"),
        (Call(Asking(), {"action": 5}), "5"),
        (Call(Asking(), {}), ""),
        (Call(object(), {}), ""),
    ],
)
def test_the_action_is_the_method_or_an_argument(call: Call, action: str) -> None:
    assert call.action == action
    assert "action" not in call.arguments


def test_the_hosts_arguments_stay_as_they_are() -> None:
    given = {"action": "status", "hours": 3}
    assert Call(Asking(), given).arguments == {"hours": 3}
    assert given == {"action": "status", "hours": 3}


@pytest.mark.parametrize(
    ("given", "value"),
    [(None, None), ("", None), (5, 5), ("5", 5), (" 2.5 ", 2.5), ("10 s", 10), ("10s", 10)],
)
def test_numbers(given: Any, value: float | None) -> None:
    assert number({"interval": given}, "interval", 1, 60) == value


@pytest.mark.parametrize("given", ["soon", 0.5, 61, "nan", True, [5], float("inf")])
def test_no_numbers(given: Any) -> None:
    with pytest.raises(ArgumentError, match="`interval` is a number from 1 to 60"):
        number({"interval": given}, "interval", 1, 60)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (None, []),
        ("", []),
        ("tools", ["tools"]),
        ("tools, code,tools", ["tools", "code"]),
        (["prompt folders", "yaml"], ["prompt folders", "yaml"]),
        ('["a", "b"]', ["a", "b"]),
    ],
)
def test_names(given: Any, value: list[str]) -> None:
    assert names({"which": given}, "which") == value


@pytest.mark.parametrize(
    "given", [5, {"a": 1}, [1], ["a", None], "../a", "a/b", "a;b", "[a", "x" * 81, ["a"] * 51]
)
def test_no_names(given: Any) -> None:
    with pytest.raises(ArgumentError, match="`which`"):
        names({"which": given}, "which")


def test_switches() -> None:
    assert [is_set({"undo": given}, "undo") for given in (True, "true", "1", 1, "Yes")] == [True] * 5
    assert [is_set({"undo": given}, "undo") for given in (False, "false", "0", 0, "", None)] == [False] * 6


# -- the table of actions


@pytest.mark.parametrize("action", ["", "nothing", "status; rm", "x" * 100, "`a`\n# b"])
def test_what_is_no_action_is_answered_with_those_there_are(optimizer: Optimizer, action: str) -> None:
    answer = optimizer.answer(ask(action))
    lines = answer.splitlines()
    assert lines[0].endswith("Give one of these as `action`:")
    assert [line.split("`")[1] for line in lines[1:]] == list(ACTIONS)
    assert len(lines[0]) < 120
    assert lines[0].count("`") in (2, 4), "what was asked for marks nothing up"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (ask("start_monitoring", interval="fast"), "`interval` is a number from 0.5 to 3600"),
        (ask("clear_cache", which="tolls"), "nothing is kept under tolls; there are tools, "),
        (ask("clear_cache", which="/etc/passwd"), "`which` holds names only"),
        (ask("preload"), "`tools` names the tools to make ready"),
        (ask("preload", tools="../agent"), "`tools` holds names only"),
        (ask("start_monitoring", interval=0.49), "`interval` is a number from 0.5 to 3600"),
        (ask("start_monitoring", interval=3601), "`interval` is a number from 0.5 to 3600"),
        (ask("history", hours=-1), "`hours` is a number"),
        (ask("history", hours=745), "`hours` is a number from 0.05 to 744"),
        (ask("profile", seconds=301), "`seconds` is a number from 1 to 300"),
        (ask("profile", seconds=1e9), "`seconds` is a number"),
    ],
)
def test_a_bad_argument_is_told_with_the_actions(optimizer: Optimizer, call: Call, problem: str) -> None:
    answer = optimizer.answer(call)
    assert answer.startswith(f"`{call.action}`: {problem}")
    assert f"- `{call.action}`" in answer


def test_what_fails_is_one_line_and_no_secret(optimizer: Optimizer, fail_open: None) -> None:
    def breaks(_call: Call) -> str:
        raise OSError("password=hunter2")

    optimizer.actions["status"] = Action(breaks, "")
    answer = optimizer.answer(ask("status"))
    assert answer == "`status` failed: OSError. Nothing else is affected; go on without it."
    assert failures.of(NAME) == 1


def test_what_cannot_be_read_is_said(optimizer: Optimizer) -> None:
    def lacks(_call: Call) -> str:
        raise AutoperfError("no traces in ~/x")

    optimizer.actions["history"] = Action(lacks, "")
    assert optimizer.answer(ask("history")) == "`history`: no traces in ~/x"


def test_no_answer_is_longer_than_40_lines(optimizer: Optimizer) -> None:
    optimizer.actions["status"] = Action(lambda call: "\n".join(map(str, range(100))), "")
    lines = optimizer.answer(ask("status")).splitlines()
    assert len(lines) == 40
    assert lines[-1] == "(61 more lines left out)"
    assert lines[-2] == "38"
    optimizer.actions["status"] = Action(lambda call: "\n".join(map(str, range(40))), "")
    assert optimizer.answer(ask("status")).splitlines() == list(map(str, range(40)))


def test_read_only(tmp_path: Path) -> None:
    process = made("v0_9_8", tmp_path, tool="read-only")
    optimizer = Optimizer(process)
    process.caches["tools"].keep("key", Loaded([]), Stamp((1,), 0), 0.0)
    refused = [a for a in ACTIONS if "is refused" in optimizer.answer(ask(a, seconds=1)).splitlines()[0]]
    assert refused == ["optimize", "undo", "start_monitoring", "stop_monitoring", "clear_cache", "preload"]
    assert [a for a in refused if f"`{a}`" in optimizer.answer(ask("nothing"))] == []
    assert process.caches["tools"].keys() == ["key"]
    assert not process.monitor.running
    for work in process.probe.at_stop:
        work()


# -- caches and the monitor


def test_preload_reads_and_compiles_and_runs_nothing(process: Runtime) -> None:
    before = set(sys.modules)
    answer = caches.preload(process, ask(tools="echo"))
    assert "python/tools/echo.py" in answer
    assert "echo" not in set(sys.modules) - before
    assert process.caches["tools"].keys() == []
    path = str(process.root / "python/tools/echo.py")
    process.code.code_of(path, lambda: compile("", path, "exec"))
    assert "its code is kept already" in caches.preload(process, ask(tools="echo"))
    process.caches["tools"].keep((path, object, True), Loaded([]), Stamp((1,), 0), 0.0)
    assert "its class is kept already" in caches.preload(process, ask(tools=["echo"]))


def test_preload_tells_what_it_had_to_do(tmp_path: Path) -> None:
    layout = detect(HOSTS / "v0_9_8")
    assert layout is not None
    tools = tmp_path / "host/python/tools"
    tools.mkdir(parents=True)
    for name in ("plain", "known"):
        (tools / f"{name}.py").write_text(f"NAME = {name!r}\n")
    py_compile.compile(str(tools / "known.py"))
    (tools / "broken.py").write_text("def f(:\n")
    (tools / "no_text.py").write_bytes(b"\xff\xfe\x00")
    process = Runtime(tmp_path / "host", layout, Config(home=tmp_path / "state", quiet=True))
    answer = caches.preload(process, ask(tools="plain, known, broken, no_text, gone"))
    rows = dict(re.findall(r"\| (\w+) \| [^|]+ \| ([^|]+) \|", answer))
    assert rows == {
        "tool": "state",
        "plain": "compiled now",
        "known": "compiled before, its .pyc was read",
        "broken": "cannot be compiled; its call will say why",
        "no_text": "cannot be compiled; its call will say why",
        "gone": "no file of that name",
    }


def test_preload_of_a_host_that_imports_its_tools_once(tmp_path: Path) -> None:
    answer = caches.preload(made("v0_8", tmp_path), ask(tools="echo"))
    assert "imported at its first call" in answer


def test_preload_without_the_cache_of_tools(tmp_path: Path) -> None:
    process = made("v0_9_8", tmp_path, features=frozenset({"trace"}))
    assert "the feature `tools` is off" in caches.preload(process, ask(tools="echo"))


def test_nothing_kept(process: Runtime) -> None:
    assert caches.clear_cache(process, ask()) == "Nothing was kept: nothing to drop."
    assert "| tools | 0 |" in caches.clear_cache(process, ask(which="tools"))
    assert caches.clear_cache(process, ask(which="all")).startswith("Nothing was kept")
    assert "| tools | 0 |" in caches.clear_cache(process, ask(which=" Tools "))


def test_what_was_dropped_is_told_by_name(process: Runtime) -> None:
    process.caches["tools"].keep("key", Loaded([]), Stamp((1,), 0), 0.0)
    process.probe.clearing["tools"] = [lambda: 3]
    process.probe.clearing["texts"] = [lambda: 2]
    assert caches.clear_cache(process, ask()).splitlines() == [
        "6 entries dropped; the next uses read them again.",
        "| what | entries dropped |",
        "| --- | ---: |",
        "| tools | 4 |",
        "| texts | 2 |",
    ]


def test_the_monitor_is_started_with_the_interval_and_stopped(process: Runtime) -> None:
    monitoring = Monitoring(process)
    try:
        for interval in (0.5, 3600):
            started = monitoring.start(ask(interval=interval))
            assert started.startswith(f"Monitor: a sample every {interval:g} s (before: ")
            assert (process.monitor.running, process.monitor.interval) == (True, interval)
        stopped = "Monitor: off (before: a sample every 3600 s), for 10 min at most."
        assert monitoring.stop(ask()) == stopped
        assert not process.monitor.running
        assert monitoring.start(ask()).startswith("Monitor: a sample every 3600 s (before: off")
    finally:
        process.monitor.stop()


# -- advice


def advise(monkeypatch: pytest.MonkeyPatch, *found: Recommendation) -> None:
    for module in (overview, tuning):
        monkeypatch.setattr(module, "recommendations_for", lambda runtime: list(found))


def advice(title: str, setting: tuple[str, str] | None = None) -> Recommendation:
    return Recommendation("rule", "medium", title, f"{title} | seen", "gains", f"do {title}", setting)


def test_advice_with_its_evidence(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    advise(monkeypatch)
    assert overview.advice(process, ask()) == "Nothing to recommend, by what was measured so far."
    advise(monkeypatch, *(advice(f"A{n}") for n in range(12)))
    lines = overview.advice(process, ask()).splitlines()
    assert lines[:3] == ["- **A0** (medium): A0 / seen", "  expect: gains", "  do: do A0"]
    assert lines[-1] == "(3 more; all: `autoperf advise`)"
    assert len(lines) <= 40


def test_what_is_ours_is_applied_and_taken_back(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = Optimizer(process)
    size, other = advice("Too small", ("tool_cache_size", "200")), advice("Torch")
    advise(monkeypatch, size, advice("Late", ("features", "+imports")), other)
    answer = optimizer.answer(ask("optimize"))
    assert "| tool_cache_size | 100 | 200 | Too small |" in answer
    assert "to keep the new ones: AUTOPERF_TOOL_CACHE_SIZE=200" in answer
    assert "- Torch (medium): do Torch" in answer
    assert "- Late (medium): do Late" in answer
    assert "- Too small" not in answer, "what was applied is not left to be done"
    assert process.caches["tools"].maxsize == 200
    # The counters it was made from still say so: it must not grow without end.
    advise(monkeypatch, advice("Too small", ("tool_cache_size", "400")))
    assert "changed here already, to 200" in optimizer.answer(ask("optimize"))
    assert process.caches["tools"].maxsize == 200
    assert "| tool_cache_size | 200 | 100 |" in optimizer.answer(ask("undo"))
    assert process.caches["tools"].maxsize == 100
    assert optimizer.answer(ask("undo")).startswith("Nothing to take back")


def test_undo_is_also_an_argument(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = Optimizer(process)
    advise(
        monkeypatch,
        advice("Old", ("extension_cache_ttl", "1200")),
        advice("Small", ("extension_cache_size", "80")),
    )
    optimizer.answer(ask("optimize"))
    assert (process.caches["extensions"].ttl, process.caches["extensions"].maxsize) == (1200, 80)
    assert "Taken back:" in optimizer.answer(ask("optimize", undo="true"))
    assert (process.caches["extensions"].ttl, process.caches["extensions"].maxsize) == (300, 50)


def test_nothing_to_optimize(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    advise(monkeypatch)
    assert Optimizer(process).answer(ask("optimize")).startswith("Nothing to optimize")


# -- what a model reads


def test_status_shows_no_text_of_a_failure(process: Runtime) -> None:
    failures.record("some seam", ValueError("token=sk-123"))
    answer = overview.status(process, ask())
    assert "failures of autoperf, each passed over: some seam (1)" in answer
    assert "sk-123" not in answer


def test_cells_are_one_line_without_marks() -> None:
    assert cell("a|b\n`c`") == "a/b\\n'c'"
    assert cell("x" * 100) == "x" * 57 + "..."
    assert cell(f"{Path.home()}/secret") == "~/secret"


def test_tables() -> None:
    assert table(("a", "b"), []) == []
    assert table(("a", "b"), [("1", "2"), ("3", "4")], 1) == [
        "| a | b |",
        "| --- | ---: |",
        "| 1 | 2 |",
        "(1 more)",
    ]


# -- the seam


class Tool:
    def __init__(self, agent: Any, name: str, method: str | None, **kwargs: Any) -> None:
        self.agent, self.name, self.method = agent, name, method
        self.args = kwargs.get("args")


class Response:
    def __init__(self, message: str, break_loop: bool) -> None:
        self.message, self.break_loop = message, break_loop


Unknown = type("Unknown", (Tool,), {"__module__": "tools.unknown"})


class Echoes:
    """Tells on which thread, and what it was asked."""

    def answer(self, call: Call) -> str:
        return f"{call.action} {call.arguments}"


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    probe = Probe(None)
    probe.root = str(tmp_path)
    probe.optimizer = Echoes
    return probe


def host(kind: Any) -> Any:
    def get_tool(self: Any, name: str, method: str | None = None, **kwargs: Any) -> Any:
        return kind(self, name, method, **kwargs)

    return get_tool


def looked_up(probe: Probe, kind: Any, name: str, method: str | None = None) -> Any:
    return replacement(host(kind), answering(probe), Switch())("agent", name, method=method, args={"x": 1})


def test_ours_is_a_tool_of_the_hosts_kind_with_everything_it_gave(probe: Probe) -> None:
    tool = looked_up(probe, Unknown, NAME, "status")
    assert isinstance(tool, Tool)
    assert not isinstance(tool, Unknown)
    assert vars(tool) == {"agent": "agent", "name": NAME, "method": "status", "args": {"x": 1}}
    assert type(looked_up(probe, Unknown, NAME)) is type(tool)
    response = asyncio.run(tool.execute(hours=3))
    assert (response.message, response.break_loop) == ("status {'hours': 3}", False)


def test_a_name_with_the_method_in_it(probe: Probe, tmp_path: Path) -> None:
    tool = looked_up(probe, Unknown, f"{NAME}:status")
    assert (tool.name, tool.method) == (NAME, "status")
    # With that name the host has not looked for its own.
    (tmp_path / "usr/plugins/one/tools").mkdir(parents=True)
    (tmp_path / f"usr/plugins/one/tools/{NAME}.py").touch()
    assert isinstance(looked_up(probe, Unknown, f"{NAME}:status"), Unknown)


@pytest.mark.parametrize("name", ["echo", f"{NAME}_2", f"my_{NAME}", "", f"server.{NAME}"])
def test_other_names_are_the_hosts(probe: Probe, name: str) -> None:
    assert isinstance(looked_up(probe, Unknown, name), Unknown)


def test_a_tool_that_the_host_found_stays(probe: Probe) -> None:
    assert type(looked_up(probe, Tool, NAME)) is Tool
    # A tool of a user's own may have that class name.
    assert type(looked_up(probe, type("Unknown", (Tool,), {}), NAME)).__module__ == __name__


def test_without_what_answers_it_is_the_hosts(probe: Probe) -> None:
    probe.optimizer = None
    assert isinstance(looked_up(probe, Unknown, NAME), Unknown)


def test_what_else_is_done_at_the_seam_sees_the_tool_of_the_end(probe: Probe) -> None:
    seen = []

    def around(original: Any, switch: Switch) -> Any:
        def get_tool(call: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(call(*args, **kwargs))
            return seen[-1]

        return get_tool

    get_tool = replacement(host(Unknown), answering(probe, around), Switch())
    for name in (NAME, "echo"):
        found = get_tool("agent", name=name)
        assert found is seen[-1]
    assert [isinstance(tool, Unknown) for tool in seen] == [False, True]


def test_a_host_that_cannot_find_any_tool_raises_as_ever(probe: Probe) -> None:
    def get_tool(self: Any, name: str) -> Any:
        raise KeyError(name)

    with pytest.raises(KeyError):
        replacement(get_tool, answering(probe), Switch())("agent", NAME)


def test_a_seam_switched_off_is_the_hosts_alone(probe: Probe) -> None:
    switch = Switch()
    get_tool = replacement(host(Unknown), answering(probe), switch)
    assert not isinstance(get_tool("agent", NAME), Unknown)
    switch.on = False
    assert isinstance(get_tool("agent", NAME), Unknown)


def test_an_answer_that_fails_is_one_line(probe: Probe, fail_open: None) -> None:
    def broken() -> Any:
        raise ImportError("no page")

    probe.optimizer = broken
    response = asyncio.run(looked_up(probe, Unknown, NAME).execute(action="status"))
    assert response.message == f"{NAME} could not answer: ImportError. Go on without it."


def test_a_tool_that_outlives_us_says_so(probe: Probe) -> None:
    tool = looked_up(probe, Unknown, NAME)
    probe.optimizer = None
    assert asyncio.run(tool.execute(action="status")).message == f"{NAME} is switched off"


def test_it_answers_off_the_loop(probe: Probe) -> None:
    import threading

    class Where:
        def answer(self, call: Call) -> str:
            return str(threading.get_ident() == call.thread)

    probe.optimizer = Where
    assert asyncio.run(looked_up(probe, Unknown, NAME).execute()).message == "False"
