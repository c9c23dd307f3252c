"""Small loaders of the two shapes the host has had, with ours in front of them."""

from __future__ import annotations

import os
import textwrap
import time
import types
from pathlib import Path

from autoperf.instrumentation.agentzero.loading.classes import ClassLoading
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.shared_classes import SharedLoading
from autoperf.memo.cache import Cache
from autoperf.patching.patch import Switch, replacement

BY_PATH = """
import importlib.util, inspect, os

def get_abs_path(path):
    return os.path.join(ROOT, path)

def import_module(path):
    path = get_abs_path(path)
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def load_classes_from_file(file, base_class, one_per_file=True):
    classes = [c for _, c in inspect.getmembers(import_module(file), inspect.isclass)]
    return [c for c in classes if issubclass(c, base_class) and c is not base_class]

def load_classes_from_folder(folder, name_pattern, base_class, one_per_file=True):
    found = []
    for n in sorted(n for n in os.listdir(get_abs_path(folder)) if n.endswith(".py")):
        classes = [c for _, c in inspect.getmembers(import_module(os.path.join(folder, n)), inspect.isclass)]
        found += [c for c in classes if issubclass(c, base_class) and c is not base_class]
    return found
"""
SHARED = """
import fnmatch, importlib, inspect, os

def get_abs_path(path):
    return os.path.join(ROOT, path)

def load_classes_from_folder(folder, name_pattern, base_class, one_per_file=True):
    found = []
    for n in sorted(os.listdir(get_abs_path(folder))):
        if n.endswith(".py") and fnmatch.fnmatch(n, name_pattern):
            module = importlib.import_module(folder.replace("/", ".") + "." + n[:-3])
            classes = [c for _, c in inspect.getmembers(module, inspect.isclass)]
            found += [c for c in classes if issubclass(c, base_class) and c is not base_class]
    return found
"""
PURE = "import the_base\nclass T(the_base.Tool):\n    said = {!r}\n"
STATEFUL = (
    "import the_base\nSEEN = []\nthe_base.RUNS.append(1)\n"
    "class T(the_base.Tool):\n    said = {!r}\n    seen = SEEN\n"
)


class Host:
    """A host's loader module, its wrapped functions, and the cache behind them."""

    def __init__(self, root: Path, source: str, *, shared: bool) -> None:
        self.root = root
        self.module = types.ModuleType("the_loader")
        vars(self.module)["ROOT"] = str(root)
        exec(compile(source, "the_loader.py", "exec", dont_inherit=True), vars(self.module))
        self.bare = dict(vars(self.module))
        self.cache = Cache(100, 300.0)
        self.code = CodeCache(300.0)
        self.switch = Switch()
        caches = {"tools": self.cache}
        loading = SharedLoading(caches, self.code) if shared else ClassLoading(caches, self.code)
        if not shared:
            self.file = replacement(
                self.module.load_classes_from_file, loading.from_file, self.switch, "the_loader:file"
            )
            self.module.importlib = replacement(self.module.importlib, self.code.importlib_view, self.switch)
        self.folder = replacement(self.module.load_classes_from_folder, loading.from_folder, self.switch)
        self.loading = loading

    def write(self, name: str, text: str, *, age: float = 100.0) -> str:
        path = self.root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))
        self._age = getattr(self, "_age", 1_700_000_000) + age
        os.utime(path, (self._age, self._age))
        os.utime(path.parent, (self._age, self._age))
        time.sleep(0.06)  # until a change that comes now is sure to show
        return name
