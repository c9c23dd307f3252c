"""The tool `performance_optimizer`: under its name where the host has none, and in the prompt on request."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from autoperf.errors import class_name, fail_open, guarded
from autoperf.errors.fence import fenced
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading.places import profile_of, tool_files
from autoperf.patching.patch import Switch, wrapping
from autoperf.patching.sources import expect_method

NAME: Final = "performance_optimizer"
ACTIONS: Final = (
    "status",
    "recommendations",
    "optimize",
    "undo",
    "start_monitoring",
    "stop_monitoring",
    "clear_cache",
    "preload",
    "benchmark",
    "profile",
    "history",
    "report",
)
_NAME_LENGTH: Final = 100
_TOOLS_PROMPT: Final = "agent.system.tools.md"
_PURPOSE: Final = (
    "measures and tunes the process this agent runs in: hit rates, slow tools, memory, stalls; "
    "only for questions about speed"
)
DESCRIPTION: Final = (
    f"### {NAME}\n{_PURPOSE}\nargs: `action` {'|'.join(ACTIONS)}; "
    "some take `which` `tools` `interval` `hours` `seconds`\n"
    f'~~~json\n{{"tool_name": "{NAME}", "tool_args": {{"action": "status"}}}}\n~~~'
)

Wrapper = Callable[..., Any]
Build = Callable[[Any, Switch], Any]


class Optimizer(Protocol):
    """What carries the actions out; see `autoperf.process.optimizer`."""

    def answer(self, call: Call) -> str:
        """The result of one call, short Markdown; takes its time, so not on an event loop."""


class Call:
    """One call of the tool: what the model asked for, by whom and on which thread.

    ``arguments`` are as they came, ``action`` is taken from the method or from them.
    """

    __slots__ = ("action", "agent", "arguments", "thread")

    def __init__(self, tool: Any, arguments: Mapping[str, Any]) -> None:
        self.agent = getattr(tool, "agent", None)
        self.arguments = dict(arguments)
        method = getattr(tool, "method", None)
        given = self.arguments.pop("action", None) or self.arguments.pop("method", None)
        # This runs on the event loop: a text as long and deep as the model likes is looked at no further.
        asked = next((one for one in (method, given) if one and isinstance(one, (str, int))), "")
        name = str(asked)[:_NAME_LENGTH] if isinstance(asked, str) or abs(asked) < _NAME_LENGTH else ""
        self.action = name.strip().lower().replace("-", "_").replace(" ", "_")
        self.thread = threading.get_ident()

    def message_is_over(self) -> bool:
        """Whether the agent's chat has nothing to do at this moment."""
        task = getattr(getattr(self.agent, "context", None), "task", None)
        ready = getattr(task, "is_ready", None)
        return bool(ready()) if callable(ready) else task is None


def answering(probe: Probe, around: Build | None = None) -> Build:
    """For ``Agent.get_tool(name, ...)``: where the host finds no tool of our name, ours.

    ``around`` is what else there is to do at the seam; it sees the tool that the host gets in the end.
    """

    def build(original: Any, switch: Switch) -> Any:
        expect_method(original)

        def get_tool(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            found = call(*args, **kwargs)
            if _is_unknown(found):
                name = kwargs["name"] if "name" in kwargs else args[1]
                if isinstance(name, str) and name.partition(":")[0] == NAME:
                    return _instead_of(probe, found, args[0], name)
            return found

        if around is None:
            return get_tool
        inner, seen = fenced(NAME, original, switch, get_tool), around(original, switch)

        def get_tool_seen(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            return seen(call.via(inner), *args, **kwargs)

        return get_tool_seen

    return build


def _instead_of(probe: Probe, found: Any, agent: Any, name: str) -> Any:
    # One of the host's wins, also where its file is broken, or was looked for under a name with a method.
    if probe.optimizer is None or _host_has_one(probe, agent):
        return found
    base = next((kind for kind in type(found).__mro__ if kind.__name__ == "Tool"), None)
    if base is None:
        return found
    # Everything that the host gave its own object, whatever the constructor of this generation takes.
    ours: Any = object.__new__(_tool_class(probe, base))
    vars(ours).update(vars(found))
    if ":" in name:
        ours.name, _, method = name.partition(":")
        ours.method = getattr(ours, "method", None) or method
    return ours


def _is_unknown(tool: Any) -> bool:
    kind = type(tool)
    return kind.__name__ == "Unknown" and kind.__module__.rpartition(".")[2] == "unknown"


def _host_has_one(probe: Probe, agent: Any) -> bool:
    return bool(tool_files(probe.root, NAME, profile_of(agent)))


def _tool_class(probe: Probe, base: type) -> type:
    """A tool of the host's kind; made once for each class of the host's that it derives from."""
    known = probe.tool_classes.get(base)
    if known is None:
        response = sys.modules[base.__module__].Response

        async def execute(self: Any, /, **kwargs: Any) -> Any:
            return response(message=await _answer(probe, self, kwargs), break_loop=False)

        fields = {"__module__": __name__, "__doc__": __doc__, "execute": execute}
        known = probe.tool_classes[base] = type("PerformanceOptimizer", (base,), fields)
    return known


async def _answer(probe: Probe, tool: Any, arguments: Mapping[str, Any]) -> str:
    def work(call: Call) -> str:
        optimizer = probe.optimizer() if probe.optimizer is not None else None
        return f"{NAME} is switched off" if optimizer is None else optimizer.answer(call)

    try:
        return await asyncio.to_thread(work, Call(tool, arguments))
    except Exception as error:
        fail_open(NAME, error)
        return f"{NAME} could not answer: {class_name(error)}. Go on without it."


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """With `AUTOPERF_TOOL=advertise`: ``prompt`` reads prompt files, ``functions`` lists native functions."""
    if probe.tool_mode != "advertise":
        return
    if "prompt" in targets:
        yield targets["prompt"], wrapping(_prompt(probe))
    if "functions" in targets:
        yield targets["functions"], wrapping(_functions(probe))


def _prompt(probe: Probe) -> Wrapper:
    """For ``Agent.read_prompt(file, **kwargs)``: the list of tools gets one more.

    From v0.9.9 on the list is an argument, which a template may put something behind.
    """

    def read_prompt(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
        file = kwargs["file"] if "file" in kwargs else args[0] if args else None
        if file != _TOOLS_PROMPT or not _wanted(probe, instance):
            return wrapped(*args, **kwargs)
        listed = kwargs.get("tools")
        if isinstance(listed, str):
            if NAME not in listed:
                kwargs = {**kwargs, "tools": f"{listed}\n\n{DESCRIPTION}"}
            return wrapped(*args, **kwargs)
        text = wrapped(*args, **kwargs)
        return f"{text}\n\n{DESCRIPTION}" if isinstance(text, str) and NAME not in text else text

    return read_prompt


def _functions(probe: Probe) -> Wrapper:
    """For ``build_responses_function_tools(agent)`` (v2.0 on): functions, and their names to the host's."""

    def build_responses_function_tools(wrapped: Wrapper, _instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        with guarded(NAME):
            tools, host_names = result
            agent = kwargs["agent"] if "agent" in kwargs else args[0]
            if NAME not in host_names and _wanted(probe, agent):
                return [*tools, function_tool()], {**host_names, NAME: NAME}
        return result

    return build_responses_function_tools


def _wanted(probe: Probe, agent: Any) -> bool:
    with guarded(NAME):
        return probe.optimizer is not None and not _host_has_one(probe, agent)
    return False


def function_tool() -> dict[str, Any]:
    """The tool as a function of the Responses API; its definition too is at most 150 tokens long."""
    free = {name: {"type": "string"} for name in ("which", "tools", "interval", "hours")}
    return {
        "type": "function",
        "name": NAME,
        "description": _PURPOSE,
        "parameters": {
            "type": "object",
            "properties": {"action": {"enum": list(ACTIONS)}, **free},
        },
    }
