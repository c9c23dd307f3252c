"""Extensions: none dropped, in order, as fresh as the host keeps them; secrets masked; prompts with plugins."""

from collections.abc import Iterator

from generations import Generation
from scenario import Chat, Scenario, call, done, simple

SECRET = "s3cr3t-value-1234"


def scenarios(gen: Generation) -> list[Scenario]:
    return [*freshness(gen), *merging(gen), *streams(gen), *secrets(gen), *prompts(gen), *logging(gen)]


def calls_point(gen: Generation, point: str) -> str:
    """A tool that calls an extension point by itself, and says what the extensions answered."""
    how = f"await self.agent.call_extensions('{point}', seen=seen)"
    if gen.extensible:
        how = f"await extension.call_extensions_async('{point}', self.agent, seen=seen)"
    head = f"from {gen.package} import extension\n" if gen.extensible else ""
    return gen.tool(f"seen = []\n{how}\nreturn say(seen)", head=head)


def freshness(gen: Generation) -> Iterator[Scenario]:
    def says(text: str) -> str:
        return gen.extension(f'kwargs["seen"].append("{text}")')

    clear = [("clear", "extension_*")] if gen.extensible else []
    for name, before, after in (
        ("extension_added", {"_20_b": "two"}, {"_10_a": "one", "_20_b": "two"}),
        ("extension_edited", {"_10_a": "one"}, {"_10_a": "ONE!"}),
        ("extension_deleted", {"_10_a": "one", "_20_b": "two"}, {"_20_b": "two"}),
        ("extension_folder_appears", {}, {"_10_a": "one"}),
    ):
        tool, where = (
            gen.tool_path(name),
            lambda file, name=name: gen.extension_path(name, f"point_{name}", file),
        )
        files = {tool: calls_point(gen, f"point_{name}")} | {where(f): says(t) for f, t in before.items()}
        change = [("write", where(f), says(t)) for f, t in after.items() if before.get(f) != t]
        change += [("delete", where(f)) for f in before if f not in after]
        asked = [call(name, text=str(n)) for n in range(4)]
        yield simple(name, asked, files, reply_2=change, reply_4=clear)

    for name, text in (
        ("extension_broken", "class (:\n"),
        ("extension_import_fails", "import no_such_module_at_all\n"),
    ):
        tool, path = gen.tool_path(name), gen.extension_path(name, f"point_{name}", "_10_a")
        body = "seen = []\ntry:\n    await CALL\nexcept Exception as e:\n    seen.append(type(e).__name__)\nreturn say(seen)"
        source = calls_point(gen, f"point_{name}")
        how = "await " + source.split("    await ")[1].split("\n")[0]
        head = f"from {gen.package} import extension\n" if gen.extensible else ""
        files = {tool: gen.tool(body.replace("await CALL", how), head=head), path: text}
        asked = [call(name, text=str(n)) for n in range(3)]
        yield simple(name, asked, files, reply_3=[("write", path, says("repaired"))])

    name = "extension_state"
    files = {
        gen.tool_path(name): calls_point(gen, f"point_{name}"),
        gen.extension_path(name, f"point_{name}", "_10_a"): gen.extension(
            'COUNT.append(1)\nself.n = getattr(self, "n", 0) + 1\nkwargs["seen"] += [len(COUNT), self.n]',
            head="COUNT = []\n",
        ),
    }
    yield simple(name, [call(name, text=str(n)) for n in range(3)], files)
    if gen.extensible:
        name, point = "cache_trimmed", "point_cache_trimmed"
        path = gen.extension_path(name, point, "_10_a")
        files = {gen.tool_path(name): calls_point(gen, point), path: says("old")}
        asked = [call(name, text=str(n)) for n in range(3)]
        yield simple(name, asked, files, reply_2=[("write", path, says("new"))], reply_3=[("trim", -1.0)])


def merging(gen: Generation) -> Iterator[Scenario]:
    def notes(text: str) -> str:
        return gen.extension(f'journal.note("merged", which="{text}")')

    name, point = "extensions_merge", "message_loop_start"
    own = {f: gen.extension_path(name, point, f) for f in ("_05_first", "_10_iteration_no", "_90_last")}
    yield simple(name, [call("echo", text="a")], {path: notes(f) for f, path in own.items()})
    if gen.projects:
        name = "extensions_of_project"
        path = f"usr/projects/atlas/.a0proj/{gen.own_extensions}/monologue_start/_10_project.py"
        user = f"usr/{gen.own_extensions}/monologue_start/_20_user.py"
        chat = Chat([done("1"), done("2"), done("3")], messages=("a", "b", "c"))
        events = {"turn:2": [("project", "atlas")], "turn:3": [("project", "")]}
        yield Scenario(name, [chat], {path: notes("project"), user: notes("user")}, events)


def streams(gen: Generation) -> Iterator[Scenario]:
    """Two chats at once: every chunk of each reaches every extension, whatever the other does."""
    name = "two_chats_streaming"
    counts = gen.extension(
        'data = self.agent.data\ndata["n"] = data.get("n", 0) + 1\njournal.note("chunk seen", n=data["n"])'
    )
    files = {gen.extension_path(name, "response_stream", "_30_count"): counts}
    if gen.profiles:
        files |= {gen.extension_path(name, "response_stream_chunk", "_20_mask"): mask_chunks(gen)}
        files |= {"tmp/secrets.env": f"KEY={SECRET}\n"}
    asked = [call("echo", text=f"a longer text with {SECRET} inside, part {n}") for n in range(3)]
    chats = [Chat([*asked, done("a")], chunk=7), Chat([*asked, done("b")], name="b", waits=True, chunk=5)]
    yield Scenario(name, chats, files, {"reply:1": [("start", "b")]})


def mask_chunks(gen: Generation) -> str:
    """What the bundled masking extension would do if the agent were passed to it."""
    get = (
        "SecretsManager.get_instance()" if gen.name == "v0_9_3" else "get_secrets_manager(self.agent.context)"
    )
    head = f"from {gen.package}.secrets import {get.split('.')[0].split('(')[0]}\n"
    body = (
        f'manager = {get}\ndata = kwargs["stream_data"]\nkept = self.agent.data\n'
        'if data["chunk"] == data["full"]:\n    kept["filter"] = manager.create_streaming_filter()\n'
        'data["chunk"] = kept["filter"].process_chunk(data["chunk"])\ndata["full"] = manager.mask_values(data["full"])'
    )
    return gen.extension(body, head=head)


def secrets(gen: Generation) -> Iterator[Scenario]:
    if not gen.profiles:
        return
    for name, body in (
        ("secret_used", 'return say("the key is " + kwargs["key"])'),
        ("secret_in_error", 'raise errors.RepairableException("refused: " + kwargs["key"])'),
        ("secret_in_critical_error", 'raise ValueError("refused: " + kwargs["key"])'),
    ):
        files = {gen.tool_path(name): gen.tool(body), "tmp/secrets.env": f"KEY={SECRET}\n"}
        asked = [call(name, key="§§secret(KEY)"), call("echo", text=f"written out: {SECRET}")]
        yield simple(name, asked, files)


def prompts(gen: Generation) -> Iterator[Scenario]:
    if not gen.profiles:
        return

    def plugin(body: str) -> str:
        return (
            f"from {gen.package}.files import VariablesPlugin\n\nclass Probe(VariablesPlugin):\n"
            f"    def get_variables(self, file, backup_dirs=None, **kwargs):\n        {body}\n"
        )

    good, other = plugin('return {"agent_role": "one"}'), plugin('return {"agent_role": "the other"}')
    for name, text, later in (
        ("prompt_plugin_edited", good, other),
        ("prompt_plugin_raises", plugin('raise ValueError("no variables")'), good),
        ("prompt_plugin_broken", "class (:\n", good),
    ):
        path = f"agents/{name}/prompts/agent.system.main.py"
        chat = Chat([done("one"), done("two"), done("three")], messages=("a", "b"))
        yield Scenario(name, [chat], {path: text}, {"turn:2": [("write", path, later)]})


def logging(gen: Generation) -> Iterator[Scenario]:
    if gen.extensible:
        on, off = [("env", "EXTENSIONS_LOG", "25")], [("env", "EXTENSIONS_LOG", "zero")]
        asked = [call("echo", text=str(n)) for n in range(3)]
        yield simple("extensions_log", asked, reply_2=on, reply_3=off)
