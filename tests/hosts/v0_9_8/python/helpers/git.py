"""What git says of the host's folder."""

import subprocess

from python.helpers import files

Repo = object


def get_git_info() -> dict[str, str]:
    def ask(*words: str) -> str:
        said = subprocess.run(["git", *words], cwd=files.get_base_dir(), capture_output=True, text=True)
        if said.returncode:
            raise ValueError("git says nothing")
        return said.stdout.strip()

    return {"commit_hash": ask("rev-parse", "--verify", "HEAD"), "tag": ask("describe", "--tags")}
