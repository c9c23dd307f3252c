"""Tools that are edited, deleted, broken, repaired, stateful: what a cached class gets wrong."""

from collections.abc import Iterator

from generations import Generation
from scenario import Chat, Scenario, call, done, simple


def scenarios(gen: Generation) -> list[Scenario]:
    return [*edits(gen), *state(gen), *broken(gen), *contents(gen), *observers(gen), *memories(gen)]


def observers(gen: Generation) -> Iterator[Scenario]:
    """Tools that look at themselves: before they run, while they run, and where they failed or warned."""
    head = "import copy, inspect, traceback, warnings\n"
    looks = (
        "async def before_execution(self, **kwargs):\n"
        "    await super().before_execution(**kwargs)\n"
        "    self.seen = self.look()\n"
        "def look(self):\n"
        "    run = self.execute\n"
        "    return (sorted(vars(self)), type(run).__name__, run.__self__ is self,\n"
        "            run.__func__ is type(self).execute, inspect.iscoroutinefunction(run),\n"
        "            copy.copy(self).execute.__self__ is self)\n"
    )
    name = "looks_at_itself"
    yield simple(
        name,
        probes(name, 4),
        {gen.tool_path(name): gen.tool("return say((self.seen, self.look()))", head, fields=looks)},
    )
    name = "copies_itself"
    copies = (
        "async def before_execution(self, **kwargs):\n"
        "    await super().before_execution(**kwargs)\n"
        "    other = copy.copy(self)\n"
        "    other.name = 'of the copy'\n"
        "    self.told = (await other.execute(text='-')).message\n"
    )
    told = "return say((self.name, getattr(self, 'told', None)))"
    yield simple(name, probes(name, 4), {gen.tool_path(name): gen.tool(told, head, fields=copies)})
    name = "class_patched_before"
    patches = (
        "async def before_execution(self, **kwargs):\n"
        "    await super().before_execution(**kwargs)\n"
        "    original = type(self).execute\n"
        "    async def execute(tool, **kwargs):\n"
        "        return say(('patched', (await original(tool, **kwargs)).message))\n"
        "    type(self).execute = execute\n"
    )
    yield simple(
        name, probes(name, 3), {gen.tool_path(name): gen.tool('return say("bare")', head, fields=patches)}
    )
    name = "formats_its_failure"
    fails = (
        "if kwargs.get('text') == 'fail':\n    raise ValueError('deep')\n"
        "try:\n    await type(self)(**self.fresh()).execute(text='fail')\n"
        "except ValueError:\n    own = traceback.format_exc()\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    warnings.warn('look there', stacklevel=2)\n"
        "return say((own, [(one.filename, one.lineno) for one in caught]))"
    )
    fresh = (
        "def fresh(self):\n    return dict(agent=self.agent, name=self.name, method=None, args={},\n"
        "                message='', loop_data=None)\n"
    )
    yield simple(name, probes(name, 3), {gen.tool_path(name): gen.tool(fails, head, fields=fresh)})


def memories(gen: Generation) -> Iterator[Scenario]:
    """A tool that asks the memory, and one that has the history compressed."""
    name = "memory_recalled"
    head = f"from {gen.memory_module} import Memory"
    body = (
        "memory = await Memory.get(self.agent)\n"
        'return say(await memory.search_similarity_threshold("old ferry", limit=2, threshold=0.5))'
    )
    yield simple(name, probes(name), {gen.tool_path(name): gen.tool(body, head)})
    name = "memory_fails"
    body = 'memory = await Memory.get(self.agent)\nawait memory.search_similarity_threshold("", 2, threshold=0.5)'
    yield simple(name, probes(name, 1), {gen.tool_path(name): gen.tool(body, head)})
    name = "history_compressed"
    body = (
        "history = self.agent.history\nbefore = await history.compress()\n"
        'history.messages[0].content = "long " * 5_000\n'
        "return say((before, await history.compress(), len(history.messages[0].content)))"
    )
    yield simple(name, probes(name, 1), {gen.tool_path(name): gen.tool(body)})


def probes(name: str, count: int = 2) -> list[str]:
    return [call(name, text=f"call {n + 1}") for n in range(count)]


def edits(gen: Generation) -> Iterator[Scenario]:
    old, new, longer = (
        gen.tool('return say("old")'),
        gen.tool('return say("new")'),
        gen.tool('return say("newer!")'),
    )
    for name, verb, text in (
        ("edited_tool", "write", new),
        ("edited_same_mtime", "write_same_mtime", longer),
        ("edited_same_second", "write_same_second", new),
        ("edited_replaced", "replace", longer),
    ):
        path = gen.tool_path(name)
        yield simple(name, probes(name, 3), {path: old}, reply_2=[(verb, path, text)])
        path = gen.tool_path(f"late_{name}")
        yield simple(f"late_{name}", probes(f"late_{name}", 5), {path: old}, reply_4=[(verb, path, text)])
    path = gen.tool_path("edited_back")
    yield simple(
        "edited_back",
        probes("edited_back", 3),
        {path: old},
        reply_2=[("write", path, longer)],
        reply_3=[("write", path, old)],
    )
    path = gen.tool_path("deleted_tool")
    yield simple("deleted_tool", probes("deleted_tool"), {path: old}, reply_2=[("delete", path)])
    path = gen.tool_path("late_deleted_tool")
    yield simple("late_deleted_tool", probes("late_deleted_tool", 5), {path: old}, reply_4=[("delete", path)])
    path = gen.tool_path("restored_tool")
    yield simple(
        "restored_tool",
        probes("restored_tool", 3),
        {path: old},
        reply_2=[("delete", path)],
        reply_3=[("write", path, longer)],
    )
    path = gen.tool_path("added_tool")
    yield simple("added_tool", probes("added_tool"), reply_2=[("write", path, new)])
    path = gen.tool_path("edited_running")
    body = 'await models.signal(self.agent, "mid")\nreturn say("old")'
    yield simple(
        "edited_running",
        probes("edited_running"),
        {path: gen.tool(body)},
        **{"signal_mid": [("write", path, new)]},
    )


def state(gen: Generation) -> Iterator[Scenario]:
    for name, head, fields, body in (
        ("stateless", "LIMIT = 3", "", "return say(LIMIT)"),
        ("module_list", "SEEN = []", "", "SEEN.append(1)\nreturn say(len(SEEN))"),
        ("module_dict_nested", "SEEN = (({},),)", "", "SEEN[0][0][len(SEEN[0][0])] = 1\nreturn say(SEEN)"),
        ("module_global", "count = 0", "", "global count\ncount += 1\nreturn say(count)"),
        (
            "module_lru_cache",
            "import functools, itertools\nnumbers = itertools.count()\n\n@functools.lru_cache\n"
            "def number(text):\n    return next(numbers)\n",
            "",
            'return say(number(kwargs["text"]))',
        ),
        (
            "module_default_argument",
            "def remember(item, seen=[]):\n    seen.append(item)\n    return len(seen)\n",
            "",
            "return say(remember(1))",
        ),
        (
            "module_function_attribute",
            "def tick():\n    tick.n = getattr(tick, 'n', 0) + 1\n    return tick.n\n",
            "",
            "return say(tick())",
        ),
        ("module_other_object", "class Box:\n    n = 0\n", "", "Box.n += 1\nreturn say(Box.n)"),
        (
            "module_globals_call",
            "",
            "",
            'globals()["n"] = globals().get("n", 0) + 1\nreturn say(globals()["n"])',
        ),
        (
            "module_reads_environment",
            "import os\nSEEN = os.environ.get('PROBE_VALUE', 'nothing')\n",
            "",
            "return say(SEEN)",
        ),
        (
            "module_reads_file",
            "from pathlib import Path\nSEEN = Path('tmp/probe.txt').read_text()\n",
            "",
            "return say(SEEN)",
        ),
        ("module_side_effect", "journal.note('imported', tool='probe')\n", "", "return say('ran')"),
        ("class_list", "", "seen = []", "self.seen.append(1)\nreturn say(len(self.seen))"),
        ("class_counter", "", "count = 0", "type(self).count += 1\nreturn say(type(self).count)"),
        (
            "class_new_attribute",
            "",
            "",
            "cls = type(self)\ncls.n = getattr(cls, 'n', 0) + 1\nreturn say(cls.n)",
        ),
        ("instance_only", "", "", "self.n = getattr(self, 'n', 0) + 1\nreturn say(self.n)"),
    ):
        path = gen.tool_path(name)
        yield simple(
            name,
            probes(name, 5),  # a class is at the earliest handed out again at the third call
            {path: gen.tool(body, head=head, fields=fields), "tmp/probe.txt": "first"},
            reply_4=[("env", "PROBE_VALUE", "set"), ("write", "tmp/probe.txt", "second")],
        )


def broken(gen: Generation) -> Iterator[Scenario]:
    works = gen.tool('return say("works")')
    for name, text in (
        ("syntax_error", "class Probe(:\n"),
        ("import_error", "import a_module_that_does_not_exist\n"),
        ("raises_at_import", "raise RuntimeError('no import today')\n"),
        ("not_utf8_escape", "x = '\\N{no such name}'\n"),
        ("half_written", works[:-20]),
        ("empty_file", ""),
    ):
        path, ask = gen.tool_path(name), call(name, text="try")
        first = [ask] if name != "empty_file" and not gen.rereads_tools else [ask, done("gave up")]
        chat = Chat([*first, call(name, text="again"), done("repaired")], messages=("go", "go on"))
        yield Scenario(name, [chat], {path: text}, {"turn:2": [("write", path, works)]})
    head = "import os\nif os.environ.get('PROBE_VALUE'):\n    raise RuntimeError('not while it is set')\n"
    path = gen.tool_path("sometimes_broken")
    yield simple(
        "sometimes_broken",
        probes("sometimes_broken", 3),
        {path: gen.tool('return say("works")', head=head)},
        reply_2=[("env", "PROBE_VALUE", "1")],
        reply_3=[("env", "PROBE_VALUE", None)],
    )


def contents(gen: Generation) -> Iterator[Scenario]:
    two = gen.tool('return say("alpha")', cls="Alpha") + gen.tool('return say("beta")', cls="Beta")
    yield simple("two_classes", probes("two_classes"), {gen.tool_path("two_classes"): two})
    imported = gen.tool(
        'return say("mine")', head=f"from {gen.tools.replace('/', '.')}.response import ResponseTool\n"
    )
    yield simple("imported_class", probes("imported_class"), {gen.tool_path("imported_class"): imported})
    inherits = gen.tool('return say("child")', head=f"from {gen.tools.replace('/', '.')}.echo import Echo\n")
    yield simple(
        "inherits_tool",
        probes("inherits_tool"),
        {gen.tool_path("inherits_tool"): inherits.replace("(Tool)", "(Echo)")},
    )
    shows = 'return say((type(self).__module__.split(".")[-1], self.name, self.method, self.args))'
    yield simple(
        "tool_method",
        [
            call("tool_method:shout", text="a"),
            call("tool_method", text="b"),
            call("tool_method:a:b", text="c"),
        ],
        {gen.tool_path("tool_method"): gen.tool(shows)},
    )
    mutates = 'kwargs["text"] = "mine"\nself.args["text"] = "changed"\nreturn say(self.args)'
    yield simple("mutates_args", probes("mutates_args"), {gen.tool_path("mutates_args"): gen.tool(mutates)})
    source = "import inspect, linecache, sys\n"
    reads = (
        "return say((inspect.getsource(type(self).execute)[:40], __name__ in sys.modules, bool(__file__)))"
    )
    yield simple(
        "reads_source", probes("reads_source"), {gen.tool_path("reads_source"): gen.tool(reads, head=source)}
    )
