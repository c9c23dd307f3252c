"""What the wrappers share: counters, execution statistics, and the way to spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

from autoperf.errors import begin_anew, guarded
from autoperf.instrumentation.agentzero.activity.activity import Underway
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.tracing.background import Origin, end_with, left
from autoperf.instrumentation.agentzero.tracing.content import Content
from autoperf.instrumentation.agentzero.tracing.stream_stats import Caller
from autoperf.instrumentation.agentzero.tracing.stream_stats import Stream as Stream
from autoperf.instrumentation.agentzero.tracing.turn import NEVER_NS as NEVER_NS
from autoperf.instrumentation.agentzero.tracing.turn import SHORT_NS as SHORT_NS
from autoperf.instrumentation.agentzero.tracing.turn import Turn as Turn
from autoperf.memo.counters import Executions, Interventions, Lookups
from autoperf.memo.memo import ENTRIES, Memo
from autoperf.memo.prefix import GrowingTexts
from autoperf.memo.watch import Watch
from autoperf.patching.weak_variable import WeakVar
from autoperf.telemetry import names
from autoperf.telemetry.no_span import NO_SPAN

if TYPE_CHECKING:
    from autoperf.telemetry.tracing import Telemetry


class Step:
    """One pass of the host through its tool processing, to tell the tool's own time from the rest."""

    __slots__ = ("__weakref__", "call_id", "own_seconds", "tool")

    def __init__(self, call_id: str | None = None) -> None:
        self.call_id = call_id  # of the native call that is answered here
        self.tool: str | None = None
        self.own_seconds = 0.0


class Point(Protocol):
    """The extension call that goes on here.

    Tasks that an extension leaves behind may see it: once the call is over it takes nothing any more.
    """

    def begins(self, extension: type) -> bool:
        """An extension has been made, and is about to run; whether it is one of this call."""

    def found(self, classes: list[type], reads: int = 0) -> None:
        """A loader has found ``classes`` on behalf of the call, and read ``reads`` files for it."""


def restore(variable: ContextVar[Any] | WeakVar[Any], token: Token[Any]) -> None:
    """Reset a context variable; in a context that is gone (a coroutine closed elsewhere) it stays."""
    try:  # noqa: SIM105 - contextlib.suppress costs more than all the rest, and this runs at every call
        variable.reset(token)
    except (ValueError, RuntimeError):
        pass


class PathAnswers(Protocol):
    """What the host's ``get_paths`` would answer."""

    def known(
        self, agent: Any, subpaths: tuple[Any, ...], options: Mapping[str, Any]
    ) -> tuple[str, ...] | None:
        """The answer where it is certain; None where only the host can tell."""


class Probe:
    """Counters of one process; ``tracing`` is None when spans and execution statistics are off.

    ``detail`` is ``turn``, ``step`` or ``all``: which spans there are. What a wrapper has to do now and then
    (once a second, on a thread of ours), in a child made by fork, and when everything is undone, it puts
    into ``idle_work``, ``after_fork`` and ``at_stop``.
    """

    def __init__(self, tracing: Telemetry | None, detail: str = "step", inotify: bool = True) -> None:
        self.tracing = tracing
        self.detail = detail
        self.inotify = inotify
        self.tools = Executions()
        self.points = Executions()
        self.tool_lookups = Lookups()
        self.extension_lookups = Lookups(measured=False)  # until a loader of ours is at work
        self.interventions = Interventions()
        self.underway = Underway()
        self.extension_classes = ExtensionClasses()
        self.replies = GrowingTexts()
        self.roots = GrowingTexts()
        self.path_answers: PathAnswers | None = None
        self.memos: dict[str, Lookups] = {}
        self.clearing: dict[str, list[Callable[[], int]]] = {
            "replies": [self.replies.clear, self.roots.clear]
        }
        self.tool_mode, self.tool_classes = "off", dict[type, type]()  # of the tool that the agent can call
        self.optimizer: Callable[[], Any] | None = None  # makes what carries its actions out
        self.tool_use: dict[str, Any] = {}  # what it did in this process, for `status`
        self._tool_moves = 0
        self.idle_work: list[Callable[[], None]] = [self.extension_classes.judge]
        self.after_fork: list[Callable[[], None]] = []
        self.at_stop: list[Callable[[], None]] = []
        self.watch = Watch(inotify)
        self.after_fork.append(self.watch.forked)
        self.at_stop.append(self.watch.close)
        self.local_models = 0
        self.mcp_lookups = 0
        self.mcp_found = 0
        self.mcp_limits = Limits()
        self.root = ""  # the host's folder
        self.code: CodeCache | None = None
        self.stream_hz = 20.0  # deliveries a second to stream callbacks that are throttled
        self.content = Content()
        self.turn: ContextVar[Turn | None] = ContextVar("autoperf_turn", default=None)
        self.origin: ContextVar[Origin | None] = ContextVar("autoperf_origin", default=None)
        self.caller: WeakVar[Caller] = WeakVar("autoperf_caller")
        self.stream: WeakVar[Stream] = WeakVar("autoperf_stream")
        self.point: WeakVar[Point] = WeakVar("autoperf_point")
        self.step: WeakVar[Step] = WeakVar("autoperf_step")

    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
        **options: Any,
    ) -> AbstractContextManager[Any]:
        """A span around a block, or nothing where ``detail`` leaves it out; see `Telemetry.span`."""
        if self.tracing is None or not self._shown(name):
            return NO_SPAN
        if options.get("new_trace"):
            self.origin.set(None)
        elif self.origin.get() is not None:
            self._begin_background()
        if self.detail == "all":
            options.pop("from_ns", None)
        return self.tracing.span(name, attributes, kind, **options)

    def record(self, name: str, start_ns: int, *args: Any) -> None:
        """A span after the fact, or nothing where ``detail`` leaves it out; see `Telemetry.record`."""
        if self.tracing is None or not self._shown(name):
            return
        if self.origin.get() is not None:
            self._begin_background(start_ns)
        self.tracing.record(name, start_ns, *args)

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value for the histogram ``name``, in the unit that `names` gives."""
        if self.tracing is not None:
            self.tracing.measure(name, value, attributes)

    def threshold(self, usual_ns: int) -> int:
        """How many ns a short piece of work has to take here to become a span; outside of a turn, ever."""
        if self.detail == "all":
            return usual_ns
        turn = self.turn.get()
        return NEVER_NS if turn is None else turn.threshold(usual_ns)

    def _shown(self, name: str) -> bool:
        return self.detail != "turn" or name.partition(" ")[0] in names.OF_A_TURN

    def arrive(self) -> None:
        """To be called before a variable is set: a task beside the turn begins with none of the turn's."""
        if self.tracing is not None and self.origin.get() is not None:
            self._begin_background()

    def _begin_background(self, start_ns: int | None = None) -> None:
        with guarded("background"):
            found = left(self.origin)
            if found is None or self.tracing is None:
                return
            origin, task = found
            turn = origin.turn
            # A task of the scheduler belongs to no chat: it has sums of its own all the same.
            beside = turn.beside() if turn is not None else Turn("", "")
            self.turn.set(beside)
            # The task took a copy of these along; they go on being the turn's alone.
            for variable in (self.caller, self.stream, self.step, self.point):
                variable.set(None)
            attributes = turn.attributes() if turn is not None else {}
            # A task in which nothing becomes a span leaves no empty trace behind.
            root = self.tracing.span(
                origin.label, attributes, new_trace=True, from_ns=NEVER_NS, start_ns=start_ns
            )
            root.__enter__()
            end_with(task, root, beside)

    def memo(self, name: str) -> Lookups:
        """The counter of a memo of ours: a hit or miss for every question, shown by ``status``."""
        return self.memos.setdefault(name, Lookups())

    def new_memo(self, name: str, entries: int = ENTRIES, *, twice: bool = False) -> Memo[Any]:
        """A memo that is counted and cleared under ``name``; see `Memo`."""
        memo: Memo[Any] = Memo(self.watch, self.memo(name), entries, twice=twice)
        self.clears(name, memo.clear)
        self.after_fork.append(memo.forked)
        return memo

    def clears(self, name: str, clear: Callable[[], int]) -> None:
        """``clear`` drops what is kept under ``name`` and tells how many entries that were."""
        self.clearing.setdefault(name, []).append(clear)

    def note_tool_use(self, told: Mapping[str, Any]) -> None:
        """The tool that the agent can call has done, or been refused, something."""
        self.tool_use = {**self.tool_use, **told}
        self._tool_moves += 1

    def pulse(self) -> tuple[int, ...]:
        """Numbers that have moved whenever anything here has; cheap to compare."""
        return (
            self.tool_lookups.total(),
            self.extension_lookups.total(),
            self.interventions.total(),
            self.mcp_lookups,
            self.tools.count(),
            self.points.count(),
            self.replies.resumed + self.replies.handed_on,
            self.underway.moves,
            self._tool_moves,
            *(memo.total() for memo in list(self.memos.values())),
        )

    def forked(self) -> None:
        """In a child made by fork: locks that another thread held at that moment would stay held for ever."""
        begin_anew(self.tools.forked, self.points.forked, self.replies.forked, self.roots.forked)
        begin_anew(self.underway.forked, *self.after_fork)


def agent_attributes(agent: Any, keys: tuple[str, str]) -> dict[str, Any]:
    """The agent's name and its chat's id under the two attribute keys given."""
    context = getattr(agent, "context", None)
    values = (getattr(agent, "agent_name", None), getattr(context, "id", None))
    return {key: str(value) for key, value in zip(keys, values, strict=True) if value}


def is_intervention(error: BaseException) -> bool:
    """Whether the host raised this to hand a user's message to the agent, which is no failure."""
    return type(error).__name__ == "InterventionException"
