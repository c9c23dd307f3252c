"""Run by test_runtime.py in a fresh process: python runtime_process.py HOST_DIR CASE; tells in JSON."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
UNPATCHED = ("off", "absent")  # may share a target with a row that is applied


class Conversation:
    """The look-alike host, driven by hand."""

    def __init__(self, name: str) -> None:
        sys.path.insert(1, str(HERE / "hosts"))
        from generations import GENERATIONS

        self.package = GENERATIONS[name].package
        self.tools = GENERATIONS[name].tools
        for module in (
            "agent",
            "models",
            "initialize",
            f"{self.package}.defer",
            f"{self.package}.mcp_handler",
            GENERATIONS[name].memory_module,
        ):
            importlib.import_module(module)
        self.agent, self.models = sys.modules["agent"], sys.modules["models"]
        self.count = 0

    def say(self, replies: list[str], hook: Any = None, text: str = "go") -> str:
        """One chat, one message; ``hook`` is called before every reply."""

        class Script(self.models.Script):  # type: ignore[name-defined]
            async def before_reply(self, number: int) -> None:
                if hook is not None:
                    hook(number)

            async def before_chunk(self, number: int, index: int) -> None: ...

            async def signal(self, name: str) -> None: ...

        self.count += 1
        key = f"chat{self.count}"
        self.models.SCRIPTS[key] = Script(replies, 50)
        config = sys.modules["initialize"].initialize_agent(key)
        context = self.agent.AgentContext(config=config, id=key, name=key)
        message = self.agent.UserMessage(message=text)
        loop = sys.modules[f"{self.package}.defer"].EventLoopThread("AgentContext")

        async def communicate() -> Any:
            return context.communicate(message)

        return str(loop.run_coroutine(communicate()).result(20).result_sync(20))


def call(tool: str, **args: Any) -> str:
    return json.dumps({"tool_name": tool, "tool_args": args})


REPLIES = [
    call("echo", text="a"),
    call("echo", text="b"),
    call("echo", text="c"),
    call("response", text="done"),
]


def owners(targets: list[str]) -> dict[str, Any]:
    """The raw object behind each target, as it is now."""
    found = {}
    for target in targets:
        module, _, path = target.partition(":")
        owner: Any = sys.modules.get(module)
        *outer, name = path.split(".")
        for part in outer:
            owner = vars(owner).get(part) if owner is not None else None
        if owner is not None and name in vars(owner):
            found[target] = vars(owner)[name]
    return found


def own(raw: Any) -> Any:
    """What a decorator that is patched itself would have made of a function without us."""
    from autoperf.errors.fence import inside

    parts = inside(raw)
    return raw if parts is None else parts[1]


def copies(objects: dict[str, Any]) -> dict[str, Any]:
    """Every name in a module of the host that holds one of the objects."""
    wanted = {id(value) for value in objects.values()}
    return {
        f"{module.__name__}.{name}": value
        for module in list(sys.modules.values())
        if str(getattr(module, "__file__", "") or "").startswith(os.getcwd())
        for name, value in list(vars(module).items())
        if id(value) in wanted
    }


def main(host: Path, case: str) -> dict[str, Any]:
    import autoperf
    from autoperf.instrumentation.agentzero import detect

    layout = detect(Path.cwd())
    assert layout is not None
    targets = list(layout.targets())
    sys.path.insert(1, str(HERE / "hosts"))
    from introduction import introduce

    introduce(Path.cwd(), "helpers" if layout.extensible else "python.helpers")
    return {"after": after, "before": before, "running": running, "removed": removed, "threads": threads}[
        case
    ](host.name, autoperf, targets)


def same(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """The names under which the two hold different objects."""
    return [name for name in {*first, *second} if first.get(name) is not second.get(name)]


def after(name: str, autoperf: Any, targets: list[str]) -> dict[str, Any]:
    """Instrumented once the host is imported; undone; and all again."""
    talk = Conversation(name)
    talk.say(REPLIES)
    bare = owners(targets)
    bare_copies = copies(bare)
    told: dict[str, Any] = {"answers": [], "changed": [], "left": [], "copies_left": [], "counts": []}
    for _ in range(2):
        runtime = autoperf.instrument(os.getcwd())
        told["changed"].append(len(same(bare, owners(targets))))
        told["answers"].append(talk.say(REPLIES))
        snapshot = autoperf.status()
        from autoperf.insight.facts.patches import patches

        told["counts"].append([snapshot["lookups"]["tools"]["lookups"], patches(snapshot).wanted])
        told["snapshot"] = json.loads(json.dumps(snapshot))
        told["again"] = autoperf.instrument(os.getcwd()) is runtime
        autoperf.uninstrument()
        told["left"].append(same(bare, owners(targets)))
        told["copies_left"].append(same(bare_copies, copies(owners(targets))))
        told["none"] = autoperf.status() is None
        told["answers"].append(talk.say(REPLIES))
    told["finders"] = [type(f).__name__ for f in sys.meta_path if type(f).__module__.startswith("autoperf")]
    told["threads"] = [t.name for t in threading.enumerate() if "autoperf" in t.name]
    return told


def before(name: str, autoperf: Any, targets: list[str]) -> dict[str, Any]:
    """Instrumented before anything of the host is imported."""
    runtime = autoperf.instrument(os.getcwd())
    talk = Conversation(name)
    answer = talk.say(REPLIES)
    # Packages beside a look-alike are not there.
    rows = [row for row in runtime.patches.rows if not row.patch.foreign and row.state not in UNPATCHED]
    for target in targets:  # what the host imports only now and then
        with contextlib.suppress(ImportError):
            importlib.import_module(target.partition(":")[0])
    states = {row.patch.target: [row.state, row.reason] for row in rows}
    patched: dict[str, tuple[Any, Any]] = {}
    for row in runtime.patches.rows:
        if row.state == "applied":  # of two rows for one function the first has the host's own
            raw, _ = patched.get(row.patch.target, (row.raw, None))
            patched[row.patch.target] = raw, row.replacement
    now = owners(list(patched))
    stale = copies({target: raw for target, (raw, _) in patched.items() if not target.endswith(":importlib")})
    placed = [target for target, (_, replacement) in patched.items() if now[target] is replacement]
    autoperf.uninstrument()
    left = [target for target, raw in owners(list(patched)).items() if raw is not own(patched[target][0])]
    ours = copies({target: replacement for target, (_, replacement) in patched.items()})
    return {
        "answers": [answer, talk.say(REPLIES)],
        "states": states,
        "unpatched_copies": sorted(stale),
        "placed": len(placed) == len(patched),
        "left": left,
        "copies_left": sorted(ours),
    }


def running(name: str, autoperf: Any, targets: list[str]) -> dict[str, Any]:
    """Undone in the middle of a turn, and instrumented again in the middle of another."""
    talk = Conversation(name)
    for target in targets:  # what the host imports only during a turn has to be known bare as well
        with contextlib.suppress(ImportError):
            importlib.import_module(target.partition(":")[0])
    bare = owners(targets)
    autoperf.instrument(os.getcwd())
    answers = [talk.say(REPLIES, lambda number: autoperf.uninstrument() if number == 2 else None)]
    left = same(bare, owners(targets))
    answers.append(talk.say(REPLIES, lambda n: autoperf.instrument(os.getcwd()) if n == 2 else None))
    autoperf.uninstrument()
    return {"answers": answers, "left": [left, same(bare, owners(targets))]}


def removed(name: str, autoperf: Any, targets: list[str]) -> dict[str, Any]:
    """The host replaces one function we wrapped and takes another away while it runs."""
    talk = Conversation(name)
    runtime = autoperf.instrument(os.getcwd())
    answers = [talk.say(REPLIES)]
    agent = talk.agent.Agent

    async def own(self: Any, progress: str = "") -> None:
        return None

    agent.handle_intervention = own
    errors = sys.modules[f"{talk.package}.errors"]
    removed = vars(errors).pop("format_error")
    answers.append(talk.say(REPLIES))
    runtime.stop()
    states = {row.patch.target: row.state for row in runtime.patches.rows if row.state not in UNPATCHED}
    return {
        "answers": answers,
        "kept": vars(agent)["handle_intervention"] is own,
        "absent": "format_error" not in vars(errors) and removed is not None,
        "states": [states["agent:Agent.handle_intervention"], states[f"{talk.package}.errors:format_error"]],
    }


def threads(name: str, autoperf: Any, targets: list[str]) -> dict[str, Any]:
    """Which of our threads there are, and that none of them runs a loop or blocks the host's."""
    talk = Conversation(name)
    runtime = autoperf.instrument(os.getcwd())
    seen: set[str] = set()
    tasks: set[str] = set()

    def look(_: int) -> None:
        seen.add(threading.current_thread().name)
        coroutines = (task.get_coro() for task in asyncio.all_tasks())
        tasks.update(
            c.cr_code.co_filename for c in coroutines if "autoperf" in c.cr_code.co_filename.split(os.sep)
        )

    answer = talk.say(REPLIES, look)
    frames = {
        t.name: "asyncio" in str(sys._current_frames().get(t.ident or 0))
        for t in threading.enumerate()
        if t.name.startswith("autoperf")
    }
    runtime.stop()
    return {"answers": [answer], "host_threads": sorted(seen), "ours": frames, "tasks": sorted(tasks)}


if __name__ == "__main__":
    source = Path(sys.argv[1])
    root = Path(tempfile.mkdtemp(prefix="host-")).resolve()
    shutil.copytree(source, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    os.chdir(root)
    sys.path[0] = str(root)
    try:
        stdout, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115 - the host prints
        result = main(source, sys.argv[2])
        print(json.dumps(result), file=stdout, flush=True)  # nobody else flushes what sys.stdout was
    finally:
        os.chdir(HERE)
        shutil.rmtree(root, ignore_errors=True)
