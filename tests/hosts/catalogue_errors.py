"""Error turns: the formatted traceback becomes content, frame by frame."""

from collections.abc import Iterator

from generations import Generation
from scenario import Scenario, call, done, simple

DEEP = "\n".join(
    (
        "def deeper(depth, error):",
        "    if depth % 2:",
        "        return deeper(depth - 1, error)",
        "    if depth:",
        "        return [deeper(depth - 1, error)]",
        "    raise error",
        "",
    )
)
CHAINED = 'try:\n    {"a": 1}["b"]\nexcept KeyError as e:\n    raise Wrong("chained") from e'
CONTEXT = 'try:\n    {"a": 1}["b"]\nexcept KeyError:\n    raise Wrong("while handling")'


def scenarios(gen: Generation) -> list[Scenario]:
    return [*from_tools(gen), *from_lookup(gen), *from_extensions(gen), *from_subordinates(gen)]


def wrong(gen: Generation, kind: str) -> str:
    if kind == "critical":
        return "class Wrong(ValueError):\n    pass\n"
    return f"from {gen.errors_module} import RepairableException as Wrong\n"


def from_tools(gen: Generation) -> Iterator[Scenario]:
    for kind in ("repairable", "critical"):
        for what, body in (
            ("plain", 'journal.note("ran")\nraise Wrong("plain")'),
            ("deep", 'deeper(12, Wrong("deep"))'),
            ("very_deep", 'deeper(45, Wrong("very deep"))'),
            ("chained", CHAINED),
            ("context", CONTEXT),
            ("multiline", 'raise Wrong("one\\ntwo\\nthree")'),
            ("after_await", 'await asyncio.sleep(0)\nraise Wrong("later")'),
        ):
            name = f"tool_{kind}_{what}"
            files = {gen.tool_path(name): gen.tool(body, head=wrong(gen, kind) + DEEP)}
            yield simple(name, [call(name, text="1"), call("echo", text="after")], files)
    name = "tool_refuses_arguments"
    strict = gen.tool("return say(text)").replace("execute(self, **kwargs)", "execute(self, text)")
    yield simple(name, [call(name, wrong="1"), call(name, text="right")], {gen.tool_path(name): strict})
    name = "tool_critical_twice"
    files = {gen.tool_path(name): gen.tool('journal.note("ran")\nraise ValueError("always")')}
    yield simple(name, [call(name, text=str(n)) for n in range(4)], files)
    for where in ("before_execution", "after_execution"):
        name = f"tool_{where}_raises"
        extra = f"\n    async def {where}(self, *args, **kwargs):\n        raise ValueError('in {where}')\n"
        files = {gen.tool_path(name): gen.tool('journal.note("ran")\nreturn say("ran")') + extra}
        yield simple(name, [call(name, text="1"), call("echo", text="after")], files)
    name = "tool_returns_nothing"
    yield simple(name, [call(name, text="1")], {gen.tool_path(name): gen.tool("return None")})
    name = "tool_group"
    body = 'raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])'
    yield simple(name, [call(name, text="1")], {gen.tool_path(name): gen.tool(body)})


def from_lookup(gen: Generation) -> Iterator[Scenario]:
    for kind in ("repairable", "critical"):
        name = f"lookup_{kind}"
        init = "def __init__(self, *args, **kwargs):\n    deeper(3, Wrong('no instance'))\n"
        files = {gen.tool_path(name): gen.tool('return say("never")', wrong(gen, kind) + DEEP, fields=init)}
        yield simple(name, [call(name, text="1"), call("echo", text="after")], files)
        name = f"import_{kind}"
        files = {gen.tool_path(name): wrong(gen, kind) + DEEP + "deeper(3, Wrong('no import'))\n"}
        yield simple(name, [call(name, text="1"), call("echo", text="after")], files)


def from_extensions(gen: Generation) -> Iterator[Scenario]:
    points = ["monologue_start", "message_loop_start", "message_loop_prompts_before", "system_prompt"]
    points += ["response_stream", "message_loop_end", "monologue_end"]
    if gen.profiles:
        points += [
            "before_main_llm_call",
            "response_stream_chunk",
            "response_stream_end",
            "tool_execute_before",
        ]
        points += ["tool_execute_after", "hist_add_before", "hist_add_tool_result", "error_format"]
    for point in points:
        for kind in ("repairable", "critical"):
            name = f"raises_in_{point}_{kind}"
            # once only: some loops would begin again for ever
            body = 'if not FIRED:\n    FIRED.append(1)\n    deeper(2, Wrong("from an extension"))'
            sync = gen.extensible and point.startswith("hist_add")
            source = gen.extension(body, wrong(gen, kind) + DEEP + "FIRED = []\n", sync=sync)
            path = gen.extension_path(name, point, "_50_raises")
            yield simple(name, [call("echo", text="1"), call("echo", text="2")], {path: source})
    name = "raises_intervention_in_extension"
    body = 'if not FIRED:\n    FIRED.append(1)\n    raise InterventionException("x")'
    head = "from agent import InterventionException\nFIRED = []\n"
    path = gen.extension_path(name, "message_loop_prompts_before", "_50_raises")
    yield simple(name, [call("echo", text="1")], {path: gen.extension(body, head)})


def from_subordinates(gen: Generation) -> Iterator[Scenario]:
    for kind in ("repairable", "critical"):
        name = f"subordinate_{kind}"
        files = {gen.tool_path(name): gen.tool('deeper(4, Wrong("below"))', head=wrong(gen, kind) + DEEP)}
        asked = [
            call("call_subordinate", message="you"),
            call(name, text="1"),
            call(name, text="2"),
            done("sub"),
        ]
        yield simple(name, asked, files)
