"""The script of the conversation: what the user asks, and what the model answers to a given prompt."""

from __future__ import annotations

import json
import re
from typing import Any

_TASK = re.compile(r"Task (\d+)")

Request = dict[str, Any]


def user_message(number: int) -> str:
    """Return the user's message; messages count from 1."""
    return f"Task {number}: work through your list for round {number} and tell me what came out."


def reply(messages: list[dict[str, str]], tools: int) -> tuple[str, Request | None]:
    """Return the text of the model's next reply to a prompt, and a native call if it makes one.

    Like a real model it keeps nothing between two calls: how far it is follows from the prompt alone, so
    whatever changes a prompt changes the rest of the conversation too, and shows in the transcript.
    """
    begin = max(at for at, message in enumerate(messages) if '"user_message"' in message["content"])
    turn = messages[begin + 1 :]
    step = sum(message["role"] == "assistant" for message in turn)
    task = _TASK.search(messages[begin]["content"])
    if task is None:
        return _subordinate_reply(messages[begin]["content"], turn, step)
    if step >= tools:
        return _request("I have everything.", _call("response", text=_summary(turn, tools))), None
    call = _main_call(int(task[1]), step)
    if call.pop("native", False):
        return f"Step {step + 1}: I call {call['tool_name']} directly.", call
    return _request(f"Step {step + 1} of {tools}.", call), None


def _main_call(task: int, step: int) -> Request:
    number = 10 * task + step
    calls = [
        _call("calculator", expression=f"{number} * 17 + 4"),
        _call("notes:add", text=f"{number - 1} times 17, plus 4, makes {{{{last_result}}}}"),
        _call("text_statistics", file="data/lighthouse.txt", word="light"),
        {**_call("calculator", expression=f"({number} + 2) * ({number} - 2)"), "native": True},
        _call("pause", milliseconds=4),
        _call("calculator", expression=f"{number} / ({step} - {step})"),
        _call("units.convert", value=number, unit="km"),
        _call("call_subordinate", message=f"Please add up {number} and {task}.", profile="researcher"),
        _call("parallel", tool_calls=_side_by_side(number)),
        _call("weather", city="Rønne"),
        _call("notes:list"),
    ]
    return calls[step % len(calls)]


def _side_by_side(number: int) -> list[Request]:
    return [
        _call("pause", milliseconds=3),
        _call("calculator", expression=f"{number} % 7"),
        _call("text_statistics", file="data/lighthouse.txt", word="the"),
    ]


def _subordinate_reply(asked: str, turn: list[dict[str, str]], step: int) -> tuple[str, Request | None]:
    if step == 0:
        expression = " + ".join(re.findall(r"\d+", asked))
        return _request("I add them up.", _call("calculator", expression=expression)), None
    return f"Checked: {_results(turn)[-1]}.", None


def _results(turn: list[dict[str, str]]) -> list[str]:
    told = [json.loads(message["content"]) for message in turn if '"tool_result"' in message["content"]]
    return [str(message["tool_result"]) for message in told]


def _summary(turn: list[dict[str, str]], tools: int) -> str:
    results = _results(turn)
    lines = [f"{at}. {' '.join(text.split())}" for at, text in enumerate(results, 1)]
    return "\n".join([f"{tools} calls, {len(results)} results, {tools - len(results)} errors.", *lines])


def _call(name: str, **args: Any) -> Request:
    return {"tool_name": name, "tool_args": args}


def _request(thought: str, call: Request) -> str:
    body = {"thoughts": [thought], "headline": f"Using {call['tool_name']}", **call}
    return json.dumps(body, ensure_ascii=False, indent=2)
