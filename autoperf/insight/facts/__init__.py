"""What recommendations are made from: everything measured of one process, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from autoperf.insight.traces.timings import Timing

Weight = Literal["high", "medium", "low"]
# Of fewer nothing is concluded.
_MESSAGES: Final = 5


@dataclass(frozen=True)
class Recommendation:
    """One piece of advice: what was measured, what to expect, and exactly what to do.

    ``setting`` is the option of autoperf's and its value where autoperf itself can do it, else None.
    """

    rule: str
    weight: Weight
    title: str
    evidence: str
    gain: str
    action: str
    setting: tuple[str, str] | None = None


@dataclass(frozen=True)
class PromptSize:
    """Input tokens of one model call, by the provider's own count."""

    chat: str
    at: float
    tokens: int


@dataclass(frozen=True)
class Use:
    """The last use of something: when it began (s since the epoch), and how many messages ago."""

    at: float
    messages_ago: int


@dataclass(frozen=True)
class Host:
    """What is known of the host itself; None where it could not be found out.

    ``torch_loaded`` whether PyTorch is in memory, ``local_models`` whether anything that needs it was made;
    ``bytecode`` whether imports find or leave compiled files; ``file_system`` the type that the state
    directory lies on, ``remote`` whether that may be a network's; ``root_file_system`` and ``root_remote``
    say the same of the host's own folder.
    """

    version: str | None = None
    torch_loaded: bool | None = None
    local_models: bool | None = None
    bytecode: bool | None = None
    file_system: str = ""
    remote: bool = False
    root_file_system: str = ""
    root_remote: bool = False


@dataclass(frozen=True)
class Facts:
    """All of it; whatever is missing is empty, and a rule that needs it says nothing.

    ``process`` is the record of the process (`autoperf status --json`), ``samples`` and ``stalls`` are oldest
    first, ``timings`` are those of the newest traces. In ``messages`` user messages, which took
    ``message_seconds`` in all, ``tool_seconds`` are those in which a tool ran, by its name, and ``callbacks``
    names what took most of the framework's time on streams. ``options`` holds the values in force by name.
    ``uses`` tells of kinds and names of ``timings`` when each was last used.
    """

    process: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[Mapping[str, Any]] = ()
    stalls: Sequence[Mapping[str, Any]] = ()
    timings: Sequence[Timing] = ()
    messages: int = 0
    message_seconds: float = 0.0
    tool_seconds: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, float] = field(default_factory=dict)
    callbacks: str = ""
    prompts: Sequence[PromptSize] = ()
    chats: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    host: Host = Host()
    uses: Mapping[tuple[str, str], Use] = field(default_factory=dict)

    def on(self, feature: str) -> bool:
        """Whether a feature of autoperf's is on in that process."""
        return feature in (self.process.get("features") or ())

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Times and values of one number in the samples that have it."""
        rows = [row for row in self.samples if isinstance(row.get(name), (int, float))]
        return [float(row["at"]) for row in rows], [float(row[name]) for row in rows]

    def in_use(self, timing: Timing, messages: int = 10) -> bool:
        """Whether it was among the newest ``messages``, or nothing is known of that."""
        use = self.uses.get((timing.kind, timing.name))
        return not self.uses or (use is not None and use.messages_ago < messages)

    def newest(self, kind: str) -> str | None:
        """The name of the last of its kind that was used; None where nothing is known of that."""
        times = {name: use.at for (of, name), use in self.uses.items() if of == kind}
        return max(times, key=times.__getitem__, default=None)

    def share(self, layer: str) -> float:
        """What part of the time of messages one layer took, 0 to 1; 0 where too few were measured."""
        if self.messages < _MESSAGES or not self.message_seconds:
            return 0.0
        return self.layers.get(layer, 0.0) / self.message_seconds

    def timed(self, kind: str) -> list[Timing]:
        """The timings of one kind, most time first."""
        return [timing for timing in self.timings if timing.kind == kind]
