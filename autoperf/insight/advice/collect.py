"""From the store, or from the living process, to recommendations."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import AutoperfError
from autoperf.insight import processes
from autoperf.insight.advice.recommendation import recommend
from autoperf.insight.facts import Facts, Host, PromptSize, Recommendation, Use
from autoperf.insight.facts.host import version
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.recorder import recorder
from autoperf.insight.history import History
from autoperf.insight.traces.callbacks import Callbacks
from autoperf.insight.traces.layers import operation, seconds_by_layer
from autoperf.insight.traces.self_time import covered_ns
from autoperf.insight.traces.timings import Timings, named
from autoperf.insight.traces.tree import Node, build
from autoperf.memo.filesystems import file_system, is_remote
from autoperf.monitor.samples import samples
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store

if TYPE_CHECKING:
    from autoperf.process.runtime import Runtime

# What is older tells of a host that may have been changed since.
_LOOKED_BACK_S: Final = 7 * 86_400.0
_MESSAGES: Final = 200
_SPANS: Final = 50_000


def recommendations(directory: Path, pid: int | None = None) -> list[Recommendation]:
    """Advice on the newest process recorded in ``directory``, or on the one with ``pid``; empty without one.

    Everything is read, nothing written; it takes up to some seconds.
    """
    process = processes.seen(directory, pid)
    return [] if process is None else recommendations_of(directory, process)


def recommendations_of(directory: Path, process: Process) -> list[Recommendation]:
    """Advice on ``process``, of the store in ``directory``."""
    return recommend(facts(directory, process))


def recommendations_for(runtime: Runtime) -> list[Recommendation]:
    """Advice on the process of ``runtime``, with all that was measured up to now."""
    if runtime.telemetry is not None:
        runtime.telemetry.flush()
    return recommendations(runtime.config.state_dir, os.getpid())


def facts(directory: Path, seen: Process) -> Facts:
    """Everything the store in ``directory`` holds of the process ``seen``."""
    process = seen.record
    store = Store.open(directory)
    since = max(float(process.get("started") or 0.0), time.time() - _LOOKED_BACK_S)
    pid = process.get("pid")
    turns = _Turns()
    with contextlib.suppress(AutoperfError):  # without traces the other facts stand
        turns.read(directory, process)
    return Facts(
        process=process,
        samples=[row for row in samples(store, since) if row["pid"] == pid],
        stalls=[row for row in seen.stalls.rows if float(row.get("at") or 0.0) >= since],
        timings=[*turns.timings.rows(), *turns.by_role.rows()],
        messages=turns.messages,
        message_seconds=turns.seconds,
        tool_seconds=turns.tool_seconds,
        layers=turns.layers,
        callbacks=turns.callbacks.most(),
        prompts=turns.prompts,
        chats=int((process.get("host") or {}).get("chats") or 0),
        options=process.get("options") or {},
        host=_host(directory, process),
        uses=turns.uses,
    )


class _Turns:
    """What the newest messages of one process were made of."""

    def __init__(self) -> None:
        self.timings, self.by_role = Timings(), Timings()
        self.messages, self.spans, self.seconds = 0, 0, 0.0
        self.layers: dict[str, float] = {}
        self.tool_seconds: dict[str, float] = {}
        self.callbacks = Callbacks()
        self.prompts: list[PromptSize] = []
        self.uses: dict[tuple[str, str], Use] = {}

    def read(self, directory: Path, process: Mapping[str, Any]) -> None:
        with History(directory) as history:
            known = recorder(history.processes())
            for summary in history.traces():
                if self.messages >= _MESSAGES or self.spans >= _SPANS:
                    return
                of = known(summary.pid, summary.start_ns / 1e9)
                if of is None or of.get("instance") != process.get("instance"):
                    continue
                rows = history.spans(summary.trace_id)
                if rows:
                    self._add(build(rows), summary.by_user, len(rows))

    def _add(self, tree: Any, by_user: bool, spans: int) -> None:
        nodes = list(tree.spans())
        self.spans += spans
        self.timings.add(nodes)
        self.by_role.add(nodes, _role)
        self._note_uses(nodes)
        for node in nodes:
            tokens = node.row.attributes.get(names.INPUT_TOKENS)
            chat = node.row.attributes.get(names.CONVERSATION_ID)
            if operation(node.name) == names.CHAT and isinstance(tokens, int) and chat and not _utility(node):
                self.prompts.append(PromptSize(str(chat), node.start_ns / 1e9, tokens))
        if by_user:
            self.messages += 1
            self.seconds += tree.root.duration_ns / 1e9
            self.callbacks.add(nodes)
            for layer, seconds in seconds_by_layer(tree).items():
                self.layers[layer] = self.layers.get(layer, 0.0) + seconds
            self._note_tools(nodes)

    def _note_tools(self, nodes: Iterable[Node]) -> None:
        calls: dict[str, list[Node]] = {}
        for node in nodes:
            if operation(node.name) == names.EXECUTE_TOOL and (found := named(node)):
                calls.setdefault(found[1], []).append(node)
        for name, of_it in calls.items():
            self.tool_seconds[name] = self.tool_seconds.get(name, 0.0) + covered_ns(of_it) / 1e9

    def _note_uses(self, nodes: Iterable[Node]) -> None:
        # The newest message comes first.
        for node in nodes:
            at = node.start_ns / 1e9
            for used in filter(None, (named(node), _role(node))):
                known = self.uses.get(used)
                ago = self.messages if known is None else known.messages_ago
                self.uses[used] = Use(max(at, at if known is None else known.at), ago)


def _utility(node: Node) -> bool:
    return node.row.attributes.get(names.MODEL_ROLE) == "utility"


def _role(node: Node) -> tuple[str, str] | None:
    if operation(node.name) != names.CHAT:
        return None
    return f"{names.CHAT} {'utility' if _utility(node) else 'chat'}", node.name.partition(" ")[2]


def _host(directory: Path, process: Mapping[str, Any]) -> Host:
    kind = file_system(directory)
    host = process.get("host") or {}
    # In another container than ours that folder may not exist, or be another one.
    root = Path(str(host.get("root") or ""))
    root_kind = file_system(root) if root.is_absolute() and root.is_dir() else ""
    return Host(
        version=version(process),
        torch_loaded=host.get("torch_loaded"),
        local_models=host.get("local_models"),
        bytecode=host.get("bytecode"),
        file_system=kind,
        remote=is_remote(kind),
        root_file_system=root_kind,
        root_remote=is_remote(root_kind),
    )
