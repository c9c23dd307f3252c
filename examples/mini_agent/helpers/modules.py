"""Python files loaded by path, and the classes found in them."""

import importlib.util
import inspect
import os
from fnmatch import fnmatch
from types import ModuleType
from typing import TypeVar

from helpers.files import get_abs_path

T = TypeVar("T")


def import_module(file_path: str) -> ModuleType:
    """Execute a file as a fresh module named after it; it never enters `sys.modules`."""
    abs_path = get_abs_path(file_path)
    name = os.path.splitext(os.path.basename(abs_path))[0]
    spec = importlib.util.spec_from_file_location(name, abs_path)
    if spec is None or spec.loader is None:
        raise ImportError(f"'{abs_path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_classes_from_folder(
    folder: str, name_pattern: str, base_class: type[T], one_per_file: bool = True
) -> list[type[T]]:
    """Return the subclasses of `base_class` in a folder's matching files, in the order of the file names."""
    names = [n for n in os.listdir(get_abs_path(folder)) if n.endswith(".py") and fnmatch(n, name_pattern)]
    classes: list[type[T]] = []
    for name in sorted(names):
        classes += load_classes_from_file(os.path.join(folder, name), base_class, one_per_file)
    return classes


def load_classes_from_file(file: str, base_class: type[T], one_per_file: bool = True) -> list[type[T]]:
    """Return the subclasses of `base_class` in one file; import errors pass through."""
    module = import_module(file)
    members = [member for _, member in inspect.getmembers(module, inspect.isclass)]
    found = [cls for cls in members if issubclass(cls, base_class) and cls is not base_class]
    # A file's own class goes before one it merely imported to derive from.
    found.sort(key=lambda cls: cls.__module__ != module.__name__)
    return found[:1] if one_per_file else found
