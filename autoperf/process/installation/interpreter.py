"""What another Python is and has: its version, its site-packages, and whether autoperf reaches it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoperf.errors import AutoperfError

_PATIENCE = 30.0  # seconds; a cold interpreter on a slow disk takes a few
_REASON_SHOWN = 160  # characters; some programs repeat the whole probe
# Runs in any Python 3, so old syntax only. What it prints besides our line is not ours and is passed over.
_PROBE = """
import json, os, site, sys, sysconfig
from importlib.util import find_spec
sys.path[:] = [entry for entry in sys.path if entry]  # -c adds the working directory, a script would not
def origin(name):
    try:
        spec = find_spec(name)
    except Exception:
        return None
    return spec and spec.origin
folders = [sysconfig.get_path("purelib")] + getattr(site, "getsitepackages", list)()
here = getattr(sys.modules.get("sitecustomize"), "__file__", None)
print("autoperf-probe " + json.dumps({
    "executable": sys.executable, "version": list(sys.version_info[:3]), "prefix": sys.prefix,
    "site_packages": next((f for f in folders if f in sys.path and os.path.isdir(f)), None),
    "autoperf": origin("autoperf"), "has_pip": origin("pip") is not None, "sitecustomize": here,
    "missing": [name for name in ("wrapt", "psutil", "opentelemetry.sdk.trace") if not origin(name)],
    "reached": any(type(finder).__name__ == "AutoperfFinder" for finder in sys.meta_path),
}))
"""

_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Interpreter:
    """One Python as it described itself; ``autoperf`` is the file of the package there, or None.

    ``reached`` says whether autoperf's bootstrap was in place when it started, with the environment given.
    """

    executable: str
    version: tuple[int, int, int]
    prefix: str
    site_packages: str | None
    autoperf: str | None
    has_pip: bool
    sitecustomize: str | None
    missing: tuple[str, ...]
    reached: bool

    @property
    def text(self) -> str:
        """``3.12.1``."""
        return ".".join(map(str, self.version))


def probe(python: str, environ: Mapping[str, str] | None = None) -> Interpreter:
    """Start ``python`` (a path, or a name on PATH) with ``environ`` and ask it what it is.

    Raises `AutoperfError` when there is no such program, or when it is not a Python 3 that runs.
    """
    found = shutil.which(python)
    if found is None:
        raise AutoperfError(
            f"{python}: no such Python; name its executable, for example /opt/venv/bin/python"
        )
    try:
        done = subprocess.run(
            [found, "-c", _PROBE],
            env=dict(os.environ if environ is None else environ),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise AutoperfError(f"{python} did not answer within {_PATIENCE:.0f} seconds") from None
    except OSError as error:
        raise AutoperfError(f"{python} cannot be run: {error.strerror or error}") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("autoperf-probe ")]
    if not lines:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AutoperfError(f"{python} is not a Python 3 that runs: {reason.strip()[:_REASON_SHOWN]}")
    row = json.loads(lines[-1].partition(" ")[2])
    row["version"], row["missing"] = tuple(row["version"]), tuple(row["missing"])
    return Interpreter(**row)


def versions(python: str, names: Sequence[str]) -> dict[str, str]:
    """Those distributions among ``names`` that ``python`` has; empty where it does not answer."""
    try:
        done = subprocess.run(
            [python, "-c", _VERSIONS, *names], capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
        found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        return found
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}


def absolute(python: str) -> str:
    """The path of ``python`` from any working directory, links kept; `AutoperfError` as `probe` raises it."""
    probe(python)
    return os.path.abspath(shutil.which(python) or python)


def alone(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a service: without what only the path of this shell would add."""
    environ = os.environ if environ is None else environ
    return {
        name: value for name, value in environ.items() if name not in ("PYTHONPATH", "AUTOPERF_LAUNCH_PID")
    }


def how_to_install(python: Interpreter) -> str | None:
    """One line on what ``python`` lacks to load autoperf and what to type; None when nothing is missing."""
    from autoperf.process.installation import install_hint

    if python.autoperf is not None and not python.missing and python.version >= install_hint.OLDEST:
        return None
    wanting = python.missing[0] if python.autoperf is not None and python.missing else "autoperf"
    error = ImportError(f"No module named {wanting!r}", name=wanting)
    return install_hint.missing(
        error, python.executable, python.version, python.has_pip, str(Path(__file__).parents[2])
    )


def this_python() -> str:
    """The executable that runs us."""
    return sys.executable or "python"
