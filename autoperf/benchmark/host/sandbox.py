"""Keeps a benchmarked host off the machine: no package manager, no installs, no caller's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Some generations install system packages while they start (v2.6: LibreOffice through apt-get, as root), or
# Python packages into the interpreter they run on. A benchmark must leave the machine as it found it.
REFUSED = (
    "apt", "apt-get", "dpkg", "add-apt-repository", "sudo", "yum", "dnf", "apk", "pacman", "brew", "snap",
    "pip", "pip3", "uv", "uvx", "npm", "npx", "yarn", "systemctl", "service", "supervisorctl", "playwright",
)  # fmt: skip

# Plugins whose start-up code prepares the machine rather than the agent.
_MACHINE_PLUGINS = ("_desktop", "_office")
_PLUGIN_OFF = ".toggle-0"

_REFUSAL = """#!/bin/sh
echo "$(basename "$0") $*" >> "{log}"
echo "$(basename "$0") is refused in a benchmark run" >&2
exit 100
"""


class Sandbox:
    """A folder of refusing commands that stands first on the PATH of a host; needs a POSIX shell."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "refused"
        self._log = folder / "refused.log"
        self._bin.mkdir(parents=True, exist_ok=True)
        self._log.unlink(missing_ok=True)
        for name in REFUSED:
            command = self._bin / name
            command.write_text(_REFUSAL.format(log=self._log), encoding="utf-8")
            command.chmod(0o755)

    def attempts(self) -> list[str]:
        """The commands the host tried to run and was refused, in order."""
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """This process's environment, without what would change a host's settings or reach the network."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("A0_SET_", "API_KEY_"))
            and not name.endswith(("_API_KEY", "_proxy", "_PROXY"))
        }
        # A host that may not write bytecode compiles each tool at every call: not the host we measure.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **kept,
            "PATH": f"{self._bin}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "PIP_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise litellm asks the network while it is imported
            "ANONYMIZED_TELEMETRY": "false",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONHASHSEED": "0",  # sets reach the prompts of some generations
            **extra,
        }


def switch_off(root: Path) -> None:
    """Disable the machine's plugins in a run copy, the way the host's own interface does it."""
    for name in _MACHINE_PLUGINS:
        plugin = root / "plugins" / name
        if plugin.is_dir():
            (plugin / _PLUGIN_OFF).touch()


def make_repository(root: Path) -> None:
    """Make a run copy the git checkout that every real installation is: one commit, one tag, no remote.

    Both bear a fixed date and author, so that two copies get the same hash. Raises ``OSError`` without git.
    """
    date, name = "2026-01-01T00:00:00+00:00", "autoperf"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {
            f"GIT_{role}_DATE": date,
            f"GIT_{role}_NAME": name,
            f"GIT_{role}_EMAIL": f"{name}@localhost",
        }
    for words in ("init -q -b main", "add -A", "commit -q -m copy", "tag v0.0"):
        subprocess.run(
            ["git", *words.split()], cwd=root, env=environment, check=True, stdin=subprocess.DEVNULL
        )
