"""Marks of launches: left by `autoperf run`, removed by the host that arrives, read by ``status``."""

from __future__ import annotations

# Only what every interpreter has loaded at start: the launcher imports this.
import os
import stat

TYPE_CHECKING = False  # as in the package itself
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "launches"
_KEPT = 32  # marks; nobody removes those of commands that never import a host
_NAME_BYTES = 200


def state_folder(environ: Mapping[str, str]) -> str | None:
    """`Config.state_dir` as the environment has it; None for a user without a home directory."""
    named = environ.get("AUTOPERF_HOME", "")
    if named.strip():
        return os.path.abspath(os.path.expanduser(named))
    base, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(base):
        return os.path.join(base, "autoperf")
    return os.path.join(home, ".local", "state", "autoperf") if os.path.isabs(home) else None


def leave(environ: Mapping[str, str], program: str) -> None:
    """Leave the mark of the launch recorded in ``environ``; where that cannot be done there is none.

    It holds the name of ``program`` alone, since arguments may hold secrets; its time is that of the file.
    """
    path = _path(environ)
    if path is None:
        return
    folder = os.path.dirname(path)
    try:
        os.makedirs(os.path.dirname(os.path.dirname(folder)), exist_ok=True)
        for private in (os.path.dirname(folder), folder):
            try:  # noqa: SIM105 - contextlib is not loaded this early
                os.mkdir(private, 0o700)
            except FileExistsError:
                pass
            if not _is_own_folder(private):
                return
        _make_room(folder, path)
        # Created here or not at all: a link that waits under this name is not followed.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, os.fsencode(program)[:_NAME_BYTES])
        finally:
            os.close(handle)
    except (OSError, ValueError):
        pass


def remove(environ: Mapping[str, str]) -> None:
    """Remove the mark of the launch that ``environ`` comes from, if there is one."""
    path = _path(environ)
    try:
        if path is not None and _is_own_folder(os.path.dirname(path)):
            os.unlink(path)
    except OSError:
        pass


def _path(environ: Mapping[str, str]) -> str | None:
    pid, state = environ.get("AUTOPERF_LAUNCH_PID", ""), state_folder(environ)
    return os.path.join(state, FOLDER, pid) if state is not None and pid.isdecimal() else None


def _is_own_folder(path: str) -> bool:
    """Whether ``path`` is a folder of this user's; a link to one may be another account's work."""
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _make_room(folder: str, path: str) -> None:
    """Remove an earlier mark of the same pid, and the oldest of too many; others may do so meanwhile."""
    _unlink(path)
    aged = []
    for name in os.listdir(folder):
        mark = os.path.join(folder, name)
        try:
            aged.append((os.lstat(mark).st_mtime, mark))
        except OSError:
            continue
    for _, mark in sorted(aged)[: max(len(aged) - _KEPT + 1, 0)]:
        _unlink(mark)


def _unlink(path: str) -> None:
    try:  # noqa: SIM105 - contextlib is not loaded this early
        os.unlink(path)
    except OSError:
        pass
