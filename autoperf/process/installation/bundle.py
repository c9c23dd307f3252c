"""Writes a bootstrap folder that needs nothing installed: sitecustomize.py, and packages below it."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from autoperf.errors import AutoperfError
from autoperf.process.installation.install import is_ours, template
from autoperf.process.installation.install_hint import OLDEST

# OTLP over HTTP only: gRPC would be a 16 MB library of compiled code for the same spans.
REQUIRED = ("wrapt", "psutil", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
PACKAGES = "autoperf-packages"
_SCRATCH = ".autoperf-"
# By hash: copying and mounting change the time of a file, not what is in it.
_COMPILE = """
import py_compile, sys
py_compile.compile(sys.argv[1], invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
"""
_MINORS = range(OLDEST[1], OLDEST[1] + 10)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def copy(folder: Path, version: str | None = None) -> list[str]:
    """Write the bootstrap into ``folder`` for Python ``version`` ("3.12"; default: the running one).

    Returns the names and versions of the packages inside. What an earlier call wrote there is replaced; other
    files stay. Raises `AutoperfError` when the folder cannot be written, when it is neither empty nor one
    that this has written, or when packages for another version cannot be had.
    """
    ours = "{}.{}".format(*sys.version_info)
    if version is not None and not re.fullmatch(r"3\.\d+", version):
        raise AutoperfError(f"--python {version}: name a version such as 3.12")
    if version is not None and tuple(map(int, version.split("."))) < OLDEST:
        raise AutoperfError(f"--python {version}: autoperf needs {'.'.join(map(str, OLDEST))} or newer")
    target = folder / "sitecustomize.py"
    try:
        if not target.exists() and folder.is_dir() and not all(map(_is_left_over, folder.iterdir())):
            raise AutoperfError(f"{folder} is neither empty nor ours; choose another folder")
        if target.exists() and not is_ours(target):
            raise AutoperfError(f"{target} is not ours; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
            packages = Path(scratch) / PACKAGES
            packages.mkdir()
            names = _copied(packages) if version in (None, ours) else _fetched(packages, str(version))
            source = Path(__file__).parents[2]
            unwanted = shutil.ignore_patterns("__pycache__", "sitecustomize_template")
            shutil.copytree(source, packages / "autoperf", ignore=unwanted)
            shutil.rmtree(folder / PACKAGES, ignore_errors=True)
            packages.rename(folder / PACKAGES)
        target.write_text(template(), encoding="utf-8")
        _compile(target)
    except OSError as error:
        raise AutoperfError(f"{folder} cannot be written: {error.strerror or error}") from None
    return names


def _is_left_over(path: Path) -> bool:
    """Whether ``path`` is what a copy that was killed leaves behind."""
    return path.name == PACKAGES or path.name.startswith(_SCRATCH)


def _compile(source: Path) -> None:
    """Leave bytecode beside ``source``: a read-only mount would have every Python start compile it again.

    For every version at hand, since PYTHONPATH reaches Pythons besides the host's.
    """
    for old in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
        old.unlink()
    others = (shutil.which(f"python3.{minor}") for minor in _MINORS if minor != sys.version_info[1])
    for python in (sys.executable, *filter(None, others)):
        subprocess.run([python, "-I", "-S", "-c", _COMPILE, str(source)], capture_output=True)


def distributions(names: tuple[str, ...]) -> Iterator[metadata.Distribution]:
    """The installed distributions ``names`` and all they require, each once, extras left out.

    Raises `AutoperfError` when one of ``names`` is not installed; other absent ones were not needed here.
    """
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in names:
                raise AutoperfError(
                    f"{name} is not installed in {sys.executable}, so it cannot be copied"
                ) from None
            continue
        yield found
        for requirement in found.requires or ():
            matched = _NAME.match(requirement)
            if matched and "extra ==" not in requirement.replace("extra==", "extra =="):
                waiting.append(matched.group())


def _copied(packages: Path) -> list[str]:
    names = []
    for found in distributions(REQUIRED):
        for file in found.files or ():
            if ".." in file.parts or "__pycache__" in file.parts or file.is_absolute():
                continue
            source = Path(str(found.locate_file(file)))
            if source.is_file():
                destination = packages / file
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, destination)
        names.append(f"{found.metadata['Name']} {found.version}")
    return sorted(names)


def _fetched(packages: Path, version: str) -> list[str]:
    options = ["--target", str(packages), "--python-version", version, "--only-binary", ":all:"]
    if find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", *options, *_ranges()]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", *options, *_ranges()]
    else:
        raise AutoperfError(
            f"packages for Python {version} need pip or uv; run this command with Python {version}"
        )
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
        raise AutoperfError(
            f"no packages for Python {version} ({reason}); run `autoperf bootstrap --copy` with that Python"
        )
    shutil.rmtree(packages / "bin", ignore_errors=True)
    return sorted(f"{d.metadata['Name']} {d.version}" for d in metadata.distributions(path=[str(packages)]))


def _ranges() -> list[str]:
    """``REQUIRED`` within the versions that autoperf itself allows."""
    allowed = {}
    try:
        requirements = metadata.requires("autoperf") or []
    except metadata.PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        if "extra ==" not in requirement and (matched := _NAME.match(requirement)):
            allowed[matched.group()] = requirement
    family = allowed.get("opentelemetry-exporter-otlp", "")
    allowed["opentelemetry-exporter-otlp-proto-http"] = family.replace("otlp", "otlp-proto-http", 1)
    return [allowed.get(name) or name for name in REQUIRED]
