"""One answer of a model as it comes in: counted and timed, never kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from autoperf.errors.around import Around, around
from autoperf.errors.fence import MISS, Shortcut, fenced
from autoperf.errors.switch import ALWAYS
from autoperf.instrumentation.agentzero.tracing import usage as answers
from autoperf.instrumentation.agentzero.tracing.call_time import CALLBACK, CLIENT, HOST, CallTime
from autoperf.instrumentation.agentzero.tracing.usage import Answer, Usage
from autoperf.telemetry import names

_SEAM: Final = "model streams"
# Names of extensions are the host's, and few; a bound all the same.
_NAMES_KEPT: Final = 100
_clock: Final = time.perf_counter


class Caller:
    """Which agent asks for a model, and as what: ``chat`` or ``utility``."""

    __slots__ = ("__weakref__", "agent", "role")

    def __init__(self, agent: Any, role: str) -> None:
        self.agent = agent
        self.role = role


class Current(Protocol):
    """The call of an extension point that goes on for a chunk; ``outer`` is the variable's where it began."""

    outer: Any

    def begins(self, extension: type) -> bool:
        """An extension has been made; whether it is one of this call."""


class Stream:
    """Counters of one model call, of which the host may make several requests until one is answered.

    Belongs to the context of the call: the host reads a stream and runs its callbacks one after another.
    ``current`` is the extension call of a chunk. What is called for every chunk here does nothing that could
    fail.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_below",
        "_extended",
        "_extensions",
        "_functions",
        "_inside",
        "_noted",
        "_raw_model",
        "_raw_usage",
        "_waited",
        "answer",
        "callback_seconds",
        "chunks",
        "current",
        "first",
        "found",
        "last",
        "requests",
        "slowest",
        "slowest_extension",
        "slowest_point",
        "streamed",
        "time",
    )

    def __init__(self) -> None:
        self.time = CallTime()
        self._begun = _clock()
        self._below = 0.0  # seconds of functions of `below` in the callback that goes on
        self._extended = 0.0  # and of extensions
        self._extensions: dict[tuple[str, str], float] = {}
        self._functions: dict[str, float] = {}
        self._inside = False
        self._noted = ("", "", 0.0)
        self._raw_model = ""
        self._raw_usage: Any = None
        self._waited = 0.0
        self.answer: Any = None
        self.callback_seconds = 0.0
        self.chunks = 0
        self.current: Current | None = None
        self.first = 0.0
        self.last = 0.0
        self.requests = 0
        self.slowest = 0.0
        self.slowest_extension = ""
        self.slowest_point = ""
        self.streamed = True
        self.found = Answer(Usage())

    def requested(self, *, streamed: bool) -> None:
        """The host asks the provider, for the first time or again: what came before was no answer."""
        self._release()
        self.requests += 1
        self.streamed = streamed
        self.chunks = 0
        self._begun = self.time.worked(CLIENT)

    def refused(self) -> None:
        """The request has failed: what follows is the host's, until it asks again."""
        self.time.worked(HOST)

    def follow(self, answer: Any) -> None:
        """``answer`` is what came of the request; of its raw chunks, those are noted that report usage."""
        self.answer = answer
        stream = answers.stream_of(answer)
        create = getattr(stream, "chunk_creator", None)
        if not callable(create) or not hasattr(stream, "__dict__"):
            return

        def note(chunk: Any) -> Any:
            usage = getattr(chunk, "usage", None)
            if usage is not None:
                self._raw_usage = usage
            if not self._raw_model:
                self._raw_model = str(getattr(chunk, "model", None) or "")
            return MISS

        vars(stream)["chunk_creator"] = fenced(_SEAM, create, ALWAYS, Shortcut(note))

    def _release(self) -> None:
        # The stream is closed when the host lets go of it: nothing of ours may hold it longer.
        stream = answers.stream_of(self.answer)
        if hasattr(stream, "__dict__"):
            vars(stream).pop("chunk_creator", None)
        self.answer = None
        self._raw_model, self._raw_usage = "", None

    def arrived(self) -> None:
        """One chunk is here."""
        self.last = _clock()
        if not self.chunks:
            self.first = self.last
        self.chunks += 1

    def take(self, chunk: Any) -> None:
        """Keep what a LangChain chunk says of the whole answer: mostly nothing, at the ends something."""
        usage = getattr(chunk, "usage_metadata", None)
        if usage:
            self.found.usage.add(answers.of_langchain(usage))
        told = getattr(chunk, "response_metadata", None)
        if told:
            self.found.finish_reason = str(told.get("finish_reason") or told.get("done_reason") or "")
            self.found.model = str(told.get("model_name") or told.get("model") or "")

    def finished(self, provider: str) -> Answer:
        """What the provider said of its answer, as far as the host has read it; see `answers.read`."""
        if self.answer is not None:
            self.found = answers.read(self.answer, provider)
            self.found.usage.update(answers.usage_of(self._raw_usage, provider))
            self.found.model = self.found.model or self._raw_model
            self._release()
        return self.found

    def note(self, point: str, begun: list[tuple[type, float]], end: float) -> None:
        """An extension call has run until ``end``; each extension until the next had begun.

        It counts inside a callback of this answer.
        """
        if not self._inside:
            return
        known = self._extensions
        for extension, since in reversed(begun):
            seconds, end = end - since, since
            self._extended += seconds
            key = point, extension.__name__
            if key in known:
                known[key] += seconds
            elif len(known) < _NAMES_KEPT:
                known[key] = seconds
            if seconds > self._noted[2]:
                self._noted = (*key, seconds)

    def calls(self) -> bool:
        """Whether a callback goes on, and none of its extensions."""
        return self._inside and self.current is None

    def below(self, name: str, seconds: float) -> None:
        """The function ``name`` of the host has run in the callback that goes on."""
        self._below += seconds
        self._functions[name] = self._functions.get(name, 0.0) + seconds

    def waited(self, seconds: float) -> None:
        """The agent was paused for ``seconds``: inside a callback that is no time the framework spent."""
        if self._inside:
            self._waited += seconds

    def timed(self, callback: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """``callback``, with its time taken; what it returns or raises passes unchanged."""
        name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
        return around(_SEAM, callback, ALWAYS, Around(_Callback(self, name).begin), is_async=True)

    def _called(self, name: str, seconds: float) -> None:
        seconds = max(0.0, seconds - self._waited)
        self.callback_seconds += seconds
        own = max(0.0, seconds - self._extended - self._below)
        self._functions[name] = self._functions.get(name, 0.0) + own
        if seconds > self.slowest:
            self.slowest = seconds
            self.slowest_point, self.slowest_extension, _ = self._noted
        self._noted, self._waited, self._extended, self._below = ("", "", 0.0), 0.0, 0.0, 0.0
        self._inside = False

    def seconds_to_first_chunk(self) -> float | None:
        """From the request that was answered; None without a chunk."""
        return self.first - self._begun if self.streamed and self.chunks else None

    def attributes(self, *, alone: bool = False) -> dict[str, Any]:
        """What the span says about the call, and of a stream how it came in.

        ``alone`` says that no other call and no other chat ran meanwhile: what the thread did while this call
        was suspended was its event loop's work for it, as the client's sockets and TLS are.
        """
        found = self._layers(alone=alone)
        if not self.streamed:
            return found
        found |= {
            names.TIME_TO_FIRST_CHUNK: self.seconds_to_first_chunk(),
            names.CHUNKS: self.chunks,
            names.TOKENS_PER_SECOND: self._tokens_per_second(),
        }
        if self.slowest:
            found[names.CALLBACK_SECONDS] = self.callback_seconds
            found[names.CALLBACK_SLOWEST] = self.slowest
            found[names.CALLBACK_SLOWEST_POINT] = self.slowest_point or None
            found[names.CALLBACK_SLOWEST_EXTENSION] = self.slowest_extension or None
            function, spent = _most(self._seconds_by_function())
            found[names.CALLBACK_FUNCTION], found[names.CALLBACK_FUNCTION_SECONDS] = function, spent
        if self._extensions:
            (point, extension), spent = _most(self._extensions)
            found[names.CALLBACK_POINT], found[names.CALLBACK_EXTENSION] = point, extension
            found[names.CALLBACK_EXTENSION_SECONDS] = spent
        return found

    def _seconds_by_function(self) -> dict[str, float]:
        found = dict(self._functions)
        for (_, extension), seconds in self._extensions.items():
            function = f"{extension}.execute"
            found[function] = found.get(function, 0.0) + seconds
        return found

    def _layers(self, *, alone: bool) -> dict[str, Any]:
        time = self.time
        if time.lost:
            return {}
        # Where no request is seen, as with LangChain, all around the callbacks is the client's.
        client, around = ((CLIENT,), (HOST,)) if self.requests else ((HOST, CLIENT), ())
        active, cpu, apart, apart_cpu = (
            sum(seconds[phase] for phase in client)
            for seconds in (time.active, time.active_cpu, time.apart, time.apart_cpu)
        )
        return {
            names.FRAMEWORK_SECONDS: self.callback_seconds + sum(time.active[phase] for phase in around),
            names.FRAMEWORK_CPU: sum(time.active_cpu[phase] for phase in (CALLBACK, *around)),
            names.PAUSED_SECONDS: sum(time.apart[phase] for phase in around) or None,
            names.PROVIDER_SECONDS: max(0.0, apart - apart_cpu),
            names.CLIENT_SECONDS: active + (min(apart, apart_cpu) if alone else 0.0),
            names.CLIENT_CPU: cpu + (apart_cpu if alone else 0.0),
        }

    def _tokens_per_second(self) -> float | None:
        seconds = self.last - self.first
        tokens = self.found.usage.output_tokens
        return tokens / seconds if tokens and seconds > 0 else None


class _Callback:
    """One callback of a stream, which the host runs for one chunk after the other."""

    __slots__ = ("_around", "_name", "_since", "_stream")

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream, self._name = stream, name
        self._around, self._since = HOST, 0.0

    def begin(self, /, *_args: Any, **_kwargs: Any) -> _Callback:
        """It is about to run."""
        stream = self._stream
        stream._inside = True
        self._around = stream.time.phase
        self._since = stream.time.worked(CALLBACK)
        return self

    def end(self, _error: BaseException | None) -> None:
        """It has returned or raised."""
        self._stream._called(self._name, self._stream.time.worked(self._around) - self._since)


def _most(seconds: dict[Any, float]) -> tuple[Any, float]:
    return max(seconds.items(), key=lambda item: item[1])
