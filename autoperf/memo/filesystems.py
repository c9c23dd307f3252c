"""Which file systems report a change at once, and which are shared with other kernels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# WAL keeps its index in memory mapped by all processes, so the file must not be shared between kernels.
# Source: https://www.sqlite.org/wal.html ("all processes ... must be on the same host computer").
_REMOTE: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "drvfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"}
    | {"nfs4", "osxfs", "smb", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)
# POSIX wants a folder's time changed with its entries; of these it is known that they do so at once, that
# inotify hears of it, and that no other kernel writes there. FAT, network and FUSE are not among them.
_PROMPT: Final = frozenset(
    {"aufs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "overlayfs", "ramfs"}
    | {"reiserfs", "tmpfs", "xfs", "zfs"}
)
_LOCAL_FUSE: Final = frozenset({"fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.lxcfs"})


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that holds ``path``, such as ``ext4``; empty where that is not known.

    ``path`` need not exist yet. Source of the format: proc(5), fstab(5).
    """
    if os.name == "nt":
        return "smb" if str(path).startswith("\\\\") else ""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = os.path.realpath(path)
    best, kind = "", ""
    for fields in (line.split(" ") for line in lines):
        if len(fields) < 3:
            continue
        point = _unescaped(fields[1])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        # A later line hides an earlier one at the same place, hence >=.
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def is_remote(kind: str) -> bool:
    """Whether a file system of type ``kind`` may be shared with another kernel; FUSE counts as such."""
    return kind in _REMOTE or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)


def is_prompt(kind: str) -> bool:
    """Whether a change in a folder on a file system of type ``kind`` is seen here at once."""
    return kind in _PROMPT


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
