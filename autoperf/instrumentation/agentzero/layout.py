"""Where one generation of the host keeps each function we touch, compared with a source tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import CodeType
from typing import Final

from autoperf.instrumentation.agentzero.loading.definitions import parsed
from autoperf.patching.sources import text_digest
from autoperf.telemetry.git_version import Number, number

# The base class asked for, and the cache that keeps its subclasses: the same in every generation.
CACHE_OF_BASE: Final = {"Tool": "tools", "Extension": "extensions", "VariablesPlugin": "prompts"}

# Where the text of a module shows a name: defined at its top, in a class of its, or imported.
_DEFINED: Final = re.compile(
    rb"^(?:class (\w+)|    (?:async )?def (\w+)|(?:async )?def (\w+)|@|class\b|(?:async )?def\b)",
    re.MULTILINE,
)
_IMPORTED: Final = rb"^(?:from|import)\b(?:[^\n(]*\([^)]*|[^\n]*)\b%b\b"


_NO_TARGETS: Final = ("name", "generation", "releases", "since", "until", "reshaped", "newest")


@dataclass(frozen=True)
class Layout:
    """Targets (``"module:qualified.name"``) of one generation; None where it has no such function.

    ``marks`` are the targets whose definitions, all of them, tell this generation from the others. ``more``
    has for each feature the places it touches, under names of the feature's own. Their modules, and those of
    ``optional``, are imported late or never, or a fork lacks them. ``releases`` are the tags of the original,
    oldest first, with spaces between; ``since`` and ``until`` name the first and the last of them that
    define a target, where not all do. What is in ``reshaped`` was another function, which ours is not for,
    before that release. Of the ``newest`` generation later releases may come.
    """

    name: str
    generation: str
    releases: str
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
    since: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    reshaped: Mapping[str, str] = field(default_factory=dict)
    newest: bool = False
    more: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def targets(self) -> Iterator[str]:
        """Every target, marks included, each once."""
        seen: dict[str, None] = {}
        for item in fields(self):
            if item.name in _NO_TARGETS:
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
        return (
            target in self.optional
            or target in self.since
            or target in self.until
            or any(target in places.values() for places in self.more.values())
        )

    def defines(self, target: str, version: Number) -> bool:
        """Whether ``version`` of the original defines ``target``."""
        first, last = number(self.since.get(target)), number(self.until.get(target))
        return (first is None or first <= version) and (last is None or version <= last)

    def has(self, target: str, version: Number) -> bool:
        """Whether ``version`` of the original has ``target`` in a shape that ours is for."""
        first = number(self.reshaped.get(target))
        return self.defines(target, version) and (first is None or first <= version)

    def spans(self, version: Number) -> bool:
        """Whether ``version`` can be one of this generation's; nothing comes after the newest but its own."""
        first, last = number(self.releases.split()[0]), number(self.releases.split()[-1])
        return (
            first is not None and last is not None and first <= version and (self.newest or version <= last)
        )


class Source:
    """Definitions in a source tree, read by `ast`; nothing is imported or executed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: dict[str, str] = {}
        self._names: dict[str, set[str] | None] = {}
        self._texts: dict[str, tuple[bytes, set[bytes]]] = {}
        self._lines: dict[str, dict[str, tuple[int, int]]] = {}
        self._codes: dict[str, CodeType] = {}

    def defines(self, target: str) -> bool:
        """Whether the module of ``target`` defines that function, or imports that name."""
        module, _, name = target.partition(":")
        names = self._of(module)
        return names is not None and name in names

    def shows(self, target: str) -> bool:
        """`defines`, read from the text of the module where that is plain: most are not parsed for it."""
        name = target.partition(":")[2]
        text = self.text(target)
        shown = self._texts[target.partition(":")[0]][1]
        words = name.encode().split(b".")
        if not all(word in text for word in words):
            return False
        # One expression for all names: to compile one for each takes longer than to read the text.
        plain = b".".join(words[:2]) in shown or (
            len(words) == 1 and re.search(_IMPORTED % words[0], text, re.MULTILINE)
        )
        return bool(plain) or self.defines(target)

    def text(self, target: str) -> bytes:
        """The source of the module of ``target``; empty where there is none to read."""
        module = target.partition(":")[0]
        if module not in self._texts:
            try:
                text = self._path(module).read_bytes()
            except (OSError, ValueError):
                text = b""
            self._texts[module] = text, _shown(text)
        return self._texts[module][0]

    def digest(self, target: str) -> str:
        """`sources.digest` of a function, class or, without a name, module; empty where there is none."""
        module, _, name = target.partition(":")
        try:
            text = self.text(target).decode("utf-8")
            if not name:
                return text_digest(text) if text else ""
            if module not in self._lines:
                self._lines[module] = dict(_lines(parsed(text.encode()).body, ""))
        except (SyntaxError, ValueError, RecursionError):
            return ""
        first, last = self._lines[module].get(name, (0, 0))
        return text_digest("\n".join(text.splitlines()[first - 1 : last])) if first else ""

    def code(self, target: str) -> CodeType | None:
        """The compiled code of a function, which is not run; None where there is none."""
        module, _, name = target.partition(":")
        try:
            found = self._codes.get(module) or compile(
                parsed(self.text(target)), module, "exec", dont_inherit=True
            )
        except (SyntaxError, ValueError, RecursionError):
            return None
        self._codes[module] = found
        for part in name.split("."):
            inside = [one for one in found.co_consts if isinstance(one, CodeType) and one.co_name == part]
            if not inside:
                return None
            found = inside[-1]
        return found

    def absence(self, target: str) -> str:
        """Why ``target``, which is not defined, is not."""
        module, _, name = target.partition(":")
        there = self._of(module) is not None
        if module in self.unreadable:
            return f"{module} cannot be read by this Python: {self.unreadable[module]}"
        return f"{module} does not define {name}" if there else f"there is no module {module}"

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


def _lines(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The first and the last line, decorators included, of each function and class at the top of a module."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield prefix + node.name, (first, node.end_lineno or first)
            if isinstance(node, ast.ClassDef):
                yield from _lines(node.body, f"{prefix}{node.name}.")


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
