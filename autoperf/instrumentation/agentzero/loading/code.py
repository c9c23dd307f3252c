"""Code objects of modules that the host loads by path, kept while their files stay as they are."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any, Final

from autoperf.errors.fence import View, fenced
from autoperf.errors.switch import ALWAYS
from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp, stamp_or_none
from autoperf.patching.patch import Switch

CODE_ENTRIES: Final = 512
_SEAM: Final = "loading by path"
COMPILED_ENTRIES: Final = 32  # waiting to be used for the first time


class _Thread(threading.local):
    def __init__(self) -> None:
        self.executions: list[ModuleType] | None = None
        self.reads = 0


class CodeCache:
    """What the host executes by path is read once per version of the file, and executed every time.

    The host's own function does the loading; only the loader in the spec it makes is ours.
    """

    def __init__(self, ttl: float) -> None:
        self.cache: Cache[CodeType] = Cache(CODE_ENTRIES, ttl)
        self._thread = _Thread()
        self._compiled: dict[str, tuple[bytes, CodeType]] = {}

    def compile_ahead(self, path: str) -> bool:
        """Compile what would have to be compiled if ``path`` were loaded now; whether that was anything.

        Nothing is executed and no bytecode file written: that belongs to the first use, which compares the
        source that it reads. Raises what reading and compiling raise.
        """
        loader = _CompilingLoader("ahead", path)
        loader.autoperf_compiled = self._compiled
        loader.get_code("ahead")
        return path in self._compiled

    def compiled(self, path: str, source: Any) -> CodeType | None:
        """What was compiled ahead from exactly this source, once."""
        found = self._compiled.pop(path, None)
        return found[1] if found is not None and found[0] == source else None

    def reads(self) -> int:
        """How many module sources (or their .pyc) this thread has read so far."""
        return self._thread.reads

    def count_read(self) -> None:
        """Note that this thread has read a source."""
        self._thread.reads += 1

    @contextmanager
    def watch_executions(self) -> Iterator[list[ModuleType]]:
        """Collect the modules that this thread executes by path inside the block."""
        outer, self._thread.executions = self._thread.executions, []
        try:
            yield self._thread.executions
        finally:
            self._thread.executions = outer

    def note_execution(self, module: ModuleType) -> None:
        """A module is about to be executed by path in this thread."""
        if self._thread.executions is not None:
            self._thread.executions.append(module)

    def code_of(self, path: str, read: Callable[[], CodeType]) -> CodeType:
        """The code object of a source file, read by the host's own rules when it is new or has changed."""

        def load() -> CodeType:
            code = read()
            self.count_read()
            return code

        stamp = stamp_or_none(Stamp.of, path)
        if stamp is None or stamp is ABSENT:
            code = load()
        else:
            code = self.cache.get_or_load(path, load, lambda: stamp)
        return code

    def importlib_view(self, _original: ModuleType, _switch: Switch) -> View:
        """``importlib`` in the host module that loads by path; its specs carry our loader."""

        def spec_from_file_location(call: Any, /, name: str, location: Any = None, **options: Any) -> Any:
            spec = call(name, location, **options)
            if (
                spec is not None
                and type(spec.loader) is importlib.machinery.SourceFileLoader
                and os.path.exists(spec.loader.path)  # else nothing but an error comes of it
            ):
                self._keep_code_of(spec.loader)
            return spec

        return View({"util": View({"spec_from_file_location": spec_from_file_location})})

    def _keep_code_of(self, loader: Any) -> None:
        """Have Python's own ``loader`` read its file only where it is not kept here."""

        def create_module(_call: Any, spec: importlib.machinery.ModuleSpec) -> ModuleType:
            module = ModuleType(spec.name)
            self.note_execution(module)
            return module

        def get_code(call: Any, name: str) -> CodeType:
            return self.code_of(str(loader.path), lambda: call(name))

        def source_to_code(call: Any, /, data: Any, path: Any, **options: Any) -> CodeType:
            ready = self.compiled(str(path), data)
            return call(data, path, **options) if ready is None else ready

        for wrapper in (create_module, get_code, source_to_code):
            name = wrapper.__name__
            setattr(loader, name, fenced(_SEAM, getattr(loader, name), ALWAYS, wrapper))


class _CompilingLoader(importlib.machinery.SourceFileLoader):
    """Python's own source loader, except that what it compiles is kept for another one."""

    autoperf_compiled: dict[str, tuple[bytes, CodeType]]

    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any, **options: Any
    ) -> CodeType:
        code = super().source_to_code(data, path, **options)
        if len(self.autoperf_compiled) < COMPILED_ENTRIES:
            self.autoperf_compiled[str(path)] = (bytes(data), code)
        return code

    def set_data(self, path: Any, data: Any, **options: Any) -> None:
        """Write no bytecode file."""
