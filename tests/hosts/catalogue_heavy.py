"""Heavy packages that are whole, missing, or fail when they are imported, used by modules and tools of the host."""

from collections.abc import Iterator

from generations import Generation
from scenario import Scenario, call, simple

# One package a scenario: what was imported stays so. All are names that `autoperf.instrumentation.agentzero.startup.lazy_imports` knows.
WHOLE = "class Model:\n    def __init__(self, name='m'):\n        self.name = name\n"
BROKEN = {
    "import_error": "raise ImportError('libcudart.so.12: cannot open shared object file')\n",
    "os_error": "import os\ndef look():\n    os.stat('/nowhere/libgomp.so')\nlook()\n",
    "exit": "raise SystemExit('no GPU')\n",
    "inside": "from {package} import core\n",
}
PACKAGES = {"import_error": "faiss", "os_error": "kokoro", "exit": "soundfile", "inside": "newspaper"}
USE = """
class Derived(Model):
    pass

def told():
    import pickle
    made = Derived("d")
    again = pickle.loads(pickle.dumps(Model("p")))
    return [isinstance(made, Model), isinstance(3, Model), issubclass(Derived, Model), made.name,
            again.name, type(again) is Model, pickle.loads(pickle.dumps(Model)) is Model]
"""
LATER = """
def told():
    class Derived(Model):
        pass
    import pickle
    made, again = Derived("d"), pickle.loads(pickle.dumps(Model("p")))
    return [isinstance(made, Model), isinstance(3, Model), issubclass(Derived, Model), made.name,
            again.name, type(again) is Model, pickle.loads(pickle.dumps(Model)) is Model]
"""


def scenarios(gen: Generation) -> Iterator[Scenario]:
    yield from whole(gen)
    for kind, package in PACKAGES.items():
        yield from broken(gen, kind, package)
    yield from missing(gen)


def module(gen: Generation, name: str) -> str:
    return f"{gen.package.replace('.', '/')}/{name}.py"


def asks(gen: Generation, name: str, caught: str = "") -> str:
    """A tool that imports the host's module ``name`` when it runs, and tells what that says."""
    body = [
        "folder = os.path.abspath('packages')",
        "if folder not in sys.path:",
        "    sys.path.insert(0, folder)",
        "importlib.invalidate_caches()",
    ]
    ask = [f"module = importlib.import_module('{gen.package}.{name}')", "return say(repr(module.told()))"]
    if caught:
        ask = ["try:", *(f"    {line}" for line in ask), f"except {caught} as error:"]
        ask += ["    return say(f'{type(error).__name__}: {error}')"]
    return gen.tool("\n".join([*body, *ask]), head="import importlib, os, sys\n")


def whole(gen: Generation) -> Iterator[Scenario]:
    for name, package, text in (
        ("heavy_used_at_once", "whisper", f"from whisper import Model\n{USE}"),
        ("heavy_used_later", "unstructured", f"from unstructured import Model\n{LATER}"),
    ):
        files = {f"packages/{package}/__init__.py": WHOLE, module(gen, name): text}
        yield simple(name, [call(name, text=n) for n in "12"], {**files, gen.tool_path(name): asks(gen, name)})


def broken(gen: Generation, kind: str, package: str) -> Iterator[Scenario]:
    files = {
        f"packages/{package}/__init__.py": BROKEN[kind].format(package=package) + WHOLE,
        f"packages/{package}/core.py": "1 / 0\n",
    }
    plain = f"from {package} import Model\ndef told():\n    return Model('x').name\n"
    guarded = (
        f"try:\n    from {package} import Model\n"
        "except BaseException as error:\n    Model = f'none, for {error}'\ndef told():\n    return Model\n"
    )
    inside = f"def told():\n    from {package} import Model\n    return Model('x').name\n"
    # Where it fails is what the feature changes; what it fails of is the same each time.
    name = f"heavy_{kind}_caught"
    tool = asks(gen, name, "BaseException")
    calls = [call(name, text=n) for n in "12"]
    yield simple(name, calls, {**files, module(gen, name): plain, gen.tool_path(name): tool})
    for where, text in (("guarded", guarded), ("inside_a_function", inside)):
        name = f"heavy_{kind}_{where}"
        if kind == "exit" and where == "inside_a_function":
            continue  # it would end the driver
        yield simple(
            name,
            [call(name, text="1"), call("echo", text="after")],
            {**files, module(gen, name): text, gen.tool_path(name): asks(gen, name)},
        )
    if kind != "exit" and gen.rereads_tools:
        # A tool's own import belongs to its loading. Where tools are modules like others (v0_8) it waits too.
        name = f"heavy_{kind}_tool"
        head = "import os, sys\nsys.path.insert(0, os.path.abspath('packages'))\n"
        text = gen.tool("return say('never')", head=f"{head}from {package} import Model\n")
        yield simple(name, [call(name, text="1"), call("echo", text="after")], {**files, gen.tool_path(name): text})


def missing(gen: Generation) -> Iterator[Scenario]:
    for name, text in (
        ("heavy_missing", "import browser_use\ndef told():\n    return browser_use\n"),
        ("heavy_missing_inside", "import transformers.absent\ndef told():\n    return transformers\n"),
        ("heavy_missing_name", "from langchain_unstructured import Absent\ndef told():\n    return Absent\n"),
    ):
        files = {
            "packages/transformers/__init__.py": WHOLE,
            "packages/langchain_unstructured/__init__.py": WHOLE,
            module(gen, name): text,
            gen.tool_path(name): asks(gen, name),
        }
        yield simple(name, [call(name, text="1"), call("echo", text="after")], files)
