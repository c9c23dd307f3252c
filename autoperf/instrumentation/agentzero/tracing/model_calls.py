"""Calls of the model: a `chat` span each, the chunks of their streams counted on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from autoperf.errors import class_name, guarded
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.activity import activity
from autoperf.instrumentation.agentzero.context import Probe, agent_attributes, is_intervention, restore
from autoperf.instrumentation.agentzero.tracing import messages
from autoperf.instrumentation.agentzero.tracing import usage as answers
from autoperf.instrumentation.agentzero.tracing.call_time import timed
from autoperf.instrumentation.agentzero.tracing.stream_stats import Caller, Stream
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_parameters
from autoperf.telemetry import names

_KEYS: Final = (names.AGENT_NAME, names.CONVERSATION_ID)
_MEASURED_BY: Final = (names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL)
_CALLBACKS: Final = ("response_callback", "reasoning_callback", "tokens_callback", "callback")
# Where callbacks may stand among positional arguments; the rate limiter's, behind them, is none of a stream.
_CALLBACK_PLACES: Final = range(1, 6)
# litellm's and the host's names of providers, where the GenAI conventions have another one.
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "other": "openai",  # of the host's: anything that speaks OpenAI's protocol
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
UNKNOWN: Final = "unknown"


def calling(probe: Probe, role: str) -> Callable[..., Any]:
    """For ``Agent.call_chat_model`` and its kin: tells the call below on whose behalf it is made."""

    async def call_model(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        probe.arrive()
        caller = Caller(instance, role)  # held here alone
        token = probe.caller.set(caller)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            restore(probe.caller, token)

    return call_model


def call(probe: Probe) -> Callable[..., Any]:
    """For ``LiteLLMChatWrapper.unified_call`` and ``unified_turn``: one span, however often it is tried."""

    async def unified(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        if probe.tracing is None:
            return await wrapped(*args, **kwargs)
        chat: _Chat | None = None
        with guarded("chat span"):
            model = str(getattr(instance, "provider", "")), str(getattr(instance, "model_name", ""))
            chat = _Chat(probe, probe.caller.get(), model, args, kwargs)
        return await (wrapped(*args, **kwargs) if chat is None else chat.run(wrapped))

    return unified


class _Chat:
    """One call of a model: its span from beginning to end."""

    def __init__(
        self, probe: Probe, caller: Caller | None, model: tuple[str, str], args: Any, kwargs: Any
    ) -> None:
        self.probe = probe
        self.stream = Stream()
        self.caller = caller
        provider, name = model
        self.provider = (provider or name.partition("/")[0]).lower()
        self.model = name.removeprefix(f"{provider}/") or UNKNOWN
        self.prompt = messages.prompt(args, kwargs) if probe.content.on else []
        self.args, self.kwargs = self._with_time_taken(args, kwargs)
        self.known_before = self._known_before()
        self.started = time.perf_counter()

    def _with_time_taken(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        # None stays None: from whether there is a callback the host derives whether to stream.
        timed = self.stream.timed
        given = {key: timed(kwargs[key]) for key in _CALLBACKS if callable(kwargs.get(key))}
        placed = {i: timed(args[i]) for i in _CALLBACK_PLACES if i < len(args) and callable(args[i])}
        self.stream.streamed = bool(given or placed)
        return [placed.get(i, value) for i, value in enumerate(args)], {**kwargs, **given}

    async def run(self, wrapped: Callable[..., Any]) -> Any:
        failure = ""
        with self.probe.span(f"{names.CHAT} {self.model}", self.known_before, names.CLIENT) as span:
            token = self.probe.stream.set(self.stream)
            agent, chat = (self.known_before.get(key, "") for key in _KEYS)
            work = self.probe.underway.begin(activity.MODEL, self.model, agent, chat)
            busy = self.probe.underway.busy
            alone = self.probe.underway.alone(work)
            with guarded("chat content"):
                self._tell_prompt(span)
            try:
                result = await timed(wrapped(*self.args, **self.kwargs), self.stream.time)
                with guarded("chat content"):
                    self._tell_answer(span, result)
                return result
            except Exception as error:
                failure = "" if is_intervention(error) else class_name(error)
                raise
            finally:
                self.probe.underway.end(work)
                restore(self.probe.stream, token)
                with guarded("chat span"):
                    self._tell(span, failure, alone=alone and busy == self.probe.underway.busy)

    def _known_before(self) -> dict[str, Any]:
        turn = self.probe.turn.get()
        whose = turn.attributes() if turn is not None else {}
        if self.caller is not None:
            whose = {**agent_attributes(self.caller.agent, _KEYS), names.MODEL_ROLE: self.caller.role}
        return {
            names.OPERATION_NAME: names.CHAT,
            names.PROVIDER_NAME: _PROVIDERS.get(self.provider, self.provider) or UNKNOWN,
            names.REQUEST_MODEL: self.model,
            names.REQUEST_STREAM: self.stream.streamed,
            **whose,
        }

    def _tell(self, span: Any, failure: str, *, alone: bool) -> None:
        stream = self.stream
        stream.time.ended()
        found = stream.finished(self.provider)
        attributes = {
            names.REQUEST_STREAM: stream.streamed,
            names.MODEL_REQUESTS: stream.requests if stream.requests > 1 else None,
            names.FINISH_REASONS: [found.finish_reason] if found.finish_reason else None,
            names.RESPONSE_MODEL: found.model or None,
            **found.usage.attributes(),
            **stream.attributes(alone=alone),
        }
        for key, value in attributes.items():
            if value is not None:
                span.set(key, value)
        turn = self.probe.turn.get()
        if turn is not None:
            turn.called(attributes)
        self._measure(found.usage, failure)

    def _measure(self, usage: answers.Usage, failure: str) -> None:
        measure = self.probe.measure
        shared = {key: self.known_before[key] for key in _MEASURED_BY}
        seconds = time.perf_counter() - self.started
        measure(names.OPERATION_DURATION, seconds, shared | ({names.ERROR_TYPE: failure} if failure else {}))
        first = self.stream.seconds_to_first_chunk()
        if first is not None:
            measure(names.FIRST_CHUNK_DURATION, first, shared)
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                measure(names.TOKEN_USAGE, tokens, {**shared, names.TOKEN_TYPE: kind})

    def _tell_prompt(self, span: Any) -> None:
        if self.probe.content.on:
            owner = self._owner()
            system, conversation = messages.apart(self.prompt)
            span.set(names.SYSTEM_INSTRUCTIONS, self.probe.content.parts(owner, system))
            span.set(names.INPUT_MESSAGES, self.probe.content.messages(owner, conversation))

    def _tell_answer(self, span: Any, result: Any) -> None:
        if self.probe.content.on:
            told = messages.output(result, self.stream.finished(self.provider).finish_reason)
            span.set(names.OUTPUT_MESSAGES, self.probe.content.messages(self._owner(), told))

    def _owner(self) -> Any:
        return None if self.caller is None else self.caller.agent


def request(probe: Probe) -> Callable[..., Any]:
    """For the host's copies of litellm's ``acompletion`` and ``aresponses``: what came of each request."""

    async def send(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        stream = probe.stream.get()
        if stream is None:
            return await wrapped(*args, **kwargs)
        with guarded("model answer"):
            stream.requested(streamed=bool(kwargs.get("stream")))
        try:
            answer = await wrapped(*args, **kwargs)
        except BaseException:
            with guarded("model answer"):
                stream.refused()
            raise
        with guarded("model answer"):
            stream.follow(answer)
        return answer

    return send


Build = Callable[[Callable[..., Any], Switch], Any]


def chunk(probe: Probe) -> Build:
    """For the host's ``_parse_chunk(chunk)``, through which every chunk of Chat Completions passes."""

    def build(original: Callable[[Any], Any], _switch: Switch) -> Shortcut:
        expect_parameters(original, "chunk")
        current = probe.stream.reference

        def parse(_chunk: Any) -> Any:
            stream = current()()
            if stream is not None:
                stream.arrived()
            return MISS

        return Shortcut(parse)

    return build


def event(probe: Probe) -> Build:
    """For the host's ``ResponsesEventParser.parse(event)``: of the many kinds, a chunk is what adds text."""

    def build(original: Callable[[Any, Any], Any], _switch: Switch) -> Shortcut:
        expect_parameters(original, "self", "event")
        current = probe.stream.reference

        def parse(_parser: Any, event: Any) -> Any:
            stream = current()()
            if stream is not None:
                kind = getattr(event, "type", None)
                if isinstance(kind, str) and kind.endswith(".delta"):
                    stream.arrived()
            return MISS

        return Shortcut(parse)

    return build


class LangChain:
    """The calls of v0.8 to v0.9.1, whose agent reads LangChain's stream itself.

    v0.9.2 is patched by the same rows, but its `models` has no ``parse_chunk``: its calls only tell the role.
    """

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self._reads_itself = False

    def chunk(self, original: Callable[[Any], Any], _switch: Switch) -> Shortcut:
        """For ``models:parse_chunk(chunk)``."""
        expect_parameters(original, "chunk")
        self._reads_itself = True
        current = self.probe.stream.reference

        def parse_chunk(chunk: Any) -> Any:
            stream = current()()
            if stream is not None:
                stream.arrived()
                stream.take(chunk)
            return MISS

        return Shortcut(parse_chunk)

    def calling(self, role: str) -> Callable[..., Any]:
        """For ``Agent.call_chat_model`` and its kin: the role, and the span where no call below has one."""
        tell_role = calling(self.probe, role)

        async def call_model(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
            if not self._reads_itself or self.probe.tracing is None:
                return await tell_role(wrapped, instance, args, kwargs)
            chat: _Chat | None = None
            with guarded("chat span"):
                config = getattr(getattr(instance, "config", None), f"{role}_model", None)
                provider = getattr(config, "provider", "")
                provider = provider.name if isinstance(provider, Enum) else str(provider)
                model = provider, str(getattr(config, "name", ""))
                chat = _Chat(self.probe, Caller(instance, role), model, args, kwargs)
                chat.stream.streamed = chat.known_before[names.REQUEST_STREAM] = True
            return await (wrapped(*args, **kwargs) if chat is None else chat.run(wrapped))

        return call_model
