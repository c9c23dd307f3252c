"""The places in litellm and openai that are touched, and by what."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from autoperf.errors import AutoperfError
from autoperf.errors.fence import Recompiled
from autoperf.errors.standins import giving, standing_in, unchanged
from autoperf.instrumentation.clients import edits, openai_requests
from autoperf.instrumentation.clients.known_sources import RELIED_ON, Recognised, require
from autoperf.instrumentation.clients.litellm_chunks import Chunks
from autoperf.instrumentation.clients.openai_events import SLOT, Counter, Events
from autoperf.patching.patch import Switch
from autoperf.patching.rewriting import recompiled

Build = Callable[[Any, Switch], Any]
_OPENAI: Final = "openai._streaming:AsyncStream"
_HANDLER: Final = "litellm.litellm_core_utils.streaming_handler:"
_WRAPPER: Final = f"{_HANDLER}CustomStreamWrapper"


_QUIET: Final = ("chunk_creator", "return_processed_chunk_logic", "handle_openai_chat_completion_chunk")


class Counters(Protocol):
    """Where the counters of memos are kept."""

    def memo(self, name: str) -> Counter:
        """The counter of that name."""


def rows(_targets: Mapping[str, str], probe: Counters) -> Iterator[tuple[str, Build]]:
    """What to put where; none of it is the host's own."""
    yield f"{_OPENAI}.__stream__", _events(probe.memo("client events"))
    yield f"{_WRAPPER}.__anext__", _chunks(probe.memo("client chunks"))
    yield openai_requests.TARGET, openai_requests.transforming(probe.memo("client messages"))
    for name in _QUIET:
        yield f"{_WRAPPER}.{name}", _quiet(name)


def _events(memo: Counter) -> Build:
    def build(original: Any, switch: Switch) -> Any:
        require(f"{_OPENAI}.__stream__", original)
        known = Recognised(RELIED_ON["openai"], switch)

        def begin(stream: Any) -> Any:
            events = vars(stream)[SLOT] = Events(stream, switch, memo, known)
            return events

        edit = edits.StreamEdit()
        made = recompiled(original, edit, {edits.BEGIN: standing_in(_OPENAI, begin, giving(_NOTHING))})
        return _complete(made, edit.done())

    return build


def _chunks(memo: Counter) -> Build:
    def build(original: Any, switch: Switch) -> Any:
        require(f"{_WRAPPER}.__anext__", original)
        chunks = Chunks(Recognised(RELIED_ON["litellm"], switch), memo)
        edit = edits.WrapperEdit()
        made = recompiled(
            original,
            _Both(edit),
            {
                edits.CHUNKS: chunks,
                edits.KEPT: standing_in(_WRAPPER, kept, unchanged),
            },
        )
        return _complete(made, edit.done())

    return build


class _Both(edits.QuietEdit):
    """A debug text is made quiet, and so is what stands around it edited."""

    def __init__(self, edit: edits.WrapperEdit) -> None:
        super().__init__()
        self._edit = edit

    def generic_visit(self, node: Any) -> Any:
        if isinstance(node, ast.AsyncFunctionDef):
            super().generic_visit(node)
            return self._edit.generic_visit(node)
        return super().generic_visit(node)


def _quiet(name: str) -> Build:
    def build(original: Any, _switch: Switch) -> Any:
        require(f"{_WRAPPER}.{name}", original)
        # Where nothing is printed for debugging any more, what is compiled again is the same.
        return Recompiled(recompiled(original, edits.QuietEdit(), {}))

    return build


def _complete(made: Any, done: bool) -> Any:
    if not done:
        raise AutoperfError("another version: what is to be replaced is not in it")
    return Recompiled(made)


class _Nothing:
    """What a stream asks where the events of it are not known."""

    def take(self, _event: Any) -> None:
        """No event is known."""

    def learn(self, _event: Any, made: Any) -> Any:
        """Nothing is learnt."""
        return made


_NOTHING: Final = _Nothing()


def kept(stream: Any) -> Any:
    """What to iterate over in place of ``stream``: for openai's, one and the same generator every time.

    litellm begins a loop for every chunk and leaves it at once; each would leave a generator behind, which
    the event loop closes in a task of its own.
    """
    events = getattr(stream, "__dict__", {}).get(SLOT)
    if type(events) is not Events or not events.switch.on:
        return stream
    iterator = events.iterator
    if iterator is None or iterator.ag_frame is None or iterator.ag_running:
        iterator = stream.__aiter__()
        events.iterator = iterator
    return iterator
