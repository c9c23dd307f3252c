"""Model calls of v0.8 to v0.9.1, whose agent reads LangChain's stream itself."""

from __future__ import annotations

import asyncio
from enum import Enum
from types import SimpleNamespace
from typing import Any

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import model_calls
from autoperf.patching.patch import Switch, replacement, wrapping
from autoperf.telemetry import names
from tests.model_host import follow, only
from tests.recording import Recording

LANGCHAIN = """
def parse_chunk(chunk):
    return chunk.content

class Agent:
    agent_name = "A0"
    context = type("Context", (), {"id": "chat-0"})()

    def __init__(self, provider, chunks):
        self.chunks = chunks
        model = type("ModelConfig", (), {"provider": provider, "name": "gpt-x"})()
        self.config = type("Config", (), {"chat_model": model, "utility_model": model})()

    async def call_chat_model(self, prompt, callback=None):
        response = ""
        for chunk in self.chunks:
            response += parse_chunk(chunk)
            if callback:
                await callback(chunk.content, response)
        return response

    async def call_utility_model(self, system, message, callback=None, background=False):
        return await self.call_chat_model(None, None)
"""


class Provider(Enum):
    MISTRALAI = "Mistral AI"


def langchain(probe: Probe, *, own_stream: bool = True) -> Any:
    host = SimpleNamespace()
    scope: dict[str, Any] = {}
    exec(LANGCHAIN, scope)
    wrappers = model_calls.LangChain(probe)
    if own_stream:
        scope["parse_chunk"] = replacement(scope["parse_chunk"], wrappers.chunk, Switch())
    for name, role in (("call_chat_model", "chat"), ("call_utility_model", "utility")):
        original = vars(scope["Agent"])[name]
        setattr(scope["Agent"], name, replacement(original, wrapping(wrappers.calling(role)), Switch()))
    host.Agent = scope["Agent"]
    return host


def test_the_agent_that_reads_langchains_stream_itself():
    tracing = Recording()
    chunks = [
        SimpleNamespace(content="on", usage_metadata=None, response_metadata={}),
        SimpleNamespace(
            content="e",
            usage_metadata={"input_tokens": 90, "output_tokens": 6},
            response_metadata={"finish_reason": "stop", "model_name": "gpt-x-2026"},
        ),
    ]
    agent = langchain(Probe(tracing)).Agent(Provider.MISTRALAI, chunks)
    assert asyncio.run(agent.call_chat_model(None, follow)) == "one"
    span = only(tracing)
    expected = {
        names.PROVIDER_NAME: "mistral_ai",
        names.REQUEST_MODEL: "gpt-x",
        names.REQUEST_STREAM: True,
        names.MODEL_ROLE: "chat",
        names.CONVERSATION_ID: "chat-0",
        names.CHUNKS: 2,
        names.INPUT_TOKENS: 90,
        names.OUTPUT_TOKENS: 6,
        names.FINISH_REASONS: ["stop"],
        names.RESPONSE_MODEL: "gpt-x-2026",
    }
    assert expected.items() <= span.attributes.items()
    assert names.CALLBACK_SECONDS in span.attributes


def test_where_a_call_below_has_the_span_only_the_role_is_told():
    tracing = Recording()
    probe = Probe(tracing)
    host = langchain(probe, own_stream=False)
    seen: list[Any] = []
    agent = host.Agent("openai", [SimpleNamespace(content="one")])

    async def looks(_delta: str, _full: str) -> None:
        caller = probe.caller.get()
        seen.append((caller.agent, caller.role))

    assert asyncio.run(agent.call_chat_model(None, looks)) == "one"
    assert tracing.spans == []
    assert seen == [(agent, "chat")]
    assert probe.caller.get() is None
