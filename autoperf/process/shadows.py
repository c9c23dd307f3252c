"""What stands between the launcher and the bootstrap: a foreign sitecustomize, an option, a tool."""

from __future__ import annotations

# Only what every interpreter has loaded at start: the launcher imports this.
import os
import sys

TYPE_CHECKING = False  # as in the package itself
if TYPE_CHECKING:
    from collections.abc import Sequence

# Tools that run a program in their own process: they end where the launcher becomes the command.
_AROUND = (
    "coverage", "debugpy", "logfire", "pdb", "cProfile", "profile", "trace", "viztracer", "pyinstrument",
    "scalene", "memray",
)  # fmt: skip
_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")
# How OpenTelemetry's own bootstrap is told of ours: the entry point of this package.
_HOOK = "opentelemetry_pre_instrument"


def shadow(command: Sequence[str], path: str) -> str | None:
    """One line on what keeps autoperf out of ``command`` and what to do; None where nothing is known to.

    ``path`` is the PATH on which the command is looked for. Files are read, nothing is imported or started.
    """
    name = os.path.basename(command[0])
    if name == "opentelemetry-instrument":
        python = _beside(command[0], path)
        if not _has(python, hook=True):
            return f"{name} puts its sitecustomize before autoperf's, which stays out; {_advice(python)}"
    elif name.startswith("python"):
        letters = _letters(command[1:])
        if "S" in letters:
            return f"{name} -S reads no sitecustomize: autoperf stays out; leave -S away"
        skipped = next((letter for letter in "IE" if letter in letters), None)
        python = _found(command[0], path)
        if skipped is not None and not _has(python):
            return f"{name} -{skipped} passes over PYTHONPATH: autoperf stays out; {_advice(python)}"
    return None


def around(words: Sequence[str]) -> str | None:
    """One line on the tool whose process this is, from `sys.orig_argv`; None where it is the launcher's own.

    Its results are lost: a process becomes another program without an end of its own.
    """
    place = 1
    while place < len(words) and words[place].startswith("-") and words[place] not in ("-m", "-c"):
        place += 2 if words[place] in _WITH_VALUE else 1
    if words[place : place + 1] == ["-m"]:
        place += 1
    name = os.path.basename(words[place]) if place < len(words) else ""
    tool = name.partition(".")[0].partition("-")[0].rstrip("0123456789")
    if tool not in _AROUND:
        return None
    return f"{tool} ends here, where the command begins; to have both: autoperf run {tool} ... COMMAND"


def with_instrument(pythonpath: str) -> str:
    """``pythonpath`` with the folder whose sitecustomize instrumented this launcher and removed itself there.

    Older `opentelemetry-instrument` does so for child processes; the command is none.
    """
    file = getattr(sys.modules.get("sitecustomize"), "__file__", None)
    folder, standard = os.path.dirname(file or ""), os.path.dirname(os.__file__)
    if folder not in sys.path or standard not in sys.path or folder in pythonpath.split(os.pathsep):
        return pythonpath
    if sys.path.index(folder) > sys.path.index(standard):
        return pythonpath  # of the interpreter itself, which the command's own has or has not
    return os.pathsep.join(filter(None, (folder, pythonpath)))


def _letters(words: Sequence[str]) -> str:
    """The one-letter options of a Python command line, those with a value left out."""
    letters, place = "", 0
    while place < len(words) and words[place][:1] == "-" and len(words[place]) > 1:
        word = words[place]
        if word in _WITH_VALUE:
            place += 1
        elif word[1] in "cm":
            break
        elif word[1] not in "XW-":
            letters += word[1:]
        place += 1
    return letters


def _found(name: str, path: str) -> str:
    """Where ``name`` is on ``path``, or ``name`` alone."""
    if os.sep in name:
        return name
    places = (os.path.join(folder, name) for folder in path.split(os.pathsep))
    return next((place for place in places if os.access(place, os.X_OK)), name)


def _beside(script: str, path: str) -> str:
    """The interpreter of an installed script: the one in its folder."""
    return os.path.join(os.path.dirname(_found(script, path)), "python")


def _has(python: str, *, hook: bool = False) -> bool:
    """Whether ``autoperf install`` was run for ``python``, or, with ``hook``, our entry point is there."""
    library = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    try:
        versions = [name for name in os.listdir(library) if name.startswith("python3")]
    except OSError:
        return False
    for folder in (
        os.path.join(library, version, packages)
        for version in versions
        for packages in ("site-packages", "dist-packages")
    ):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        if "autoperf.pth" in names:
            return True
        for name in names if hook else ():
            if name.startswith("autoperf-") and name.endswith(".dist-info"):
                return _mentions(os.path.join(folder, name, "entry_points.txt"))
    return False


def _mentions(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return _HOOK.encode() in stream.read()
    except OSError:
        return False


def _advice(python: str) -> str:
    return f"type once: autoperf install --python {python}"
