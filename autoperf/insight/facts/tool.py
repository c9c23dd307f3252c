"""What the agent's tool `performance_optimizer` did in a process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from autoperf.errors.wording import count, is_number


def tool_use(record: Mapping[str, Any]) -> str:
    """Its calls, what they took and what they changed, as one line; "" where it was never called."""
    use = record.get("optimizer") or {}
    if not use:
        return ""
    actions = ", ".join(f"{name} {count(number)}" for name, number in (use.get("actions") or {}).items())
    parts = [f"{count(use.get('calls'))} calls{f' ({actions})' if actions else ''}"]
    parts += [f"{count(use['refused'])} refused"] if use.get("refused") else []
    if is_number(use.get("seconds")):
        parts.append(f"{use['seconds']:.1f} s of its own")
    if use.get("monitor") and is_number(use.get("monitor_until")):
        until = time.strftime("%H:%M:%S", time.localtime(use["monitor_until"]))
        parts.append(f"monitor {use['monitor']} by it until {until}")
    options = ", ".join(f"{name} {value}" for name, value in (use.get("options") or {}).items())
    return ", ".join([*parts, *([f"options changed by it: {options}"] if options else [])])
