"""Interventions, pauses and cancellation: nothing may be skipped, delayed or dropped."""

from collections.abc import Iterator

from generations import Generation
from scenario import Chat, Scenario, call, done, simple

WAITS = 'journal.note("tool starts")\nawait models.signal(self.agent, "mid")\njournal.note("tool ends")\n'


def scenarios(gen: Generation) -> list[Scenario]:
    return [*during_tools(gen), *during_streams(gen), *pauses(gen), *cancellation(gen), *several_chats(gen)]


def one_tool(gen: Generation, name: str, body: str, *actions: tuple, **more: list) -> Scenario:
    files = {gen.tool_path(name): gen.tool(body)}
    return simple(
        name, [call(name, text="1"), call("echo", text="after")], files, signal_mid=list(actions), **more
    )


def during_tools(gen: Generation) -> Iterator[Scenario]:
    stop = ("intervene", "stop that")
    yield one_tool(gen, "intervention_in_tool", WAITS + 'return say("result")', stop)
    yield one_tool(gen, "intervention_break_loop", WAITS + 'return say("final", last=True)', stop)
    raises = (
        'from agent import InterventionException\njournal.note("ran")\nraise InterventionException("mine")'
    )
    yield one_tool(gen, "intervention_raised_by_tool", raises)
    asks = WAITS + 'await self.agent.handle_intervention("so far")\nreturn say("result")'
    yield one_tool(gen, "intervention_asked_by_tool", asks, stop)
    yield one_tool(gen, "intervention_twice", WAITS + 'return say("result")', stop, ("intervene", "no, this"))
    yield one_tool(gen, "intervention_then_error", WAITS + 'raise ValueError("too late")', stop)
    if gen.projects:
        progress = 'self.add_progress("half way")\n' + WAITS + 'return say("result")'
        yield one_tool(gen, "intervention_with_progress", progress, stop)
    after = WAITS + 'return say("result")'
    override = "\n    async def after_execution(self, response, **kwargs):\n" + (
        '        await super().after_execution(response)\n        await models.signal(self.agent, "after")\n'
    )
    files = {gen.tool_path("intervention_after_execution"): gen.tool(after) + override}
    asked = [call("intervention_after_execution", text="1")]
    yield simple("intervention_after_execution", asked, files, signal_after=[stop])
    name = "intervention_in_subordinate"
    files = {gen.tool_path(name): gen.tool(WAITS + 'return say("result")')}
    asked = [
        call("call_subordinate", message="you"),
        call(name, text="1"),
        done("sub"),
        call("echo", text="main"),
    ]
    yield simple(name, asked, files, signal_mid=[stop])


def during_streams(gen: Generation) -> Iterator[Scenario]:
    asked = [call("echo", text="a text that needs several chunks"), call("echo", text="next")]
    yield simple("intervention_in_stream", asked, chunk_1_2=[("intervene", "stop")])
    keyed = {"chunk:1:2": [("intervene", "stop")], "chunk:2:1": [("intervene", "stop again")]}
    yield Scenario("intervention_at_chunks", [Chat([*asked, done()])], {}, keyed)
    yield simple("intervention_before_reply", asked, reply_1=[("intervene", "before the first")])
    chat = Chat(
        [call("echo", text="1"), done("one"), call("echo", text="2"), done("two")], messages=("a", "b")
    )
    yield Scenario("two_turns", [chat])


def pauses(gen: Generation) -> Iterator[Scenario]:
    resume = ("later", 0.05, "resume")
    yield one_tool(gen, "pause_in_tool", WAITS + 'return say("result")', ("pause",), resume)
    stop = ("later", 0.05, "intervene", "go on like this")
    yield one_tool(gen, "pause_then_intervention", WAITS + 'return say("result")', ("pause",), stop)
    asked = [call("echo", text="a text that needs several chunks")]
    keyed = {"chunk:1:2": [("pause",), resume]}
    yield Scenario("pause_in_stream", [Chat([*asked, done()])], {}, keyed)
    both = [Chat([*asked, call("echo", text="x"), done()]), Chat([*asked, done("b")], name="b", waits=True)]
    keyed = {"reply:1": [("start", "b")], "chunk:1:2": [("pause",), ("once_over", "b", "resume")]}
    yield Scenario("pause_one_of_two", both, {}, keyed)


def cancellation(gen: Generation) -> Iterator[Scenario]:
    raises = 'journal.note("ran")\nraise asyncio.CancelledError("from the tool")'
    yield one_tool(gen, "cancelled_error_in_tool", raises)
    waits = 'await models.signal(self.agent, "mid")\nawait asyncio.sleep(20)\nreturn say("never")'
    yield one_tool(gen, "cancelled_from_outside", waits, ("cancel",))
    yield one_tool(
        gen, "timeout_in_tool", 'await asyncio.wait_for(asyncio.sleep(20), 0.01)\nreturn say("never")'
    )


def several_chats(gen: Generation) -> Iterator[Scenario]:
    path = gen.tool_path("chats_share_tool")
    body = "await asyncio.sleep(0)\nSEEN.append(self.agent.context.name)\nreturn say(SEEN)"
    asked = [call("chats_share_tool", text=f"a text in chunks {n}") for n in range(4)]
    names = ("main", "b", "c")
    chats = [Chat([*asked, done(name)], name=name, waits=name != "main") for name in names]
    files = {path: gen.tool(body, head="SEEN = []")}
    yield Scenario("chats_share_tool", chats, files, {"reply:1": [("start", "b"), ("start", "c")]})

    asked = [call("echo", text=f"number {n} of a longer conversation") for n in range(12)]
    chats = [
        Chat([*asked, done(name)], name=name, thread="" if name == "main" else f"Loop-{name}")
        for name in names
    ]
    yield Scenario("two_threads", chats, threads=True)

    path = gen.tool_path("threads_share_tool")
    body = 'return say("old")'
    asked = [call("threads_share_tool", text=f"{n}") for n in range(8)]
    chats = [
        Chat([*asked, done(name)], name=name, thread="" if name == "main" else f"Loop-{name}")
        for name in names
    ]
    yield Scenario("threads_share_tool", chats, {path: gen.tool(body)}, threads=True)
