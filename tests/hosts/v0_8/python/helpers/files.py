"""Paths below the host's folder, and prompt files."""

import os
from typing import Any


_base_dir = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def get_base_dir() -> str:
    return _base_dir


def get_abs_path(*relative_paths: str) -> str:
    base = get_base_dir()
    return os.path.join(base, *relative_paths)


def exists(*relative_paths: str) -> bool:
    return os.path.exists(get_abs_path(*relative_paths))


def find_file_in_dirs(name: str, directories: list[str]) -> str:
    for directory in directories:
        path = get_abs_path(directory, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"File '{name}' is in none of the prompt folders")


def read_prompt_file(_file: str, _directories: list[str], **kwargs: Any) -> str:
    with open(find_file_in_dirs(_file, _directories), encoding="utf-8") as handle:
        text = handle.read()
    for key, value in kwargs.items():
        mark = f"{{{{{key}}}}}"
        text = text.replace(mark, str(value))
    return text
