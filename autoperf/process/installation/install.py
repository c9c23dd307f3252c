"""Puts the bootstrap into one interpreter's site-packages, and takes exactly that away again."""

from __future__ import annotations

from pathlib import Path

from autoperf.errors import AutoperfError
from autoperf.process.atomic_write import replaced
from autoperf.process.installation.interpreter import Interpreter
from autoperf.process.launcher import template_folder

MODULE = "autoperf_startup"
MARK = "AutoperfFinder"
# One line, as site.py wants it; whatever happens to autoperf later, this cannot stop that Python.
PTH = f"import sys; exec('try:\\n import {MODULE}\\nexcept BaseException:\\n pass')\n"
# Python 3.15 calls this instead of the import line, and later versions know nothing else (PEP 829).
START = f"{MODULE}:install\n"
_STARTS_FILES = (3, 15)


def template() -> str:
    """The text of our sitecustomize.py."""
    return (Path(template_folder()) / "sitecustomize.py").read_text(encoding="utf-8")


def files(version: tuple[int, ...]) -> dict[str, str]:
    """What `install` writes for a Python of this version: file name to text."""
    written = {f"{MODULE}.py": template(), "autoperf.pth": PTH}
    if version >= _STARTS_FILES:
        written["autoperf.start"] = START
    return written


def install(python: Interpreter) -> tuple[list[Path], list[Path]]:
    """Write the files into the site-packages of ``python``; return those written and those already right.

    Raises `AutoperfError` when there is no such folder, when it cannot be written, or when a file of that
    name is somebody else's.
    """
    folder = _folder(python)
    written, kept = [], []
    for name, text in files(python.version).items():
        path = folder / name
        if _text(path) == text:
            kept.append(path)
            continue
        if path.exists() and not is_ours(path):
            raise AutoperfError(f"{path} is not ours; move it away first")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replaced(path, [text], mode=0o644)
        except OSError as error:
            raise AutoperfError(f"{path.parent} cannot be written: {error.strerror}") from None
        written.append(path)
    return written, kept


def uninstall(python: Interpreter) -> list[Path]:
    """Remove what `install` wrote, for whatever version, and return the files that are gone."""
    folder = _folder(python)
    removed = []
    module = folder / f"{MODULE}.py"
    cached = sorted((folder / "__pycache__").glob(f"{MODULE}.*.pyc")) if is_ours(module) else []
    for path in [folder / "autoperf.start", folder / "autoperf.pth", module]:
        if is_ours(path):
            try:
                path.unlink()
            except OSError as error:
                raise AutoperfError(f"{path} cannot be removed: {error.strerror}") from None
            removed.append(path)
    for path in cached:
        path.unlink(missing_ok=True)
    return removed


def installed(python: Interpreter) -> list[Path]:
    """The files of ours that lie in the site-packages of ``python``."""
    if python.site_packages is None:
        return []
    return [path for name in files(_STARTS_FILES) if is_ours(path := Path(python.site_packages) / name)]


def is_ours(path: Path) -> bool:
    """Whether the file at ``path`` is one that `install` writes."""
    text = _text(path)
    return text is not None and (MARK in text or MODULE in text)


def _folder(python: Interpreter) -> Path:
    if python.site_packages is None:
        raise AutoperfError(f"{python.executable} has no site-packages folder on its path")
    return Path(python.site_packages)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
