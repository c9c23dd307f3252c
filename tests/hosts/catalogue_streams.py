"""Long replies in small chunks: what every chunk was parsed to is what the extensions were given."""

import json
from collections.abc import Iterator

from generations import Generation
from scenario import Chat, Scenario, call, done

LINE = 'item {n}: "quoted", {{brace}} [1], a\\path, caf\u00e9 \U0001f600\n'


def scenarios(gen: Generation) -> list[Scenario]:
    return [*as_written(gen), *changed_on_the_way(gen), *several(gen)]


def long(tool: str, name: str, lines: int = 5) -> str:
    text = "".join(LINE.format(n=n) for n in range(lines))
    request = {"thoughts": [f"about {name}", "and so on"], "tool_name": tool, "tool_args": {"text": text}}
    return json.dumps(request, indent=1)


def notes(gen: Generation) -> str:
    """An extension that tells the parsed reply, then writes into all of it."""
    return gen.extension(
        'parsed = kwargs["parsed"]\njournal.note("parsed", what=repr(parsed))\nparsed["mine"] = 1\n'
        'for inner in parsed.values():\n    if isinstance(inner, list):\n        inner.append("mine")\n'
        '    elif isinstance(inner, dict):\n        inner["mine"] = 1'
    )


def as_written(gen: Generation) -> Iterator[Scenario]:
    name = "stream_long"
    broken = '{"thoughts": ["' + "so " * 50 + '"], "tool_name": "echo", "n": 1-2, "tool_args": {"text": "x"}}'
    wild = (
        'I would say:\n{"thoughts": ["a "quoted" word", // why\n \'b\'], headline: none at all,'
        ' "tool_name": "echo" "tool_args": {"text": "\\u00e9\\q \\u12", "code": """if "x": {y}""", }}  or so'
    )
    replies = [long("echo", name), broken, wild, wild + " " * 80, done()]
    yield Scenario(name, [Chat(replies, chunk=11)], {gen.extension_path(name, "response_stream", "_30_n"): notes(gen)})


def changed_on_the_way(gen: Generation) -> Iterator[Scenario]:
    if not gen.profiles:
        return
    name = "stream_edited"
    edits = gen.extension(
        'data = kwargs["stream_data"]\n'
        'if len(data["full"]) > 250:\n    data["full"] = data["full"].replace("and", "AND", 1)'
    )
    files = {
        gen.extension_path(name, "response_stream", "_30_n"): notes(gen),
        gen.extension_path(name, "response_stream_chunk", "_40_edit"): edits,
    }
    yield Scenario(name, [Chat([long("echo", name), done()], chunk=11)], files)


def several(gen: Generation) -> Iterator[Scenario]:
    name = "stream_several"
    files = {gen.extension_path(name, "response_stream", "_30_n"): notes(gen)}
    names = ("main", "b", "c")
    chats = [
        Chat([long("echo", "all the same"), long("echo", chat), done(chat)], name=chat, waits=chat != "main", chunk=9)
        for chat in names
    ]
    yield Scenario(name, chats, files, {"reply:1": [("start", "b"), ("start", "c")]})

    name = "stream_threads"
    chats = [
        Chat([long("echo", chat), long("echo", "same"), done()], name=chat, thread=f"Loop-{chat}", chunk=16)
        for chat in names
    ]
    yield Scenario(name, chats, threads=True)

    name = "stream_subordinate"
    asked = call("call_subordinate", message="a long message, " * 12)
    files = {gen.extension_path(name, "response_stream", "_30_n"): notes(gen)}
    replies = [asked, long("echo", "below"), long("response", "below"), long("echo", "above"), done()]
    yield Scenario(name, [Chat(replies, chunk=14)], files)
