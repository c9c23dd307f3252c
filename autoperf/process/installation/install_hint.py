"""How to install autoperf into an interpreter that lacks it; that interpreter runs this file by its path."""

# Read by any Python 3.6 or newer, without the package around it: standard library and old syntax only.
import json
import os
import sys

OLDEST = (3, 10)


def source_tree(package: str) -> "str | None":
    """The checkout that ``package`` came from, or None: beside it, or as its installer noted (PEP 610)."""
    above = os.path.dirname(package)
    if os.path.isfile(os.path.join(above, "pyproject.toml")):
        return above
    try:
        records = [name for name in os.listdir(above) if name.startswith("autoperf-")]
        with open(os.path.join(above, records[0], "direct_url.json")) as stream:
            url = str(json.load(stream)["url"])
    except (OSError, LookupError, ValueError):
        return None
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    folder = url2pathname(urlsplit(url).path)
    return folder if url.startswith("file:") and os.path.exists(folder) else None


def quoted(text: str) -> str:
    """``text`` as one word of a shell."""
    from shlex import quote

    return text if os.name == "nt" else quote(text)


def install_command(executable: str, has_pip: bool, package: str) -> str:
    """The command line that installs the autoperf at ``package`` for the interpreter ``executable``."""
    what = quoted(source_tree(package) or "autoperf")
    if has_pip:
        return f"{quoted(executable)} -m pip install {what}"
    return f"uv pip install --python {quoted(executable)} {what}"


def missing(
    error: BaseException, executable: str, version: "tuple[int, ...]", has_pip: bool, package: str
) -> str:
    """One line: why ``executable`` cannot use autoperf, and what to type."""
    if tuple(version[:2]) < OLDEST:
        running, oldest = ("{}.{}".format(*numbers) for numbers in (version, OLDEST))
        return f"{executable} is Python {running}; autoperf needs {oldest} or newer; going on without it"
    if not isinstance(error, ImportError):
        reason = str(error).split("\n")[0]
        told = f"{executable} cannot load autoperf ({type(error).__name__}: {reason})"
        return f"{told}; going on without it; to leave it out: AUTOPERF_DISABLED=1"
    lacks = "lacks autoperf" if error.name in ("autoperf", None) else f"cannot load autoperf ({error})"
    return f"{executable} {lacks}; install it with: {install_command(executable, has_pip, package)}"


def report(error: BaseException) -> None:
    """Print that line for the running interpreter, unless AUTOPERF_QUIET asks for silence."""
    if os.environ.get("AUTOPERF_QUIET", "").strip().lower() not in ("", "0", "false", "no", "off"):
        return
    from importlib.util import find_spec

    package = os.path.abspath(__file__)
    for _ in range(3):
        package = os.path.dirname(package)
    line = missing(error, sys.executable, sys.version_info[:3], find_spec("pip") is not None, package)
    # As `wording.printable`, which an interpreter as old as this file may be for cannot load.
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    try:  # noqa: SIM105 - nothing may be imported here that could be missing
        # Not through sys.stderr: what a full disk refuses would fail again at exit, with another code.
        os.write(2, os.fsencode(f"autoperf: {shown}\n"))
    except OSError:
        pass
