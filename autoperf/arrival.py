"""Hands over to the bootstrap when a module of the host's name is about to be imported; run by its path."""

# Read by any Python 3.6 or newer, before it is known whether the package around it can be imported there.
import _imp
import os
import sys

HELPERS = (("helpers",), ("python", "helpers"))
MARK = b"monologue"  # a method of every generation's Agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def arrive(finder: "Any", here: str, name: str, path: "Any", target: "Any") -> "Any":
    """Ask every folder on sys.path that could supply ``name``; the spec of the import under way, or None.

    ``finder`` is the waiting finder, ``here`` the folder of its sitecustomize.py. It is taken off
    sys.meta_path when the host was recognised, and when this interpreter cannot load autoperf.
    """
    packages = os.path.join(here, "autoperf-packages")
    try:
        for folder in folders():
            if folder in finder.rejected or not supplies(folder, name):
                continue
            if unlocked(recognised, folder, packages):
                remove(finder)
                # The import under way walks sys.meta_path, and would miss finders put before us meanwhile.
                specs = (other.find_spec(name, path, target) for other in list(sys.meta_path))
                return next((spec for spec in specs if spec is not None), None)
            finder.rejected.add(folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        remove(finder)
        report(error)
    return None


def folders() -> "list[str]":
    """The entries of sys.path as absolute paths; what Python passes over is left out."""
    found = []
    for entry in sys.path:
        try:  # noqa: SIM105 - contextlib is not loaded this early
            found.append(os.path.abspath(os.fsdecode(entry)))
        except (TypeError, OSError):
            pass
    return found


def supplies(folder: str, name: str) -> bool:
    """Whether ``folder`` may be a host that holds the module ``name``; decided without loading our package.

    An agent.py is common: what no generation of the host lacks is looked for in its text first.
    """
    module = os.path.join(folder, name)
    if not (os.path.isdir(module) or os.path.isfile(module + ".py")):
        return False
    if not any(os.path.isdir(os.path.join(folder, *parts)) for parts in HELPERS):
        return False
    try:
        with open(os.path.join(folder, "agent.py"), "rb") as stream:
            return MARK in stream.read()
    except OSError:
        return False


def recognised(folder: str, packages: str) -> bool:
    """What the bootstrap says of ``folder``; ``packages`` ends sys.path from then on only if it says yes."""
    appended = os.path.isdir(packages) and packages not in sys.path
    if appended:
        sys.path.append(packages)
    found = False
    try:
        from autoperf.process.bootstrap import recognise

        found = recognise(folder)
    finally:
        if appended and not found:
            sys.path.remove(packages)
    return found


def unlocked(function: "Any", *args: "Any") -> "Any":
    """Call ``function`` without the lock that Python holds while it asks a finder.

    A thread that imports something needs that lock, and we what it imports: neither would ever go on.
    """
    held = 0
    try:
        while True:
            _imp.release_lock()
            held += 1
    except RuntimeError:  # it was the last
        pass
    try:
        return function(*args)
    finally:
        for _ in range(held):
            _imp.acquire_lock()


def remove(finder: "Any") -> None:
    """Take ``finder`` off sys.meta_path, wherever it stands."""
    sys.meta_path[:] = [other for other in sys.meta_path if other is not finder]


def report(error: BaseException) -> None:
    """Only the launched process says that its interpreter cannot load autoperf; all others stay silent."""
    if os.environ.get("AUTOPERF_LAUNCH_PID") != str(os.getpid()):
        return
    package = os.path.dirname(os.path.abspath(__file__))
    source = os.path.join(package, "process", "installation", "install_hint.py")
    scope = {"__file__": source, "__name__": "autoperf_install_hint"}  # type: dict[str, Any]
    with open(source, "rb") as stream:
        exec(compile(stream.read(), source, "exec"), scope)
    scope["report"](error)


def wait() -> None:
    """Run the sitecustomize.py of ours on sys.path, if another one stood before it; raises nothing.

    OpenTelemetry's sitecustomize, which runs no other, calls this as an ``opentelemetry_pre_instrument``.
    """
    try:
        from importlib.machinery import SourceFileLoader

        for folder in folders():
            source = os.path.join(folder, "sitecustomize.py")
            if os.path.isfile(source):
                loader = SourceFileLoader("autoperf_startup", source)
                if b"AutoperfFinder" in loader.get_data(source):
                    scope = {"__file__": source, "__name__": loader.name}
                    code = loader.get_code("autoperf_startup")
                    if code is not None:
                        exec(code, scope)
                    return
    except Exception:  # the launch stays without us, which `autoperf status` says
        pass
