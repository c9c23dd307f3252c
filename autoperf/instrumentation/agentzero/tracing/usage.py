"""What a model client's answer object holds of the provider's own words: usage, finish reason, model.

The host never asks for usage, and litellm keeps what is sent all the same from it: a chunk of usage alone is
dropped, usage in other chunks is taken out of them and stays on litellm's stream object. What it puts into
their place at the end is its own count, as is the usage of providers that send none: neither is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from autoperf.telemetry import names

# For these, litellm (1.74 to 1.88) counts itself, always or when the provider's number is missing.
_COUNTED: Final = frozenset(
    {
        "aleph_alpha",
        "anthropic_text",
        "cloudflare",
        "huggingface",
        "langgraph",
        "nlp_cloud",
        "palm",
        "petals",
        "predibase",
        "replicate",
        "sagemaker",
        "sagemaker_chat",
    }
)
# The same, but only for answers in one piece.
_COUNTED_WHOLE: Final = frozenset({"bedrock", "ollama", "ollama_chat", "vertex_ai", "vertex_ai_beta"})
# Reports of thinking in one piece: the total is the provider's, the share of reasoning is counted.
_REASONING_COUNTED_WHOLE: Final = frozenset({"anthropic", "azure_ai"})
# Usage comes at the very end, from some providers in parts of which the first comes with the first chunk.
_AT_THE_ENDS: Final = 4
# The Responses API has a status where Chat Completions has a finish reason.
_STATUS: Final = {"completed": "stop", "max_output_tokens": "length"}


@dataclass
class Usage:
    """Numbers of tokens as the provider reported them; None where it said nothing."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def attributes(self) -> dict[str, Any]:
        """The span attributes; None values set nothing."""
        return {
            names.INPUT_TOKENS: self.input_tokens,
            names.OUTPUT_TOKENS: self.output_tokens,
            names.CACHED_TOKENS: self.cached_tokens,
            names.REASONING_TOKENS: self.reasoning_tokens,
        }

    def update(self, later: Usage) -> None:
        """Take what ``later`` knows; a provider that reports in parts, or growing numbers, ends up right."""
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
            value = getattr(later, name)
            if value or getattr(self, name) is None:
                setattr(self, name, value)

    def add(self, more: Usage) -> None:
        """Add ``more``: LangChain's convention, where the usage of an answer is the sum over its chunks."""
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
            value = getattr(more, name)
            if value is not None:
                setattr(self, name, value + (getattr(self, name) or 0))


@dataclass
class Answer:
    """What the provider said about its answer; empty where it said nothing."""

    usage: Usage
    finish_reason: str = ""
    model: str = ""


def read(answer: Any, provider: str) -> Answer:
    """What ``answer``, a stream read as far as the host wanted or an answer in one piece, holds.

    ``provider`` is litellm's name for it. An answer of a shape unknown here gives an empty `Answer`.
    """
    answer = stream_of(answer)
    chunks = getattr(answer, "chunks", None)
    if isinstance(chunks, list):
        return _of_chunks(answer, chunks, provider)
    event = getattr(answer, "completed_response", None)
    if event is not None:
        return _of_response(getattr(event, "response", None), provider, whole=False)
    if getattr(answer, "output", None) is not None:
        return _of_response(answer, provider, whole=True)
    choices = getattr(answer, "choices", None)
    if isinstance(choices, list) and choices:
        usage = usage_of(getattr(answer, "usage", None), provider, whole=True)
        reason = _text(getattr(choices[0], "finish_reason", ""))
        return Answer(usage, reason, _text(getattr(answer, "model", "")))
    return Answer(Usage())


def stream_of(answer: Any) -> Any:
    """litellm's stream of Chat Completions: also where it serves the Responses API of others with one."""
    return getattr(answer, "litellm_custom_stream_wrapper", answer)


def _of_chunks(stream: Any, chunks: list[Any], provider: str) -> Answer:
    usage = Usage()
    ends = chunks if len(chunks) <= 2 * _AT_THE_ENDS else [*chunks[:_AT_THE_ENDS], *chunks[-_AT_THE_ENDS:]]
    for chunk in ends:
        usage.update(usage_of(getattr(chunk, "usage", None), provider))
    # No model: litellm writes the one that was asked for into its chunks.
    return Answer(usage, _text(getattr(stream, "received_finish_reason", "")))


def _of_response(response: Any, provider: str, *, whole: bool) -> Answer:
    details = getattr(response, "incomplete_details", None)
    reason = _text(getattr(details, "reason", "")) or _text(getattr(response, "status", ""))
    usage = usage_of(getattr(response, "usage", None), provider, whole=whole)
    return Answer(usage, _STATUS.get(reason, reason), _text(getattr(response, "model", "")))


def usage_of(raw: Any, provider: str, *, whole: bool = False) -> Usage:
    """The numbers in one report of usage, if they are ``provider``'s own; ``whole``: not of a stream."""
    if raw is None or provider in _COUNTED or (whole and provider in _COUNTED_WHOLE):
        return Usage()
    found = Usage(
        _number(raw, "prompt_tokens", "input_tokens"),
        _number(raw, "completion_tokens", "output_tokens"),
        _number(_part(raw, "prompt_tokens_details", "input_tokens_details"), "cached_tokens"),
        _number(_part(raw, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens"),
    )
    if whole and provider in _REASONING_COUNTED_WHOLE:
        found.reasoning_tokens = None
    # litellm's stand-in for a usage that was not sent is a row of zeros; no request has no input.
    return found if found.input_tokens or found.output_tokens else Usage()


def of_langchain(usage_metadata: Any) -> Usage:
    """LangChain's form of the provider's usage, as a chunk carries it."""
    given = usage_metadata if isinstance(usage_metadata, dict) else {}
    return Usage(
        _number(given, "input_tokens"),
        _number(given, "output_tokens"),
        _number(given.get("input_token_details"), "cache_read"),
        _number(given.get("output_token_details"), "reasoning"),
    )


def _part(raw: Any, *keys: str) -> Any:
    found = (raw.get(key) if isinstance(raw, dict) else getattr(raw, key, None) for key in keys)
    return next((value for value in found if value is not None), None)


def _number(raw: Any, *keys: str) -> int | None:
    value = _part(raw, *keys)
    return value if type(value) is int else None


def _text(value: Any) -> str:
    return str.__str__(value) if isinstance(value, str) else ""
