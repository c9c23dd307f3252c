"""Where the look of a folder tells whether names came or went in it, and where each name has to be asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from autoperf.mounts import file_system
from autoperf.witness import Witness

# POSIX wants a folder's time changed with its entries; of these it is known that they do so at once, and that
# no other kernel writes there meanwhile. FAT, network and FUSE file systems are not among them.
_PROMPT: Final = frozenset(
    {"aufs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "overlayfs", "ramfs"}
    | {"reiserfs", "tmpfs", "xfs", "zfs"}
)


class Folders:
    """Knows by device which folders can be trusted; one for a process."""

    def __init__(self) -> None:
        self._trusted: dict[int, bool] = {}

    def note(self, witness: Witness, folder: str) -> bool:
        """Let ``witness`` see ``folder``; whether its look shows every name that comes or goes.

        A folder that is absent shows it by appearing. What `autoperf.witness.look` raises passes.
        """
        seen = witness.note(folder)
        if seen is None:
            return True
        device = seen[-1]
        if device not in self._trusted:
            self._trusted[device] = file_system(Path(folder)) in _PROMPT
        return self._trusted[device]

    def note_name(self, witness: Witness, path: str) -> None:
        """Let ``witness`` see whatever could change whether ``path`` exists, by its folder if possible."""
        if not self.note(witness, os.path.dirname(path)) or os.path.islink(path):
            witness.note(path)
