"""Tool requests out of model replies, and classes out of files: every load executes the file again."""

import importlib.util
import inspect
import os
from fnmatch import fnmatch
from types import ModuleType
from typing import Any

from .dirty_json import DirtyJson
from .files import get_abs_path


def json_parse_dirty(json: str) -> dict[str, Any] | None:
    if not json or not isinstance(json, str) or "{" not in json:
        return None
    try:
        data = DirtyJson.parse_string(json.strip())
    except Exception:
        return None
    if isinstance(data, dict):
        return data
    return None


def import_module(file_path: str) -> ModuleType:
    path = get_abs_path(file_path)
    name = os.path.basename(path).replace(".py", "")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"No module can be made of {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_classes_from_folder(
    folder: str, name_pattern: str, base_class: type, one_per_file: bool = True
) -> list[type]:
    root = get_abs_path(folder)
    names = sorted(n for n in os.listdir(root) if fnmatch(n, name_pattern) and n.endswith(".py"))
    classes: list[type] = []
    for name in names:
        module = import_module(os.path.join(root, name))
        # getmembers sorts by name and the last name wins: imported subclasses take part too
        found = [
            cls
            for _, cls in reversed(inspect.getmembers(module, inspect.isclass))
            if cls is not base_class and issubclass(cls, base_class)
        ]
        classes += found[:1] if one_per_file else found
    return classes


def load_classes_from_file(file: str, base_class: type, one_per_file: bool = True) -> list[type]:
    found = [
        cls
        for _, cls in reversed(inspect.getmembers(import_module(file), inspect.isclass))
        if cls is not base_class and issubclass(cls, base_class)
    ]
    return found[:1] if one_per_file else found
