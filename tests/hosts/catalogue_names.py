"""Tool names and replies that nobody should send, but models do; and MCP, which is asked first."""

from collections.abc import Iterator

from generations import Generation
from scenario import Scenario, call, simple


def scenarios(gen: Generation) -> list[Scenario]:
    return [*names(gen), *replies(gen), *mcp(gen)]


def names(gen: Generation) -> Iterator[Scenario]:
    here = gen.tool('return say((self.name[:40], "found"))')
    up = "../" * (gen.tools.count("/") + 1)
    for scenario, name, path in (
        ("name_unknown", "no_such_tool", ""),
        ("name_slashes", "below/probe", f"{gen.tools}/below/probe.py"),
        ("name_parent", up + "outside", "outside.py"),
        ("name_absolute", "/no/such/place/probe", ""),
        ("name_long", "x" * 10_000, ""),
        ("name_empty", "", f"{gen.tools}/.py"),
        ("name_space", " ", ""),
        ("name_glob", "name_glo*", gen.tool_path("name_glob")),
        ("name_all", "*", ""),
        ("name_brackets", "name_bracket[s]", gen.tool_path("name_brackets")),
        ("name_case", "ECHO", ""),
        ("name_dotted", "name.dotted", gen.tool_path("name.dotted")),
        ("name_with_suffix", "name_with_suffix.py", gen.tool_path("name_with_suffix.py")),
        ("name_null", "name\0null", ""),
        ("name_unicode", "naïve_工具", gen.tool_path("naïve_工具")),
        ("name_surrogate", "half_\ud83d", ""),
        ("name_colon_only", ":", ""),
        ("name_init", "__init__", ""),
        ("name_of_fallback", "unknown", ""),
    ):
        yield simple(scenario, [call(name, text="1"), call(name, text="2")], {path: here} if path else {})


def replies(gen: Generation) -> Iterator[Scenario]:
    del gen
    for scenario, texts in (
        ("reply_misformat", ["no request in here, only words that go on for a while"]),
        ("reply_repeated", [call("echo", text="same"), call("echo", text="same")]),
        ("reply_name_is_number", ['{"tool_name": 5, "tool_args": {"text": "a"}}']),
        ("reply_without_args", ['{"tool_name": "echo"}']),
        ("reply_args_are_list", ['{"tool_name": "echo", "tool_args": ["a"]}']),
        ("reply_truncated", ['{"tool_name": "echo", "tool_args": {"text": "cut off']),
        ("reply_then_words", [call("echo", text="a") + "\nand some words after it, as models like to add"]),
        ("reply_long", [call("echo", text="long " * 400)]),
    ):
        yield simple(scenario, texts)


def mcp(gen: Generation) -> Iterator[Scenario]:
    local = gen.tool('return say("the local one")')
    name, path = "srv.both", gen.tool_path("srv.both")
    asks = [call(name, text=str(n)) for n in range(3)]
    yield simple(
        "mcp_first",
        asks,
        {path: local},
        reply_1=[("mcp", {"srv": ["both"]})],
        reply_2=[("mcp", {})],
        reply_3=[("mcp", {"srv": ["both"]})],
    )
    yield simple(
        "mcp_servers",
        [
            call("srv.one", text="a"),
            call("other.one", text="b"),
            call("srv.two", text="c"),
            call("none.one", text="d"),
        ],
        reply_1=[("mcp", {"other": ["one"], "srv": ["one"]})],
        reply_3=[("mcp", {"srv": ["two"], "other": []})],
    )
    yield simple(
        "mcp_tools_change",
        [call(f"srv.{tool}", text="x") for tool in ("one", "two", "one", "two", "one")],
        reply_1=[("mcp", {"srv": ["one"]})],
        reply_3=[("mcp_refresh", "srv", ["two"])],
        reply_5=[("mcp_refresh", "srv", ["two", "one"])],
    )
    yield simple("mcp_two_dots", [call("srv.a.b", text="x")], reply_1=[("mcp", {"srv": ["a.b", "a"]})])
    yield simple("mcp_same_name_twice", [call("srv.x", text="x")], reply_1=[("mcp", {"srv": ["x", "x"]})])
    yield simple("mcp_method", [call("srv.x:run", text="x")], reply_1=[("mcp", {"srv": ["x"]})])
    if gen.three_paths:
        yield simple(
            "mcp_disabled_tool",
            [call("srv.x", text=str(n)) for n in range(3)],
            reply_1=[("mcp", {"srv": ["x"]})],
            reply_2=[("mcp_disable", "srv", ["x"])],
            reply_3=[("mcp_disable", "srv", [])],
        )
        yield simple(
            "mcp_of_project",
            [call("srv.x", text=str(n)) for n in range(3)],
            reply_1=[("mcp", {"srv": ["x"]}), ("project", "atlas")],
            reply_2=[("mcp", {"srv": ["x"]}, "atlas")],
            reply_3=[("mcp", {}, "atlas"), ("project", "")],
        )
