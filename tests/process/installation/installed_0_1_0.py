"""Runs in every Python that autoperf reaches: waits for Agent Zero, and runs the sitecustomize it shadows."""

import os
import sys
from _thread import _local

NAMES = frozenset(("agent", "helpers", "python", "models", "initialize"))
HERE = os.path.dirname(os.path.abspath(__file__))


class AutoperfFinder:
    """Stands on sys.meta_path until a module of Agent Zero is about to be imported; finds nothing itself."""

    def __init__(self):
        self.thread = _local()
        self.rejected = set()

    def find_spec(self, name, path=None, target=None):
        if name not in NAMES or getattr(self.thread, "busy", False):
            return None
        self.thread.busy = True
        try:
            for folder in folders():
                if folder not in self.rejected and os.path.isfile(os.path.join(folder, "agent.py")):
                    return arrival()(self, HERE, name, path, target)
        except KeyboardInterrupt:
            raise
        except BaseException:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        finally:
            self.thread.busy = False
        return None


def folders():
    """The entries of sys.path as absolute paths; what Python passes over is left out."""
    found = []
    for entry in sys.path:
        try:  # noqa: SIM105 - contextlib is not loaded this early
            found.append(os.path.abspath(os.fsdecode(entry)))
        except (TypeError, OSError):
            pass
    return found


def arrival():
    """What happens then lies in our package and is read by path: this interpreter may not have it."""
    from _frozen_importlib_external import SourceFileLoader

    for folder in ("autoperf-packages/autoperf", "../autoperf", ".."):
        source = os.path.normpath(os.path.join(HERE, folder, "arrival.py"))
        if os.path.isfile(source):
            scope = {"__file__": source, "__name__": "autoperf_arrival"}
            exec(SourceFileLoader("autoperf_arrival", source).get_code("autoperf_arrival"), scope)
            return scope["arrive"]
    from autoperf.arrival import arrive

    return arrive


def install():
    """Put the finder in place, once, unless AUTOPERF_DISABLED says no."""
    off = os.environ.get("AUTOPERF_DISABLED", "").strip().lower() not in ("", "0", "false", "no", "off")
    if not off and not any(type(finder).__name__ == "AutoperfFinder" for finder in sys.meta_path):
        sys.meta_path.insert(0, AutoperfFinder())


def chain():
    """Run the next sitecustomize on sys.path under its own name; what it raises is Python's to report."""
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    entries = folders()
    later = entries.index(HERE) + 1 if HERE in entries else 0
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in entries[later:] if entry != HERE])
    if spec is not None and spec.loader is not None and spec.origin is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


try:  # noqa: SIM105 - contextlib is not loaded this early
    install()
except BaseException:
    pass
if __name__ == "sitecustomize":
    chain()
