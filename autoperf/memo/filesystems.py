"""Where the look of a folder tells whether names came or went in it, and where each name has to be asked."""

from __future__ import annotations

import os
from pathlib import Path

from autoperf.memo.mounts import file_system, is_prompt
from autoperf.memo.snapshot import Witness
from autoperf.memo.watch import Vigil


class Folders:
    """Knows by device which folders can be trusted, and keeps watch over them; one for a process.

    Systems without inotify have no file system that is known to be prompt: without it none is trusted here.
    """

    def __init__(self, vigil: Vigil | None = None) -> None:
        self.vigil = vigil or Vigil()
        self._trusted: dict[int, bool] = {}

    def note(self, witness: Witness, folder: str) -> bool:
        """Let ``witness`` see ``folder``; whether its look shows every name that comes or goes.

        A folder that is absent shows it by appearing. What `autoperf.memo.snapshot.look` raises passes.
        """
        seen = witness.note(folder)
        if seen is None:
            return True
        device = seen[-1]
        if device not in self._trusted:
            self._trusted[device] = self.vigil.inotify and is_prompt(file_system(Path(folder)))
        return self._trusted[device]

    def note_name(self, witness: Witness, path: str) -> None:
        """Let ``witness`` see whatever could change whether ``path`` exists, by its folder if possible."""
        if not self.note(witness, os.path.dirname(path)) or os.path.islink(path):
            witness.note(path)
