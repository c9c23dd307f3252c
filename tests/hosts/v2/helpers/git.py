"""What git says of a folder."""

import subprocess
from dataclasses import dataclass

Repo = object


@dataclass
class Release:
    tag: str


@dataclass
class Info:
    is_git_repo: bool
    error: str = ""
    head: str = ""
    release: Release | None = None


def get_repo_release_info(repo_path: str) -> Info:
    def ask(*words: str) -> str:
        said = subprocess.run(["git", *words], cwd=repo_path, capture_output=True, text=True, check=True)
        return said.stdout.strip()

    try:
        if ask("rev-parse", "--show-prefix"):
            raise ValueError("a folder of another repository")
        return Info(True, "", ask("rev-parse", "--verify", "HEAD"), Release(ask("describe", "--tags", "--always")))
    except Exception as error:
        return Info(False, type(error).__name__)
