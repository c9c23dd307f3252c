"""Where one generation of the host keeps each function we touch, compared with a source tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from autoperf.agentzero.definitions import parsed

# The base class asked for, and the cache that keeps its subclasses: the same in every generation.
CACHE_OF_BASE: Final = {"Tool": "tools", "Extension": "extensions", "VariablesPlugin": "prompts"}

# Where the text of a module shows a name: defined at its top, in a class of its, or imported.
_DEFINED: Final = re.compile(
    rb"^(?:class (\w+)|    (?:async )?def (\w+)|(?:async )?def (\w+)|@|class\b|(?:async )?def\b)",
    re.MULTILINE,
)
_IMPORTED: Final = rb"^(?:from|import)\b(?:[^\n(]*\([^)]*|[^\n]*)\b%b\b"


@dataclass(frozen=True)
class Layout:
    """Targets (``"module:qualified.name"``) of one generation; None where it has no such function.

    ``marks`` are the targets whose definitions, all of them, tell this generation from the others;
    ``optional`` are targets that only some versions of it have, and so are all of ``more``: for each feature
    the places it touches, under names of the feature's own.
    """

    name: str
    generation: str
    marks: tuple[str, ...]
    get_tool: str | None
    process_message: str | None
    monologue: str | None
    prepare_prompt: str | None
    system_prompt: str | None
    scheduled_task: str | None
    process_tools: tuple[str, ...]
    handle_intervention: str | None
    call_extensions: str | None
    call_extensions_sync: str | None
    make_extension: str | None
    folder_extensions: str | None
    load_from_file: str | None
    load_from_folder: str | None
    importlib: str | None
    format_error: str | None
    mcp_get_tool: str | None
    mcp_has_tool: str | None
    parse_reply: str | None
    root_starts: str | None
    mcp_session: str | None
    compress_history: str | None
    recall_memory: tuple[str, ...]
    shares_modules: bool
    extensible: bool
    model_calls: tuple[str, ...] = ()
    model_requests: tuple[str, ...] = ()
    model_chunks: tuple[str, ...] = ()
    model_events: str | None = None
    langchain_chunks: str | None = None
    chat_calls: tuple[str, ...] = ()
    utility_calls: tuple[str, ...] = ()
    retry: str | None = None
    optional: tuple[str, ...] = ()
    more: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def targets(self) -> Iterator[str]:
        """Every target, marks included, each once."""
        seen: dict[str, None] = {}
        for item in fields(self):
            if item.name in ("name", "generation"):
                continue
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                value = tuple(target for places in value.values() for target in places.values())
            for target in value if isinstance(value, tuple) else (value,):
                if isinstance(target, str):
                    seen[target] = None
        yield from seen

    def may_lack(self, target: str) -> bool:
        """Whether some version of this generation does without ``target``, or it is none of the host's."""
        return target in self.optional or any(target in places.values() for places in self.more.values())


class Source:
    """Definitions in a source tree, read by `ast`; nothing is imported or executed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: dict[str, str] = {}
        self._names: dict[str, set[str] | None] = {}
        self._texts: dict[str, tuple[bytes, set[bytes]]] = {}

    def defines(self, target: str) -> bool:
        """Whether the module of ``target`` defines that function, or imports that name."""
        module, _, name = target.partition(":")
        names = self._of(module)
        return names is not None and name in names

    def shows(self, target: str) -> bool:
        """`defines`, read from the text of the module where that is plain: most are not parsed for it."""
        module, _, name = target.partition(":")
        if module not in self._texts:
            try:
                text = self._path(module).read_bytes()
            except (OSError, ValueError):
                text = b""
            self._texts[module] = text, _shown(text)
        text, shown = self._texts[module]
        words = name.encode().split(b".")
        if not all(word in text for word in words):
            return False
        # One expression for all names: to compile one for each takes longer than to read the text.
        plain = b".".join(words[:2]) in shown or (
            len(words) == 1 and re.search(_IMPORTED % words[0], text, re.MULTILINE)
        )
        return bool(plain) or self.defines(target)

    def has_module(self, target: str) -> bool:
        """Whether there is a source file for the module of ``target``."""
        return self._of(target.partition(":")[0]) is not None

    def _of(self, module: str) -> set[str] | None:
        if module not in self._names:
            self._names[module] = self._read(module)
        return self._names[module]

    def _path(self, module: str) -> Path:
        return self.root.joinpath(*module.split(".")).with_suffix(".py")

    def _read(self, module: str) -> set[str] | None:
        try:
            tree = parsed(self._path(module).read_bytes())
        except SyntaxError as error:
            self.unreadable[module] = f"line {error.lineno}: {error.msg}"
            return None
        except (OSError, ValueError, RecursionError):
            return None
        return set(_definitions(tree.body, ""))


def _shown(text: bytes) -> set[bytes]:
    """What a text defines at its top, and in the classes there."""
    names: set[bytes] = set()
    around: bytes | None = None
    for match in _DEFINED.finditer(text):
        inside, method, function = match.groups()
        if method is None:
            around = inside
            names |= {inside or function} - {None}
        elif around is not None:
            names.add(around + b"." + method)
    return names


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _definitions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (prefix + (alias.asname or alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, (ast.If, ast.Try)):
            blocks = [
                node.body,
                node.orelse,
                *([h.body for h in node.handlers] if isinstance(node, ast.Try) else []),
            ]
            for block in blocks:
                yield from _definitions(block, prefix)
