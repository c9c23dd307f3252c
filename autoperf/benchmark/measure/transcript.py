"""What a run said and stored, without what differs by nature, to be compared line by line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from autoperf.benchmark.host.run import Run
from autoperf.benchmark.model.server import is_chat


@dataclass(frozen=True)
class Rule:
    """One replacement in text, and why two runs of the same host differ there.

    With ``numbered``, equal values get equal numbers in order of appearance, so that a mix-up still shows.
    """

    name: str
    pattern: re.Pattern[str]
    reason: str
    numbered: bool = False


RULES = (
    Rule(
        "time",
        re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"),
        "the clock: every prompt and every chat file names the current time",
    ),
    Rule(
        "uuid",
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        "chats, logs, log items and messages get random identifiers",
        numbered=True,
    ),
    Rule(
        "job",
        re.compile(r"(?<=[a-z]-)[0-9a-f]{8}(?=\b)(?!-)"),
        "tools side by side (v2.6) are jobs with random identifiers",
        numbered=True,
    ),
    Rule(
        "seconds",
        re.compile(r"(?<=duration_seconds)\W+[0-9.]+"),
        "how long each of them took",
    ),
    Rule(
        "worker",
        re.compile(r"(?<=context_id)\W+[A-Za-z0-9]{8}\b"),
        "each of them works in a chat of its own, with a random identifier",
        numbered=True,
    ),
    Rule(
        "address", re.compile(r"\b0x[0-9a-f]{6,16}\b"), "objects without a repr are shown with their address"
    ),
    Rule("port", re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b"), "both servers listen on whatever port was free"),
)

# Values of these fields are clock readings or spans of it, mostly as bare numbers that no text rule can tell.
# Tokens are counted over texts with the clock or the chat's random id in them; the texts are compared.
VARYING_FIELDS = frozenset(
    {"timestamp", "duration_seconds", "created_at", "last_message", "updated_at", "duration", "tokens"}
)


_KEPT = 12_000  # characters that fit into 5,000 tokens in any case


class Normaliser:
    """Applies the rules to data of one run; ``known`` maps exact texts (such as the chat's id) to a name."""

    def __init__(self, known: dict[str, str], rules: Iterable[Rule] = RULES) -> None:
        self._known = {text: f"<{name}>" for text, name in known.items() if text}
        self._rules = tuple(rules)
        self._seen: dict[tuple[str, str], str] = {}

    def __call__(self, value: Any) -> Any:
        """A copy of JSON data with the rules applied to every string, keys included."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, dict):
            return {
                self._text(key): f"<{key}>" if key in VARYING_FIELDS and item else self(item)
                for key, item in value.items()
            }
        return value

    def _text(self, text: str) -> str:
        for exact, name in self._known.items():
            text = text.replace(exact, name)
        for rule in self._rules:
            text = rule.pattern.sub(self._replacement(rule), text)
        return text

    def _replacement(self, rule: Rule) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            if not rule.numbered:
                return f"<{rule.name}>"
            key = (rule.name, match.group())
            if key not in self._seen:
                self._seen[key] = f"<{rule.name} {1 + sum(name == rule.name for name, _ in self._seen)}>"
            return self._seen[key]

        return replace


@dataclass(frozen=True)
class Transcript:
    """Sections of a run, normalised: name to lines of text."""

    sections: dict[str, tuple[str, ...]]

    def differences(self, other: Transcript, context: int = 2) -> list[str]:
        """A unified diff, section by section; empty when the transcripts are equal."""
        lines: list[str] = []
        for name in dict.fromkeys((*self.sections, *other.sections)):
            left, right = self.sections.get(name, ()), other.sections.get(name, ())
            if left != right:
                lines += difflib.unified_diff(
                    left, right, f"{name} (1)", f"{name} (2)", n=context, lineterm=""
                )
        return lines


def transcript(run: Run) -> Transcript:
    """HTTP answers, chat file, log, prompts sent, and what went on in the background of a run.

    Requests to the utility and embedding models come from tasks beside the conversation (memories, chat
    names) that overtake each other in the bare host too: they are compared as a sorted collection, each up
    to where the host may have cut it.
    """
    others = {context: f"chat {number}" for number, context in enumerate(run.beside, 2)}
    normalise = Normaliser({run.context: "chat", **others})
    answers = [{"status": turn.answer.status, "body": turn.answer.body} for turn in run.turns]
    # Two chats at once overtake each other; the prompts of each stay in order.
    chatting = sorted((r for r in run.requests if is_chat(r.model)), key=lambda request: request.script)
    prompts = [request.body for request in chatting]
    background = [_uncut(request.body) for request in run.requests if not is_chat(request.model)]
    return Transcript(
        {
            "answers": _lines(normalise(answers)),
            "chat": _lines(normalise(run.chat)),
            "log": _lines(normalise(run.log)),
            "meanwhile": _lines(normalise(run.meanwhile)),
            "beside": _lines(normalise(list(run.beside.values()))),
            "prompts": tuple(
                line
                for number, body in enumerate(prompts, 1)
                for line in (f"prompt {number}", *_lines(normalise(body)))
            ),
            "background": tuple(
                line for lines in sorted(_lines(normalise(body)) for body in background) for line in lines
            ),
        }
    )


def _uncut(value: Any) -> Any:
    # The prompt that names a chat is cut at 5,000 tokens. Where that is depends on the chat's id: large
    # tool results are stored, and mentioned, under it.
    if isinstance(value, str) and len(value) > _KEPT and value.rstrip().endswith("..."):
        return value[:_KEPT] + "<cut>"
    if isinstance(value, list):
        return [_uncut(item) for item in value]
    return {key: _uncut(item) for key, item in value.items()} if isinstance(value, dict) else value


def _lines(data: Any) -> tuple[str, ...]:
    # Long texts are shown line by line, or a diff of two prompts could not be read.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    return tuple(re.sub(r"(?<!\\)((?:\\\\)*)\\n", "\\1\\\\n\n", text).splitlines())
