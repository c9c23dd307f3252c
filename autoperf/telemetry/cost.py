"""What making one span costs the thread that makes it, measured here and now."""

from __future__ import annotations

import time
from typing import Final

from autoperf.telemetry import names

_ROUNDS: Final = 7
_SPANS: Final = 100


def span_seconds() -> float | None:
    """CPU seconds of one span with three attributes, median of 7 rounds of 100; None without the SDK.

    Only the part that the host waits for: storing and sending happen on threads of their own.
    """
    try:
        from autoperf.telemetry import provider, spans
        from autoperf.telemetry.variables import Variables
    except ImportError:
        return None
    variables = Variables({})
    made = provider.make_provider(provider.make_resource({}, variables), variables)
    made.add_span_processor(provider.Processor(lambda _span: None))
    attributes = {names.OPERATION_NAME: names.EXECUTE_TOOL, names.TOOL_NAME: "x", names.AGENT_NAME: "x"}
    make = spans.Make(provider.source(made, shared=False), names.EXECUTE_TOOL, attributes)
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(_SPANS):
            with spans.ActiveSpan(make, False, lambda _error: False):
                pass
        rounds.append((time.thread_time() - begun) / _SPANS)
    return sorted(rounds)[_ROUNDS // 2]
