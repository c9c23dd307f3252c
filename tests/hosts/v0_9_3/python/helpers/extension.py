"""Extension points: a folder's classes are loaded once, a missing folder is looked for again each time."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from python.helpers import extract_tools, files, journal

if TYPE_CHECKING:
    from agent import Agent


class Extension:
    def __init__(self, agent: "Agent|None", **kwargs: Any):
        self.agent: "Agent" = agent  # type: ignore[assignment]
        self.kwargs = kwargs
        journal.note("extension", file=type(self).__module__, cls=type(self).__name__)

    @abstractmethod
    async def execute(self, **kwargs: Any) -> Any: ...


async def call_extensions(extension_point: str, agent: "Agent|None" = None, **kwargs: Any) -> Any:
    folder = f"python/extensions/{extension_point}"
    defaults = await _get_extensions(folder)
    classes = defaults

    if agent and agent.config.profile:
        own = await _get_extensions("agents/" + agent.config.profile + "/extensions/" + extension_point)
        if own:
            unique = {_get_file_from_module(cls.__module__): cls for cls in defaults + own}
            classes = [unique[name] for name in sorted(unique)]

    for cls in classes:
        await cls(agent=agent).execute(**kwargs)


def _get_file_from_module(module_name: str) -> str:
    return module_name.rpartition(".")[2]


_cache: dict[str, list[type[Extension]]] = {}


async def _get_extensions(folder: str):
    folder = files.get_abs_path(folder)
    if folder in _cache:
        return _cache[folder]
    if not files.exists(folder):
        return []
    found = extract_tools.load_classes_from_folder(folder, "*", Extension)
    _cache[folder] = found
    return found
