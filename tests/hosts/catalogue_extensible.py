"""Start and end extensions of @extensible functions, those of get_tool and handle_intervention above all."""

from collections.abc import Iterator

from generations import Generation
from scenario import Scenario, call, simple

GET_TOOL = "agent/Agent/get_tool"
INTERVENTION = "agent/Agent/handle_intervention"
PROCESS = "agent/Agent/process_tools"
NOTE = 'data = kwargs["data"]\njournal.note("point", keys=sorted(data), agent=self.agent.agent_name if self.agent else None)\n'
REPLACED = 'old = data["result"]\nif old.name != "response":\n    data["result"] = type(old)(agent=old.agent, name="replaced", '
REPLACED += 'method="m", args=old.args, message="", loop_data=None)'
CLEARED = (
    'if data["exception"] and self.agent.data.get("name"):\n    journal.note("cleared", error=str(data["exception"]))\n'
    '    data["exception"] = None\n'
)


def scenarios(gen: Generation) -> list[Scenario]:
    if not gen.extensible:
        return []
    return [*around_get_tool(gen), *around_interventions(gen), *around_others(gen), *while_running(gen)]


def with_point(
    gen: Generation, name: str, function: str, when: str, body: str, sync: bool, *asked: str, **events
):
    path = gen.extension_path(name, gen.point(function, when), "_50_probe")
    head = "from agent import Agent\nfrom helpers.errors import InterventionException, RepairableException\n"
    files = {path: gen.extension(NOTE + body, head, sync=sync), gen.tool_path(name): tool(gen)}
    return simple(name, list(asked) or [call(name, text="1"), call("echo", text="2")], files, **events)


def tool(gen: Generation) -> str:
    return gen.tool('await models.signal(self.agent, "mid")\nreturn say((self.name, self.method, kwargs))')


def around_get_tool(gen: Generation) -> Iterator[Scenario]:
    not_last = 'if data["kwargs"]["name"] != "response":\n    '
    for name, when, body in (
        ("get_tool_start_watches", "start", ""),
        ("get_tool_start_renames", "start", not_last + 'data["kwargs"]["name"] = "echo"'),
        (
            "get_tool_start_new_kwargs",
            "start",
            not_last + 'data["kwargs"] = {**data["kwargs"], "method": "forced"}',
        ),
        ("get_tool_start_bad_args", "start", not_last + 'data["args"] = data["args"] + ("too many",)'),
        (
            "get_tool_start_result",
            "start",
            not_last + "from tools.echo import Echo\n"
            '    data["result"] = Echo(agent=self.agent, name="given", method=None, args={}, message="", loop_data=None)',
        ),
        ("get_tool_start_none", "start", not_last + 'data["result"] = None'),
        (
            "get_tool_start_exception",
            "start",
            not_last + 'data["exception"] = RepairableException("not this one")',
        ),
        ("get_tool_start_raises", "start", not_last + 'raise RepairableException("raised in start")'),
        ("get_tool_end_watches", "end", 'journal.note("found", tool=data["result"].name)'),
        ("get_tool_end_replaces", "end", REPLACED),
        (
            "get_tool_end_raises",
            "end",
            'if data["result"].name != "response":\n    raise ValueError("raised in end")',
        ),
        ("get_tool_end_unset", "end", 'if data["result"].name != "response":\n    del data["result"]'),
    ):
        yield with_point(gen, name, GET_TOOL, when, body, True)
    yield with_point(gen, "get_tool_start_awaitable", GET_TOOL, "start", "", False)
    name = "get_tool_end_rescues"
    rescue = 'from tools.echo import Echo\nif data["exception"]:\n    journal.note("rescued", error=str(data["exception"]))\n'
    rescue += '    data["exception"] = None\n    data["result"] = Echo(agent=self.agent, name="rescued", method=None, '
    rescue += 'args={}, message="", loop_data=None)'
    init = "def __init__(self, *args, **kwargs):\n    raise ValueError('no instance')\n"
    files = {
        gen.tool_path(name): gen.tool("return say('never')", fields=init),
        gen.extension_path(name, gen.point(GET_TOOL, "end"), "_50_probe"): gen.extension(
            NOTE + rescue, sync=True
        ),
    }
    yield simple(name, [call(name, text="1")], files)


def around_interventions(gen: Generation) -> Iterator[Scenario]:
    stop = [("intervene", "stop that")]
    for name, when, body in (
        ("intervention_start_watches", "start", ""),
        ("intervention_start_skips", "start", 'if self.agent.intervention:\n    data["result"] = "skipped"'),
        (
            "intervention_start_raises",
            "start",
            "if self.agent.intervention:\n    self.agent.intervention = None\n"
            '    raise RepairableException("instead of it")',
        ),
        (
            "intervention_start_sets",
            "start",
            'if self.agent.data.setdefault("n", 0) == 3:\n'
            '    data["exception"] = InterventionException("forced")\nself.agent.data["n"] += 1',
        ),
        (
            "intervention_start_progress",
            "start",
            'if self.agent.intervention:\n    data["args"] = (*data["args"][:1], "so far")',
        ),
        ("intervention_end_watches", "end", 'journal.note("after", error=str(data["exception"]))'),
        ("intervention_end_swallows", "end", 'data["exception"] = None'),
        ("intervention_end_result", "end", 'data["result"] = "ignored by everyone"'),
    ):
        yield with_point(gen, name, INTERVENTION, when, body, False, signal_mid=stop)


def around_others(gen: Generation) -> Iterator[Scenario]:
    yield with_point(
        gen, "process_tools_end", PROCESS, "end", 'journal.note("ended", result=data["result"])', False
    )
    name = "cancelled_skips_end"
    files = {
        gen.tool_path(name): gen.tool('raise asyncio.CancelledError("stop")'),
        gen.extension_path(name, gen.point(PROCESS, "end"), "_50_probe"): gen.extension(
            'journal.note("wrong")'
        ),
    }
    yield simple(name, [call(name, text="1")], files)
    yield with_point(
        gen,
        "system_prompt_end",
        "agent/Agent/get_system_prompt",
        "end",
        'data["result"] = ["replaced"]',
        False,
    )
    yield with_point(
        gen,
        "add_result_start",
        "agent/Agent/hist_add_tool_result",
        "start",
        'data["args"] = (data["args"][0], data["args"][1], "shortened")',
        True,
    )
    yield with_point(
        gen,
        "handle_exception_start",
        "agent/Agent/handle_exception",
        "start",
        'data["result"] = None',
        False,
        call("handle_exception_start", text="1"),
        signal_mid=[("intervene", "stop")],
    )


def while_running(gen: Generation) -> Iterator[Scenario]:
    """A point becomes non-empty: seen when the host forgets what it knew, not before."""
    for function, sync in ((GET_TOOL, True), (INTERVENTION, False), (PROCESS, False)):
        for when in ("start", "end"):
            name = f"appears_{function.rsplit('/', 1)[-1]}_{when}"
            path = gen.extension_path(name, gen.point(function, when), "_50_probe")
            text = gen.extension(NOTE, sync=sync)
            yield simple(
                name,
                [call("echo", text=str(n)) for n in range(5)],
                reply_2=[("write", path, text)],
                reply_3=[("clear", "extension_*")],
                reply_4=[("delete", path)],
                reply_5=[("clear_all",)],
            )
