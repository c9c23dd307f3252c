"""The actions that start and stop the monitor: for a while, then it is again as it was configured."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors.wording import duration
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.process.optimizer.arguments import number
from autoperf.process.runtime import Runtime

_LONGEST_INTERVAL_S: Final = 3600.0
STARTED_S: Final = 3600.0
STOPPED_S: Final = 600.0


class Monitoring:
    """What the tool made of the monitor, and until when."""

    def __init__(self, runtime: Runtime, clock: Callable[[], float] = time.time) -> None:
        self._runtime = runtime
        self._clock = clock
        self._until: float | None = None
        runtime.probe.idle_work.append(self.restore_when_due)

    def start(self, call: Call) -> str:
        """``interval``: seconds from one sample to the next."""
        interval = number(call.arguments, "interval", 0.5, _LONGEST_INTERVAL_S)
        return self._changed(lambda: self._runtime.monitor.start(interval), STARTED_S)

    def stop(self, _call: Call) -> str:
        """No samples, and no stalls."""
        return self._changed(self._runtime.monitor.stop, STOPPED_S)

    def restore_when_due(self) -> None:
        """Asked once a second: when the time is over, the monitor is as the options say."""
        if self._until is not None and self._clock() >= self._until:
            self._until = None
            config, monitor = self._runtime.config, self._runtime.monitor
            if config.on("monitor"):
                monitor.start(config.monitor_interval)
            else:
                monitor.stop()
                monitor.interval = config.monitor_interval
            self._tell()

    def _changed(self, change: Callable[[], None], seconds: float) -> str:
        before = self._state()
        change()
        self._until = self._clock() + seconds
        self._tell()
        return f"Monitor: {self._state()} (before: {before}), for {duration(seconds)} at most."

    def _state(self) -> str:
        monitor = self._runtime.monitor
        return f"a sample every {monitor.interval:g} s" if monitor.running else "off"

    def _tell(self) -> None:
        told: dict[str, Any] = {"monitor": self._state(), "monitor_until": self._until}
        self._runtime.probe.note_tool_use(told if self._until is not None else dict.fromkeys(told))
