"""Paths below the agent's own folder, and prompt files with `{{variables}}` and includes."""

import json
import os
import re
from typing import Any

EXTENSIONS_DIR = "extensions"
_home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INCLUDE = re.compile(r'\{\{include "([^"]+)"\}\}')
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")


def get_base_dir() -> str:
    """Return the folder that holds `agent.py`."""
    return _home


def get_abs_path(*relative_paths: str) -> str:
    """Join paths below the base folder; an absolute one passes through."""
    return os.path.join(_home, *relative_paths)


def exists(*relative_paths: str) -> bool:
    """Say whether the path exists."""
    return os.path.exists(get_abs_path(*relative_paths))


def read_text(relative_path: str) -> str:
    """Return a text file's content."""
    with open(get_abs_path(relative_path), encoding="utf-8") as stream:
        return stream.read()


def fill_prompt(_file: str, _directories: list[str], **variables: Any) -> str:
    """Return a prompt with includes and variables filled in; raise FileNotFoundError if no folder has it."""
    for folder in _directories:
        path = os.path.join(folder, _file)
        if os.path.exists(path):
            break
    else:
        raise FileNotFoundError(f"Prompt '{_file}' not found")

    # Includes search all the folders again, so a profile can replace one part of a prompt.
    text = read_text(path).strip()
    text = _INCLUDE.sub(lambda found: fill_prompt(found[1], _directories, **variables), text)
    return _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), text)


def parse_prompt_file(_file: str, _directories: list[str], **variables: Any) -> Any:
    """Return the value of a prompt that is a JSON template; variables are put in as JSON."""
    encoded = {name: json.dumps(value) for name, value in variables.items()}
    return json.loads(fill_prompt(_file, _directories, **encoded))
