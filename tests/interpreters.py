"""Fresh interpreters for tests of everything that happens while Python starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
TEMPLATE = REPOSITORY / "sitecustomize_template"
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


@dataclass
class Result:
    """What a process left behind."""

    code: int
    out: str
    err: str


@dataclass
class Bench:
    """A folder with programs, and an environment that holds nothing but what a test puts in."""

    folder: Path
    environ: dict[str, str] = field(
        default_factory=lambda: {k: os.environ[k] for k in _KEPT if k in os.environ}
    )

    def write(self, files: Mapping[str, str]) -> Path:
        """Write ``files`` (relative name to text) and return the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self.folder

    def path(self, *entries: str | Path) -> None:
        """Set PYTHONPATH."""
        self.environ["PYTHONPATH"] = os.pathsep.join(map(str, entries))

    def run(self, *command: str | Path, stdin: str = "") -> Result:
        """Run ``command`` in the folder."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def python(self, *arguments: str | Path) -> Result:
        """Run this interpreter, without the site-packages of its environment when that is possible."""
        return self.run(bare_python(), *arguments)


def bare_python() -> str:
    """The interpreter under the virtual environment: it has none of our packages, nor autoperf itself."""
    # Not sys._base_executable: up to Python 3.10 that is the environment's own.
    name = "python.exe" if os.name == "nt" else "bin/python{}.{}".format(*sys.version_info)
    return str(Path(sys.base_prefix) / name)
