"""Runs in every Python that autoperf reaches: waits for Agent Zero, and runs the sitecustomize it shadows."""

import os
import sys
from _thread import _local

NAMES = frozenset(("agent", "helpers", "python", "models", "initialize"))
HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.join(HERE, "autoperf-packages")


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
            folders = [folder for folder in map(os.path.abspath, sys.path) if supplies(folder, name)]
            if any(self.recognised(folder) for folder in folders):
                # The import under way walks sys.meta_path, and would miss finders put before us meanwhile.
                specs = (finder.find_spec(name, path, target) for finder in list(sys.meta_path))
                return next((spec for spec in specs if spec is not None), None)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            report(error)
        finally:
            self.thread.busy = False
        return None

    def recognised(self, folder):
        if folder in self.rejected:
            return False
        if os.path.isdir(PACKAGES) and PACKAGES not in sys.path:
            sys.path.append(PACKAGES)
        from autoperf.bootstrap import recognise

        if recognise(folder):
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            return True
        self.rejected.add(folder)
        sys.path[:] = [entry for entry in sys.path if entry != PACKAGES]
        return False


def supplies(folder, name):
    if not os.path.isfile(os.path.join(folder, "agent.py")):
        return False
    return os.path.isdir(os.path.join(folder, name)) or os.path.isfile(os.path.join(folder, name + ".py"))


def report(error):
    """Only the launched process says that its interpreter lacks autoperf; the words lie in our package."""
    above = os.path.dirname(HERE)
    near = [os.path.join(folder, "advice.py") for folder in (above, os.path.join(above, "autoperf"))]
    source = next(filter(os.path.isfile, near), None)
    if source and os.environ.get("AUTOPERF_LAUNCH_PID") == str(os.getpid()):
        scope = {"__file__": source, "__name__": "autoperf_advice"}
        with open(source, "rb") as stream:
            exec(compile(stream.read(), source, "exec"), scope)
        scope["report"](error)


def install():
    """Put the finder in place, once, unless AUTOPERF_DISABLED says no."""
    off = os.environ.get("AUTOPERF_DISABLED", "").strip().lower() not in ("", "0", "false", "no", "off")
    if not off and not any(type(finder).__name__ == "AutoperfFinder" for finder in sys.meta_path):
        sys.meta_path.insert(0, AutoperfFinder())


def chain():
    """Run the next sitecustomize on sys.path under its own name; what it raises is Python's to report."""
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    folders = [os.path.abspath(entry) for entry in sys.path]
    later = folders.index(HERE) + 1 if HERE in folders else 0
    rest = [sys.path[i] for i in range(later, len(folders)) if folders[i] != HERE]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None and spec.origin is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


try:  # noqa: SIM105 - contextlib is not loaded this early
    install()
except BaseException:
    pass
if __name__ == "sitecustomize":
    chain()
