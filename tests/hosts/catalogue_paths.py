"""Tools of profiles, users, projects and plugins; subordinates; the three ways v2 runs a tool."""

from collections.abc import Iterator

from generations import Generation
from scenario import Chat, Scenario, call, done, native, simple


def scenarios(gen: Generation) -> list[Scenario]:
    return [*overrides(gen), *subordinates(gen), *three_paths(gen)]


def roots(gen: Generation, scenario: str) -> dict[str, str]:
    found = {"profile": f"agents/{scenario}"} if gen.profiles else {}
    if gen.projects:
        found |= {
            "user": "usr",
            "user_profile": f"usr/agents/{scenario}",
            "project": "usr/projects/atlas/.a0proj",
            "project_profile": f"usr/projects/atlas/.a0proj/agents/{scenario}",
        }
    if gen.extensible:
        found |= {"plugin": "plugins/some_plugin", "user_plugin": "usr/plugins/other_plugin"}
    return found


def overrides(gen: Generation) -> Iterator[Scenario]:
    base, own = gen.tool('return say("default")'), gen.tool('return say("override")')
    for where in roots(gen, ""):
        name = f"override_{where}"
        path = gen.own_tool_path(roots(gen, name)[where], name)
        yield simple(
            name,
            [call(name, text=str(n)) for n in range(4)],
            {gen.tool_path(name): base},
            reply_1=[("project", "atlas")] if gen.projects else [],
            reply_2=[("write", path, own), *([("clear_all",)] if "plugin" in where else [])],
            reply_4=[("delete", path)],
        )
    if not gen.profiles:
        return
    for name, text in (("override_broken", "class (:\n"), ("override_without_class", "VALUE = 1\n")):
        files = {gen.tool_path(name): base, gen.own_tool_path(f"agents/{name}", name): text}
        yield simple(name, [call(name, text="1"), call(name, text="2")], files)
    name = "profile_switched"
    files = {gen.tool_path(name): base, gen.own_tool_path("agents/someone", name): own}
    yield simple(
        name,
        [call(name, text=str(n)) for n in range(3)],
        files,
        reply_2=[("profile", "someone")],
        reply_3=[("profile", "")],
    )


def subordinates(gen: Generation) -> Iterator[Scenario]:
    tool = gen.tool("return say((self.agent.agent_name, self.name))")
    yield simple(
        "subordinate",
        [
            call("call_subordinate", message="you do it"),
            call("subordinate", text="in the subordinate"),
            done("the subordinate's answer"),
            call("subordinate", text="in the superior"),
        ],
        {gen.tool_path("subordinate"): tool},
    )
    yield simple(
        "subordinate_of_subordinate",
        [
            call("call_subordinate", message="first"),
            call("call_subordinate", message="second"),
            call("echo", text="deep"),
            done("two"),
            call("echo", text="less deep"),
            done("one"),
            call("call_subordinate", message="again", reset="true"),
            done("new one"),
        ],
    )
    if gen.profiles:
        name = "subordinate_profile"
        files = {
            gen.tool_path(name): tool,
            gen.own_tool_path("agents/expert", name): gen.tool('return say("expert")'),
        }
        ask = call("call_subordinate", message="as an expert", profile="expert")
        yield simple(
            name, [call(name, text="1"), ask, call(name, text="2"), done("sub"), call(name, text="3")], files
        )


def three_paths(gen: Generation) -> Iterator[Scenario]:
    if not gen.three_paths:
        return
    old, new = gen.tool('return say("old")'), gen.tool('return say("new one")')

    def parallel(*tools: str) -> str:
        return call(
            "parallel",
            tool_calls=[{"tool_name": t, "tool_args": {"text": str(n)}} for n, t in enumerate(tools)],
        )

    name = "three_paths"
    path = gen.tool_path(name)
    replies = [
        native((name, {"text": "1"}), ("no_such_tool", {"text": "2"})),
        parallel(name, "echo", "no_such_tool"),
        call(name, text="text"),
        native((name, {"text": "3"})),
        parallel(name, name),
        call(name, text="text again"),
        done(),
    ]
    yield Scenario(name, [Chat(replies)], {path: old}, {"reply:4": [("write", path, new)]}, threads=True)

    boom = gen.tool('journal.note("ran", tool=self.name)\nraise ValueError("boom")')
    chat = Chat([parallel("parallel_raises", "echo"), native(("parallel_raises", {"text": "n"})), done()])
    yield Scenario("parallel_raises", [chat], {gen.tool_path("parallel_raises"): boom}, threads=True)
    asks = gen.tool('await models.signal(self.agent, "mid")\nreturn say("asked")')
    chat = Chat([native(("native_intervention", {"text": "n"})), native(("response", {"text": "bye"}))])
    events = {"signal:mid": [("intervene", "wait")]}
    yield Scenario("native_intervention", [chat], {gen.tool_path("native_intervention"): asks}, events)
    chat = Chat([native(("response", {"text": "bye"}))])
    yield Scenario("native_break_loop", [chat])
    yield Scenario("parallel_nested", [Chat([parallel("parallel"), done()])], threads=True)
    state = gen.tool("SEEN.append(1)\nreturn say(len(SEEN))", head="SEEN = []")
    chat = Chat([parallel(*["parallel_state"] * 3), done()])
    yield Scenario("parallel_state", [chat], {gen.tool_path("parallel_state"): state}, threads=True)
