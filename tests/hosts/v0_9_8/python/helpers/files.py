"""Paths below the host's folder, and prompt files with their variables."""

import glob
import os
from abc import ABC, abstractmethod
from typing import Any


class VariablesPlugin(ABC):
    @abstractmethod
    def get_variables(self, file: str, backup_dirs: list[str] | None = None) -> dict[str, Any]: ...


_base_dir = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def get_base_dir() -> str:
    return _base_dir


def get_abs_path(*relative_paths: str) -> str:
    base = get_base_dir()
    return os.path.join(base, *relative_paths)


def exists(*relative_paths: str) -> bool:
    return os.path.exists(get_abs_path(*relative_paths))


def find_existing_paths_by_pattern(pattern: str) -> list[str]:
    matches = glob.glob(get_abs_path(pattern), recursive=True)
    matches.sort()
    return matches


def find_file_in_dirs(_filename: str, _directories: list[str]) -> str:
    for directory in _directories:
        path = get_abs_path(directory, _filename)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"File '{_filename}' is in none of the prompt folders")


def load_plugin_variables(file: str, backup_dirs: list[str]) -> dict[str, Any]:
    try:
        plugin = find_file_in_dirs(os.path.basename(file)[: -len(".md")] + ".py", backup_dirs)
    except FileNotFoundError:
        return {}
    from . import extract_tools

    for cls in extract_tools.load_classes_from_file(plugin, VariablesPlugin, one_per_file=False):
        return cls().get_variables(file, backup_dirs)
    return {}


def read_prompt_file(
    _file: str, _directories: list[str], _encoding: str = "utf-8", **kwargs: Any
) -> str:
    with open(find_file_in_dirs(_file, _directories), encoding=_encoding) as handle:
        text = handle.read()
    variables = {**load_plugin_variables(_file, _directories), **kwargs}
    for key, value in variables.items():
        mark = f"{{{{{key}}}}}"
        text = text.replace(mark, str(value))
    return text
