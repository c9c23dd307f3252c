"""Answers that come in faster than anybody reads: what happens to them in the middle, and what is left of it."""

from collections.abc import Iterator

from catalogue_streams import long, notes
from generations import Generation
from scenario import Chat, Scenario, call, done

THOUGHTS = "First I think about it, then about something else, and so on for a while. "
SEPARATOR = "\x1e"  # between what the model thinks and what it says


def scenarios(gen: Generation) -> list[Scenario]:
    if not gen.profiles:
        return []  # reads the model's answer in the agent itself, and has no reasoning
    return [*reasoning(gen), *interrupted(gen), *ended(gen), *failing(gen), *several(gen)]


def shows_thoughts(gen: Generation) -> str:
    return gen.extension(
        'item = kwargs["loop_data"].params_temporary["log_item_generating"]\n'
        'item.update(heading="thinking: " + kwargs["text"])\njournal.note("thoughts", text=kwargs["text"])'
    )


def reasoning(gen: Generation) -> Iterator[Scenario]:
    name = "fast_reasoning"
    files = {gen.extension_path(name, "reasoning_stream", "_30_shows"): shows_thoughts(gen)}
    replies = [THOUGHTS * 4 + SEPARATOR + long("echo", name), THOUGHTS + SEPARATOR + "no request", done()]
    yield Scenario(name, [Chat(replies, chunk=7)], files)
    name = "fast_reasoning_only"
    files = {gen.extension_path(name, "reasoning_stream", "_30_shows"): shows_thoughts(gen)}
    yield Scenario(name, [Chat([THOUGHTS * 2 + SEPARATOR, done()], chunk=7)], files)


def interrupted(gen: Generation) -> Iterator[Scenario]:
    stop = ("intervene", "stop that")
    replies = [THOUGHTS * 2 + SEPARATOR + long("echo", "interrupted"), call("echo", text="next"), done()]
    for at in (3, 21, 40):
        yield Scenario(f"fast_intervention_{at}", [Chat(list(replies), chunk=7)], {}, {f"chunk:1:{at}": [stop]})
    paused = [("pause",), ("later", 0.12, "resume")]
    yield Scenario("fast_pause", [Chat(list(replies), chunk=7)], {}, {"chunk:1:30": paused})
    both = [("pause",), ("later", 0.12, "intervene", "go on like this")]
    yield Scenario("fast_pause_intervention", [Chat(list(replies), chunk=7)], {}, {"chunk:1:30": both})
    yield Scenario("fast_cancel", [Chat(list(replies), chunk=7)], {}, {"chunk:1:33": [("cancel",)]})


def ended(gen: Generation) -> Iterator[Scenario]:
    """Some generations stop reading when the request is complete, and where exactly is seen."""
    name = "fast_complete_early"
    noted = {gen.extension_path(name, "response_stream", "_30_n"): notes(gen)}
    spare = " and then some more that nobody has asked for, with a } and a ] in it" * 3
    replies = [call("echo", text="{[a]}") + spare, long("echo", name) + "\n " * 20 + spare, done()]
    yield Scenario(name, [Chat(replies, chunk=3)], noted)
    invalid = '{"thoughts": ["no tool named"]}' + spare
    yield Scenario("fast_incomplete", [Chat([invalid, long("echo", "cut")[:200], done()], chunk=5)])


def failing(gen: Generation) -> Iterator[Scenario]:
    replies = [THOUGHTS + SEPARATOR + long("echo", "failing"), done()]
    yield Scenario("fast_broken_stream", [Chat(list(replies), chunk=7)], {}, {"chunk:1:30": [("fail",)]})
    yield Scenario("fast_broken_thoughts", [Chat(list(replies), chunk=7)], {}, {"chunk:1:5": [("fail",)]})
    name = "fast_failing_extension"
    raises = 'if "item 2" in kwargs["stream_data"]["full"]:\n    raise ValueError("not this")'
    files = {gen.extension_path(name, "response_stream_chunk", "_40_raises"): gen.extension(raises)}
    yield Scenario(name, [Chat(list(replies), chunk=7)], files)


def several(gen: Generation) -> Iterator[Scenario]:
    name = "fast_chats"
    chats = [
        Chat([THOUGHTS + SEPARATOR + long("echo", chat), done(chat)], name=chat, waits=chat != "main", chunk=6)
        for chat in ("main", "b", "c")
    ]
    events = {
        "reply:1": [("start", "b"), ("start", "c")],
        "b/chunk:1:30": [("intervene", "you stop", "b")],
        "c/chunk:1:25": [("cancel", "c")],
    }
    yield Scenario(name, chats, {}, events)
