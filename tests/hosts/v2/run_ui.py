"""Run one scripted conversation: python run_ui.py [SCRIPT.json|-]; prints the answers as JSON."""

import json
import sys

import models
from agent import AgentContext, UserMessage
from helpers import extension, journal
from initialize import initialize_agent

DEFAULT = {
    "message": "Say hello, then finish.",
    "replies": [
        {"tool_name": "echo", "tool_args": {"text": "hello"}},
        {"tool_name": "response", "tool_args": {"text": "hello was said"}},
    ],
}


def load(argv: list[str]) -> dict:
    if len(argv) < 2:
        return DEFAULT
    if argv[1] == "-":
        return json.load(sys.stdin)
    with open(argv[1], encoding="utf-8") as handle:
        return json.load(handle)


@extension.extensible
def init_a0() -> None:
    initialize_agent()


def run() -> None:
    init_a0()
    script = load(sys.argv)
    replies = [reply if isinstance(reply, str) else json.dumps(reply) for reply in script["replies"]]
    models.SCRIPTS["main"] = models.Script(replies)
    journal.ECHO = bool(script.get("verbose"))
    context = AgentContext(config=initialize_agent(), name="main")
    answer = context.communicate(UserMessage(message=script["message"])).result_sync()
    print(json.dumps({"answer": answer, "history": context.agent0.history.output()}))


if __name__ == "__main__":
    run()
