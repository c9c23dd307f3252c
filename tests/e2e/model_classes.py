"""Every model class that packages of a checkout make, built at once and when first used: ``PYTHON...``.

Run by hand: each interpreter has the packages of one checkout. Compared are, for each class, its core schema,
its signature, its JSON schema and whether it is complete; they are asked for in another order than made.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MODULES = (
    "litellm",
    "litellm.proxy._types",
    "langchain_core.messages",
    "langchain_core.language_models",
    "mcp",
    "fastmcp",
)
MORE = (
    "langchain_core.prompts",
    "langchain_core.outputs",
    "langchain_core.tools",
    "mcp.server.fastmcp",
    "mcp.client.auth",
)

SCRIPT = """
import importlib, json, os, random, re, sys, warnings
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
waits = sys.argv[1] == "put off"
told = {}
counted = [0, 0]
if waits:
    from types import SimpleNamespace
    from autoperf.instrumentation.clients import model_classes as modelclasses
    from autoperf.patching.patch import Patch, PatchSet
    kept = []
    class Seen(modelclasses.ModelClasses):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)
    modelclasses.ModelClasses = Seen
    probe = SimpleNamespace(after_fork=[], at_stop=[])
    patches = PatchSet([Patch(t, "model-classes", b, foreign=True) for t, b in modelclasses.rows({}, probe)])
    patches.start()
with warnings.catch_warnings(record=True):
    warnings.simplefilter("always")
    for name in sys.argv[2:]:
        try: importlib.import_module(name)
        except ImportError as error: print(error, file=sys.stderr)
from pydantic import BaseModel
def below(cls):
    for inner in type.__subclasses__(cls):
        yield inner
        yield from below(inner)
classes = sorted(set(below(BaseModel)), key=lambda c: (c.__module__, c.__qualname__))
if waits:
    counted[0] = len(kept[0])
# Both in the same order: openai puts its own classes off, and building one may build another.
random.Random(1).shuffle(classes)
def plain(value):
    return re.sub(r" at 0x[0-9a-f]+|[0-9a-f-]{36}|:\\d{6,}|_\\d{10,}", "", repr(value))
def words(value):
    # The fields stand in no order.
    named = r"[A-Za-z_.]{2,}"
    bare = re.sub(r"0x[0-9a-f]+|[0-9a-f-]{36}|:\\d{6,}|_\\d{10,}", " ", repr(value))
    return sorted(re.findall(named, bare))
def attempt(call):
    try: return call()
    except Exception as error: return f"{type(error).__name__}: {error}"
import inspect
for cls in classes:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        signature = attempt(lambda: plain(str(inspect.signature(cls))))
        complete = cls.__pydantic_complete__
    told.setdefault(f"{cls.__module__}.{cls.__qualname__}", []).append([
        signature, complete, attempt(lambda: plain(cls.__pydantic_core_schema__)),
        attempt(lambda: words(cls.__pydantic_validator__)),
        attempt(lambda: words(cls.__pydantic_serializer__)),
        attempt(lambda: plain(cls.model_json_schema())),
        sorted(name for name in vars(cls) if name.startswith("__pydantic")),
        [str(warning.message) for warning in said if waits],
    ])
if waits:
    counted[1] = len(kept[0])
print(json.dumps([counted, {name: sorted(rows, key=repr) for name, rows in told.items()}]))
"""


def compare(python: str) -> int:
    """How many classes of one interpreter's packages differ; what is compared is printed."""
    told = []
    for how in ("at once", "put off"):
        done = subprocess.run(
            [python, "-c", SCRIPT, how, *MODULES, *MORE],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        told.append(json.loads(done.stdout.splitlines()[-1]))
    (_, expected), (counted, found) = told
    differing = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    print(
        f"{python}: {len(expected)} classes, {counted[0]} waited and {counted[1]} did to the end, "
        f"{len(differing)} differ"
    )
    for name in differing[:12]:
        print("  ", name)
        for one, other in zip(expected.get(name, []), found.get(name, []), strict=False):
            for left, right in zip(one, other, strict=True):
                if left != right:
                    print("     ", _shown(left, right), "\n      ", _shown(right, left))
    return len(differing)


def _shown(one: object, other: object) -> str:
    text, beside = str(one), str(other)
    begin = next((at for at, (a, b) in enumerate(zip(text, beside, strict=False)) if a != b), 0)
    return text[max(0, begin - 60) : begin + 100]


if __name__ == "__main__":
    sys.exit(sum(map(compare, sys.argv[1:])) > 0)
