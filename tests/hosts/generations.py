"""Where each look-alike keeps its tools and extensions, and how a file for it is written."""

from dataclasses import dataclass
from textwrap import indent


@dataclass(frozen=True)
class Generation:
    name: str
    package: str  # of the helper modules
    tools: str  # folder of the default tools
    extensions: str  # folder of the default extension points
    own_extensions: str  # the same below a profile's, user's or project's folder
    profiles: bool = True  # profiles bring tools and extensions
    projects: bool = True  # also projects and the user's folder
    extensible: bool = False  # @extensible, host caches by area
    three_paths: bool = False  # native calls and parallel workers
    rereads_tools: bool = True  # an edited tool is used at the next call

    def tool_path(self, name: str) -> str:
        return f"{self.tools}/{name}.py"

    def own_tool_path(self, root: str, name: str) -> str:
        return f"{root}/tools/{name}.py"

    def extension_path(self, scenario: str, point: str, file: str) -> str:
        """In the scenario's own profile, since folders loaded once are never looked at again in some
        generations; without profiles, under a file name of the scenario's own."""
        if self.profiles:
            return f"agents/{scenario}/{self.own_extensions}/{point}/{file}.py"
        return f"{self.extensions}/{point}/{file}_{scenario}.py"

    def tool(self, body: str, head: str = "", cls: str = "Probe", fields: str = "") -> str:
        """A tool file; ``body`` is that of ``execute(self, **kwargs)`` and may call ``say(text)``."""
        return (
            f"import asyncio\nimport models\nfrom {self.package} import errors, journal\n"
            f"from {self.package}.tool import Response, Tool\n{head}\n"
            "def say(text, last=False):\n    return Response(message=str(text), break_loop=last)\n\n"
            f"class {cls}(Tool):\n{indent(fields, '    ')}\n"
            f"    async def execute(self, **kwargs):\n{indent(body, '        ')}\n"
        )

    def extension(self, body: str, head: str = "", sync: bool = False, cls: str = "Probe") -> str:
        """An extension file; ``body`` is that of ``execute(self, **kwargs)``."""
        return (
            f"import models\nfrom {self.package} import journal\n"
            f"from {self.package}.extension import Extension\n{head}\n"
            f"class {cls}(Extension):\n    {'' if sync else 'async '}def execute(self, **kwargs):\n"
            f"{indent(body, '        ')}\n"
        )

    def point(self, function: str, when: str) -> str:
        """The implied point of an @extensible function such as ``agent/Agent/get_tool``."""
        return f"_functions/{function}/{when}"

    @property
    def memory_module(self) -> str:
        return "plugins._memory.helpers.memory" if self.extensible else f"{self.package}.memory"

    @property
    def errors_module(self) -> str:
        return "agent" if self.name == "v0_8" else f"{self.package}.errors"


OLD = {"package": "python.helpers", "tools": "python/tools", "extensions": "python/extensions"}
NEW = {"package": "helpers", "tools": "tools", "extensions": "extensions/python", "extensible": True}

GENERATIONS = {
    gen.name: gen
    for gen in (
        Generation("v0_8", **OLD, own_extensions="", profiles=False, projects=False, rereads_tools=False),
        Generation("v0_9_3", **OLD, own_extensions="extensions", projects=False),
        Generation("v0_9_8", **OLD, own_extensions="extensions"),
        Generation("v0_9_9", **NEW, own_extensions="extensions/python"),
        Generation("v2", **NEW, own_extensions="extensions/python", three_paths=True),
    )
}
