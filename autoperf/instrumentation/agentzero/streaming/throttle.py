"""Chunks of an answer that come faster than wanted reach the agent's stream callbacks merged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.fence import MISS, Shortcut
from autoperf.errors.standins import standing_in_async
from autoperf.instrumentation.agentzero.context import Probe, restore
from autoperf.instrumentation.agentzero.streaming import held_chunks
from autoperf.instrumentation.agentzero.streaming.held_chunks import Callback, Held, Untold
from autoperf.instrumentation.agentzero.streaming.lookahead import SEAM, Lookahead
from autoperf.instrumentation.agentzero.streaming.pending_chunks import Kind, may_complete, same_kind
from autoperf.patching.patch import Bound, Switch, Together
from autoperf.patching.sources import expect_parameters
from autoperf.patching.weak_variable import WeakVar

Build = Callable[[Any, Switch], Any]
# An answer ended at a chunk that was held back.
_OTHERWISE: Final = "the host ends answers by a rule that is not known here"


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Calls of the model, what they read from, and the check that must not act on what is late."""
    throttle = Throttle(probe)
    for name, target in targets.items():
        if name.startswith("call"):
            yield target, throttle.joined(throttle.call)
        elif name.startswith("answer"):
            yield target, throttle.joined(throttle.answer)
        elif name.startswith("stream"):
            yield target, throttle.stream
        else:
            yield target, throttle.check


class _Late:
    """A delivery of chunks that ``agent`` would have seen earlier; tasks it leaves behind may see it."""

    __slots__ = ("__weakref__", "agent", "over")

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.over = False


class Throttle:
    """What the wrappers of one process share."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.interval = 1.0 / probe.stream_hz
        self.merged = probe.memo("stream chunks")  # a hit: held back, to be delivered with the next
        self.reading: WeakVar[Reading] = WeakVar("autoperf_reading")
        self.late: WeakVar[_Late] = WeakVar("autoperf_late")
        self.off = False
        self.together = Together("handle_intervention")

    def joined(self, wrapper: Callable[..., Any]) -> Build:
        """A row of its own for ``wrapper``: all of them act, or none does."""

        def build(_original: Any, switch: Switch) -> Bound:
            self.together.joins("", switch)
            return Bound(wrapper)

        return build

    async def call(self, wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        """For ``unified_call`` and ``unified_turn``: with the agent's own callbacks throttled."""
        reading: Reading | None = None
        with guarded(SEAM):
            reading = Reading.of(self, kwargs)
        if reading is None:
            if self.reading.get() is None:
                return await wrapped(*args, **kwargs)
        else:
            kwargs = {**kwargs, **reading.callbacks}
        token = self.reading.set(reading)
        try:
            result = await wrapped(*args, **kwargs)
            if reading is not None:
                await reading.finish()
            return result
        except Exception:
            # What the host never asked to go on from has been seen by its callbacks all the same.
            if reading is not None:
                await reading.flush_quietly()
            raise
        finally:
            if reading is not None:
                reading.end()
            restore(self.reading, token)

    async def answer(self, wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        """For the host's ``acompletion``, whose answer is read by the call around it."""
        answer = await wrapped(*args, **kwargs)
        reading = self.reading.get()
        if reading is None or not reading.reads_now() or not hasattr(answer, "__aiter__"):
            return answer
        return reading.follow(answer)

    def stream(self, original: Callable[[Any], Any], switch: Switch) -> Bound:
        """For ``LiteLLMTransport.astream(self)``, an asynchronous generator of chunks taken apart already."""
        expect_parameters(original, "self")
        self.together.joins("", switch)

        def astream(call: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
            answer = call(*args, **kwargs)
            reading = self.reading.get()
            if reading is None or not reading.reads_now():
                return answer
            return reading.follow(answer)

        return Bound(astream)

    def check(self, original: Callable[..., Any], switch: Switch) -> Shortcut:
        """For ``Agent.handle_intervention``: chunks that came before a message or pause pass it."""
        expect_parameters(original, "self", "progress")
        self.together.joins("handle_intervention", switch)
        if not held_chunks.knows_callbacks(original):
            self.stop("the agent's callbacks on a stream are others than are known")
        current = self.late.get

        def handle_intervention(self_: Any, progress: str = "") -> Any:  # noqa: ARG001 - the host's
            late = current()
            return None if late is not None and late.agent is self_ and not late.over else MISS

        return Shortcut(handle_intervention)

    def stop(self, reason: str, state: str = "unrecognised") -> None:
        """Every chunk is delivered as it comes, for the rest of the process."""
        if not self.off:
            self.off = True
            self.together.stand_aside(reason, state)


class Reading:
    """One call of a model on behalf of ``agent``: what was held back of its answer, and since when."""

    def __init__(self, throttle: Throttle, agent: Any) -> None:
        self.agent = agent
        self.over = False
        self.callbacks: dict[str, Callback] = {}
        self._throttle = throttle
        self._inside = False
        self._stream: Lookahead | None = None
        self._due = 0.0
        self._begun: set[Kind] = set()
        self._held: Held | None = None
        self._untold = Untold()
        self._raised: BaseException | None = None  # a callback's own, on its way to the host
        self.finish = self._standing_in(self.flush)

    @classmethod
    def of(cls, throttle: Throttle, kwargs: Mapping[str, Any]) -> Reading | None:
        """For a call with these arguments; None where one of its callbacks is not the agent's own."""
        if throttle.off or throttle.together.state() is None or kwargs.get("tokens_callback") is not None:
            return None
        reading = None
        for name, (qualified, kind) in held_chunks.CALLBACKS.items():
            callback = kwargs.get(name)
            if callback is None:
                continue
            agent = held_chunks.agent_of(callback, qualified)
            if agent is None or (reading is not None and reading.agent is not agent):
                return None
            reading = reading or cls(throttle, agent)
            reading.callbacks[name] = reading._throttled(kind, callback)
        return reading

    def end(self) -> None:
        """Let go of the stream: one that was left in the middle closes when nobody holds it any more."""
        self.over = True
        self._stream = self._held = self._raised = None
        self.callbacks.clear()
        del self.finish  # a circle

    def reads_now(self) -> bool:
        """Whether the host is about to read the call's own answer, not another one inside a callback."""
        return not self.over and not self._inside

    def follow(self, answer: Any) -> Lookahead:
        """``answer`` is what the call reads; what the host is to read instead."""
        self._stream = Lookahead(answer)
        return self._stream

    def _throttled(self, kind: Kind, callback: Callback) -> Callback:
        async def throttled(chunk: str, full: str) -> Any:
            self._untold.take(callback, chunk, full)
            # Switched off by an answer that was read at the same time: what is held comes first here too.
            at_once = self._throttle.off or self._interrupted()
            if self._held is not None and (self._held.kind != kind or at_once):
                ended = await self.flush()
                if ended is not None:
                    self._throttle.stop(_OTHERWISE)
                    return ended
            if self._stream is None or at_once or self._interrupted():
                return await self._deliver(callback, chunk, full)
            held = self._held = self._held or Held(kind, callback)
            held.add(chunk, full)
            urgent = kind not in self._begun or may_complete(chunk, full)
            self._begun.add(kind)
            waits = not urgent and self._stream is not None and _now() < self._due
            if waits and await self._goes_on(self._stream, kind):
                self._throttle.merged.count(hit=True)
                return None
            self._throttle.merged.count(hit=False)
            if len(held.chunks) == 1 and not waits:
                self._held = None
                return await self._deliver(callback, chunk, full)
            result = await self.flush()
            if result is not None and not urgent:
                self._throttle.stop(_OTHERWISE)
            return result

        return self._standing_in(throttled, callback)

    def _standing_in(self, ours: Callable[..., Any], *callback: Callback) -> Callable[..., Any]:
        """Fenced; where ours fails, everything is delivered chunk by chunk, now and from then on."""

        async def plainly(*chunk: str) -> Any:
            self._throttle.stop("a delivery of its own failed", "failed")
            self._held = None
            return await self._untold.tell(*callback, *chunk)

        return standing_in_async(SEAM, ours, plainly, lambda error, *_: error is self._raised)

    async def _goes_on(self, stream: Lookahead, kind: Kind) -> bool:
        """Whether the next chunk is for the same callback, and comes before the held ones are due."""
        started = time.perf_counter()
        try:
            arrived = await stream.arrives(self._due)
            return arrived and same_kind(stream.ahead, kind)
        except asyncio.CancelledError:
            # The chunks had come before it. It goes on its way whatever comes of them.
            await self.flush_quietly()
            raise
        finally:
            # The time of the model, not of the callback in which we wait for it.
            spans = self._throttle.probe.stream.get()
            if spans is not None:
                spans.waited(time.perf_counter() - started)

    async def flush_quietly(self) -> None:
        """Deliver what is held on the way of another exception, which is the one that the host is to see."""
        with contextlib.suppress(Exception):
            await self.finish()

    async def flush(self) -> Any:
        """Deliver what is held; neither message nor pause, both of which came later, stop it."""
        held, self._held = self._held, None
        if held is None:
            return None
        late = _Late(self.agent)
        token = self._throttle.late.set(late)
        try:
            for chunk, full in held.deliveries():
                result = await self._deliver(held.callback, chunk, full)
                if result is not None:
                    return result
            return None
        finally:
            late.over = True
            restore(self._throttle.late, token)

    async def _deliver(self, callback: Callback, chunk: str, full: str) -> Any:
        self._untold.give(callback, full)
        self._inside = True
        try:
            result = self._untold.result = await callback(chunk, full)
        except BaseException as error:
            self._raised = error
            with guarded(SEAM):
                await self._abandon()
            raise
        finally:
            self._inside = False
            with guarded(SEAM):
                self._due = _now() + self._throttle.interval
        if result is not None:
            with guarded(SEAM):
                await self._abandon()
        return result

    async def _abandon(self) -> None:
        if self._stream is not None and self._stream.pending:
            await self._stream.abandon()

    def _interrupted(self) -> bool:
        agent = self.agent
        return bool(agent.intervention or agent.context.paused)


def _now() -> float:
    return asyncio.get_running_loop().time()
