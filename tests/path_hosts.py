"""The parts of a look-alike host that answer `get_paths`, twice over one folder: bare, and to be patched."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import paths
from autoperf.patching.patch import Patch, PatchSet

HOSTS = Path(__file__).resolve().parent / "hosts"
PARTS = ("cache", "files", "projects", "plugins", "subagents")
COPIES = ("python", "helpers", "bare_v0_9_9")
SHAPES = {"v0_9_8": "python.helpers", "v0_9_9": "helpers"}


class Pair:
    """The modules of both copies by name; ``ours`` are patched while ``patches`` run."""

    def __init__(self, shape: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.options = {"default_root": "python"} if shape == "v0_9_8" else {}
        monkeypatch.syspath_prepend(str(root))
        for name in [name for name in sys.modules if name.partition(".")[0] in COPIES]:
            monkeypatch.delitem(sys.modules, name)
        package = SHAPES[shape]
        self.bare = self._load(shape, package, package.replace("helpers", f"bare_{shape}"))
        self.ours = self._load(shape, package, package)
        self.probe = Probe(None)
        self.patch()

    def patch(self) -> None:
        package = self.ours["subagents"].__name__.rpartition(".")[0]
        targets = {
            "get_paths": f"{package}.subagents:get_paths",
            "exists": f"{package}.files:exists",
            "by_pattern": f"{package}.files:find_existing_paths_by_pattern",
        }
        rows = [Patch(target, "paths", build) for target, build in paths.rows(targets, self.probe)]
        self.patches = PatchSet(rows)
        self.patches.start()
        assert {row.state for row in self.patches.rows} == {"applied"}

    def _load(self, shape: str, package: str, name: str) -> dict[str, types.ModuleType]:
        found = {}
        folder = self.root / name.replace(".", "/")
        folder.mkdir(parents=True)
        for part in PARTS:
            source = HOSTS / shape / package.replace(".", "/") / f"{part}.py"
            if source.exists():
                text = source.read_text().replace(f"from {package} import", f"from {name} import")
                (folder / f"{part}.py").write_text(text)
        for part in PARTS:
            if (folder / f"{part}.py").exists():
                found[part] = importlib.import_module(f"{name}.{part}")
        return found

    def ask(self, agent: Any, *subpaths: str, **options: Any) -> list[str]:
        """The answer under autoperf, which must be the bare one."""
        options = {**self.options, **options}
        bare = self.bare["subagents"].get_paths(agent, *subpaths, **options)
        ours = self.ours["subagents"].get_paths(agent, *subpaths, **options)
        assert ours == bare
        return [str(Path(path).relative_to(self.root)) for path in ours]

    def write(self, name: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def clear(self, area: str = "*(plugins)*") -> None:
        for host in (self.bare, self.ours):
            host["cache"].clear(area)

    @property
    def hits(self) -> int:
        return self.probe.memo("paths").hits


def agent(profile: str = "", project: str = "") -> Any:
    data = {"project": project}
    return types.SimpleNamespace(
        config=types.SimpleNamespace(profile=profile),
        context=types.SimpleNamespace(get_data=lambda key: data.get(key)),
    )
