"""Extension points: a folder's classes are loaded once, a missing folder is looked for again each time."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from python.helpers import extract_tools, files, journal

if TYPE_CHECKING:
    from agent import Agent

_cache: dict[str, list[type]] = {}


class Extension:
    def __init__(self, agent: "Agent|None", **kwargs: Any):
        self.agent: "Agent" = agent  # type: ignore[assignment]
        self.kwargs = kwargs
        journal.note("extension", file=type(self).__module__, cls=type(self).__name__)

    @abstractmethod
    async def execute(self, **kwargs: Any) -> Any: ...


async def call_extensions(extension_point: str, agent: "Agent|None" = None, **kwargs: Any) -> Any:
    from python.helpers import subagents

    unique: dict[str, type[Extension]] = {}
    for path in subagents.get_paths(agent, "extensions", extension_point, default_root="python"):
        for cls in _get_extensions(path):
            unique.setdefault(_get_file_from_module(cls.__module__), cls)  # the first path that has it wins
    classes = [unique[name] for name in sorted(unique)]

    for cls in classes:
        await cls(agent=agent).execute(**kwargs)


def _get_file_from_module(module_name: str) -> str:
    return module_name.rpartition(".")[2]


def _get_extensions(folder: str):
    folder = files.get_abs_path(folder)
    if folder in _cache:
        return _cache[folder]
    if not files.exists(folder):
        return []
    found = extract_tools.load_classes_from_folder(folder, "*", Extension)
    _cache[folder] = found
    return found
