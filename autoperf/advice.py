"""How to install autoperf into an interpreter that lacks it; also run by path from there, so old syntax only."""

# Read by any Python 3, without the package around it: standard library, no annotations, no f-strings.
import json
import os
import sys

OLDEST = (3, 10)


def source_tree(package):
    """The checkout that the package folder came from, or None: beside it, or named by its installer (PEP 610)."""
    above = os.path.dirname(package)
    if os.path.isfile(os.path.join(above, "pyproject.toml")):
        return above
    try:
        records = [name for name in os.listdir(above) if name.startswith("autoperf-") and name.endswith(".dist-info")]
        with open(os.path.join(above, records[0], "direct_url.json")) as stream:
            url = json.load(stream)["url"]
    except (OSError, LookupError, ValueError):
        return None
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    folder = url2pathname(urlsplit(url).path)
    return folder if url.startswith("file:") and os.path.exists(folder) else None


def quoted(text):
    """``text`` as one word of a shell."""
    from shlex import quote

    return text if os.name == "nt" else quote(text)


def install_command(executable, has_pip, package):
    """The command line that installs the autoperf at ``package`` for the interpreter ``executable``."""
    what = quoted(source_tree(package) or "autoperf")
    if has_pip:
        return "{} -m pip install {}".format(quoted(executable), what)
    return "uv pip install --python {} {}".format(quoted(executable), what)


def missing(error, executable, version, has_pip, package):
    """One line: why ``executable`` cannot use autoperf, and what to type."""
    if tuple(version[:2]) < OLDEST:
        return "{} is Python {}.{}; autoperf needs {}.{} or newer; the program runs without it".format(
            executable, version[0], version[1], *OLDEST
        )
    if isinstance(error, ImportError):
        what = "lacks autoperf" if getattr(error, "name", None) in ("autoperf", None) else "cannot load autoperf"
        reason = "" if what == "lacks autoperf" else " ({})".format(error)
        return "{} {}{}; install it with: {}".format(
            executable, what, reason, install_command(executable, has_pip, package)
        )
    return "{} cannot load autoperf ({}: {}); the program runs without it".format(
        executable, type(error).__name__, str(error).split("\n")[0]
    )


def report(error):
    """Print that line for the running interpreter, unless AUTOPERF_QUIET asks for silence."""
    if os.environ.get("AUTOPERF_QUIET", "").strip().lower() not in ("", "0", "false", "no", "off"):
        return
    from importlib.util import find_spec

    package = os.path.dirname(os.path.abspath(__file__))
    line = missing(error, sys.executable, sys.version_info, find_spec("pip") is not None, package)
    sys.stderr.write("autoperf: " + line + "\n")
    sys.stderr.flush()
