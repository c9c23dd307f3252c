"""The host's constant check for a user's message or a pause: lossless, and nearly free when idle."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from inspect import unwrap
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.context import Probe, is_intervention
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_names, expect_parameters
from autoperf.telemetry import names

Check = Callable[..., Awaitable[Any]]


# All that the host's check asks for, v0.8 - v2.6.
ASKED: Final = frozenset(
    {"InterventionException", "asyncio", "context", "current_tool", "hist_add_ai_response", "intervention"}
    | {"hist_add_tool_result", "hist_add_user_message", "loop_data", "name", "paused", "progress"}
    | {"set_progress", "sleep", "strip", "wait_if_paused"}
)
_REPLACED: Final = "wait_if_paused, which it relies on, was replaced"


def plain(probe: Probe) -> Callable[[Check, Switch], Shortcut]:
    """For hosts whose check is two attribute reads (v0.8 to v0.9.8): the same two reads, and a counter."""

    def build(original: Check, _switch: Switch) -> Shortcut:
        expect_parameters(original, "self", "progress")
        expect_names(original, ASKED)
        idle = 0
        probe.interventions.count_idle_with(lambda: idle)

        def nothing_pending(self: Any, progress: str = "") -> Any:  # noqa: ARG001 - the host's
            nonlocal idle
            if self.context.paused or self.intervention:
                return MISS
            idle += 1
            return None

        return Shortcut(nothing_pending, _busy(probe))

    return build


def extensible(probe: Probe, points: ExtensionClasses | None) -> Callable[[Check, Switch], Any]:
    """For hosts that wrap the check in two extension points (v0.9.9 on): idle while both are empty.

    Without ``points`` nothing is cut short: the check is only counted, and a wait or a raise becomes a span.
    """

    def build(original: Check, switch: Switch) -> Any:
        expect_parameters(original, "self", "progress")
        expect_names(original, ASKED)
        if points is None:
            return _busy(probe)
        points.together.joins("", switch)
        idle = 0
        probe.interventions.count_idle_with(lambda: idle)
        inner: Any = unwrap(original)
        owner, _, _ = inner.__qualname__.rpartition(".")
        base = os.path.join("_functions", *inner.__module__.split("."), *owner.split("."), inner.__name__)
        both_empty = points.pair(os.path.join(base, "start"), os.path.join(base, "end"))
        kind = inner.__globals__.get(owner)
        waits = getattr(kind, "wait_if_paused", None)

        def judge() -> None:
            if getattr(kind, "wait_if_paused", None) is not waits:
                switch.stand_aside(_REPLACED)
            elif switch.aside is not None and switch.aside[1] == _REPLACED:
                switch.act_again()

        probe.idle_work.append(judge)

        def nothing_pending(self: Any, progress: str = "") -> Any:  # noqa: ARG001 - the host's
            nonlocal idle
            if (
                self.context.paused
                or self.intervention
                or type(self).wait_if_paused is not waits
                or not both_empty(self)
            ):
                return MISS
            idle += 1
            return None

        return Shortcut(nothing_pending, _busy(probe))

    return build


def _busy(probe: Probe) -> Check:
    async def handle_intervention(call: Any, self: Any, progress: str = "") -> Any:
        paused, pending = bool(self.context.paused), bool(self.intervention)
        started = time.time_ns()
        outcome = ""
        try:
            return await call(self, progress)
        except BaseException as error:
            outcome = "raised" if is_intervention(error) else "error"
            raise
        finally:
            with guarded("handle_intervention"):
                probe.interventions.busy += 1
                probe.interventions.waited += paused
                probe.interventions.raised += outcome == "raised"
                if paused or pending:
                    ended = time.time_ns()
                    waited = (ended - started) / 1e9 if paused else 0.0
                    stream = probe.stream.get()
                    if stream is not None:
                        stream.waited(waited)
                    attributes = {names.WAITED: waited, names.RAISED: outcome == "raised"}
                    probe.record(names.INTERVENTION, started, ended, attributes)

    return handle_intervention
