"""A small agent in Agent Zero's shape: it holds a scripted conversation and needs no key and no network."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any

import conversation
import initialize
from agent import Agent, AgentContext, UserMessage
from helpers import extension
from helpers.print_style import PrintStyle


@extension.extensible
def init_a0() -> None:
    """Prepare what all chats share."""
    initialize.initialize_mcp()


def clocks() -> tuple[float, float]:
    """Return the CPU seconds of this process so far, and the time."""
    return time.process_time(), time.time()


def chat(context: AgentContext, messages: int) -> list[tuple[float, float]]:
    """Hold the conversation, one user message after the other; return the clocks before it and after each."""
    read = [clocks()]
    for number in range(1, messages + 1):
        text = conversation.user_message(number)
        PrintStyle("user").print(text)
        answer = context.communicate(UserMessage(text)).result_sync()
        PrintStyle(context.agent0.agent_name).print(answer)
        read.append(clocks())
    return read


def transcript(context: AgentContext) -> dict[str, Any]:
    """Return all that was said, done and sent, as plain data without times: two runs give the same."""
    agents, speaker = [], context.agent0
    while speaker:
        agents.append({"name": speaker.agent_name, "history": speaker.history.serialize()})
        speaker = speaker.get_data(Agent.DATA_NAME_SUBORDINATE)
    log = [asdict(item) for item in context.log.logs]
    calls = [item for item in log if item["type"] == "tool"]
    prompts = context.config.additional["model"].prompts
    return {"agents": agents, "tool_calls": calls, "log": log, "prompts": prompts}


def write(data: Any, path: str) -> None:
    """Write plain data to a file as JSON; end the program with one line if that fails."""
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            json.dump(data, stream, ensure_ascii=False, indent=1)
            stream.write("\n")
    except OSError as error:
        raise SystemExit(f"Cannot write the transcript to '{path}': {error.strerror}") from error


def positive(text: str) -> int:
    """Return a number of at least 1; raise what argparse turns into one line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    number: dict[str, Any] = {"type": positive, "metavar": "N"}
    parser.add_argument("--messages", default=2, help="user messages (%(default)s)", **number)
    parser.add_argument("--tools", default=20, help="tool calls for each of them (%(default)s)", **number)
    parser.add_argument("--chunk", default=12, help="characters per streamed chunk (%(default)s)", **number)
    parser.add_argument("--transcript", metavar="FILE", help="write all that happened to FILE, as JSON")
    parser.add_argument("--clocks", metavar="FILE", help="write CPU seconds and time of each message to FILE")
    return parser.parse_args()


def run() -> None:
    """Hold the conversation and write the transcript if one was asked for."""
    options = arguments()
    init_a0()
    context = AgentContext(initialize.initialize_agent(options.tools, options.chunk))
    read = chat(context, options.messages)
    if options.clocks:
        write(read, options.clocks)
    if options.transcript:
        write(transcript(context), options.transcript)


if __name__ == "__main__":
    run()
