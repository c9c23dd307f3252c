"""Model classes that are built when first used: nobody can tell, and others are left alone."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from autoperf.instrumentation.clients.model_classes import PYDANTIC
from autoperf.instrumentation.clients.releases import Releases

REPOSITORY = Path(__file__).resolve().parents[3]
try:
    KNOWN = version("pydantic") in PYDANTIC["pydantic"]
except PackageNotFoundError:
    KNOWN = False
with_pydantic = pytest.mark.skipif(not KNOWN, reason="needs a version of pydantic whose source is known")

PAPER = """
    from typing import Annotated, Any, Generic, Optional, TypeVar
    from pydantic import BaseModel, ConfigDict, Field, RootModel
    from pydantic import computed_field, field_validator, model_validator
    T = TypeVar("T")
    class Sheet(BaseModel):
        size: int = 4
        name: str = Field("blank", alias="title")
        model_config = ConfigDict(populate_by_name=True)
        @field_validator("size")
        @classmethod
        def positive(cls, value):
            if value < 0: raise ValueError("negative")
            return value
    class Book(BaseModel):
        sheets: list[Sheet] = []
        first: Optional[Sheet] = None
        extra: Any = None
    class Atlas(Book):
        maps: dict[str, Sheet] = {}
        @model_validator(mode="after")
        def full(self):
            return self
    class Shelf(RootModel[list[int]]): pass
    class Pair(BaseModel, Generic[T]):
        left: T
        right: T
    class Sums(BaseModel):
        a: int = 1
        @computed_field
        @property
        def twice(self) -> int: return 2 * self.a
    class Old(BaseModel):
        gone: int = Field(1, deprecated="gone")
    class Later(BaseModel):
        that: "Unknown"
    class Above(BaseModel):
        later: list[Later] = []
    class Frozen(BaseModel):
        model_config = ConfigDict(frozen=True)
        a: int = 1
    def inner():
        class Inside(BaseModel):
            a: int = 1
        return Inside
"""
WAITING = {"Sheet", "Book", "Atlas", "Shelf", "Frozen"}

ASKED = """
    import copy, inspect, json, pickle
    from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
    from paper import *
    def tell(name, question):
        try: told[name] = question()
        except Exception as error: told[name] = [type(error).__name__, str(error)]
    class Mine(Book):
        own: Sheet = Sheet(size=2)
    class Holder(BaseModel):
        anything: Any = None
        book: Book = Book()
    KINDS = [Sheet, Book, Atlas, Shelf, Sums, Old, Frozen, Pair[int], inner(), Mine, Holder]
"""
QUESTIONS = {
    "made by its name": "Book(sheets=[{'size': 1}], first={'title': 'x'}).model_dump()",
    "what is wrong": "Sheet(size='no')",
    "what is wrong inside": "Book(first={'size': -1})",
    "in JSON": 'Atlas.model_validate_json(\'{"maps": {"a": {"size": 7}}}\').model_dump_json(by_alias=True)',
    "made without validation": "Holder.model_construct(anything=Sheet.model_construct(size=9)).model_dump()",
    "an inner one as anything": "Holder(anything=Book(sheets=[{'size': 3}]).sheets[0]).model_dump_json()",
    "never validated, as anything": "Holder(anything=Frozen.model_construct(a=5)).model_dump()",
    "a subclass of mine": "[Mine().own.size, issubclass(Mine, Book), isinstance(Mine(), Book), "
    "isinstance(3, Book)]",
    "the signatures": "[str(inspect.signature(kind)) for kind in KINDS]",
    "the schemas": "[kind.model_json_schema() for kind in KINDS]",
    "the schemas of instances": "[kind.model_json_schema(mode='serialization') for kind in KINDS]",
    "complete": "[kind.__pydantic_complete__ for kind in (*KINDS, Later)]",
    "one instance knows": "[Sheet().__pydantic_complete__, type(Sheet().__pydantic_validator__).__name__]",
    "an instance has no signature": "Sheet().__signature__",
    "rebuilt": "[Sheet.model_rebuild(), Atlas.model_rebuild(), Book.model_rebuild(force=True), "
    "Book().model_dump()]",
    "rebuilt in vain": "Later.model_rebuild(raise_errors=False)",
    "pickled": "pickle.loads(pickle.dumps(Book(sheets=[Sheet(size=1)]))) == Book(sheets=[Sheet(size=1)])",
    "pickled itself": "pickle.loads(pickle.dumps(Atlas)) is Atlas",
    "copied": "[copy.deepcopy(Book(extra=[1])).extra, Book().model_copy(update={'extra': 2}).extra]",
    "an adapter": "TypeAdapter(list[Sheet]).validate_python([{'size': '5'}])[0].size",
    "an adapter of one": "[TypeAdapter(Book).validate_python({}).sheets, "
    "TypeAdapter(Book).json_schema()['title']]",
    "a generic of one": "[Pair[Sheet](left={}, right={'size': 1}).right.size, Pair[Sheet].__name__]",
    "hashed": "[hash(Frozen()) == hash(Frozen()), Frozen() == Frozen()]",
    "made from another": "create_model('Made', __base__=Sheet, more=(int, 3))().model_dump()",
    "its fields": "[sorted(kind.model_fields) for kind in KINDS]",
    "a list": "Shelf(['3']).model_dump()",
    "no such attribute": "Sheet.no_such_attribute",
    "looked through": "sorted(n for n, _ in inspect.getmembers(Frozen) if n.startswith('__pydantic'))",
    "set by somebody": "[setattr(Sheet, '__pydantic_complete__', True), Sheet.__pydantic_complete__, "
    "Sheet().size]",
}


def lay_out(site: Path, source: str = PAPER) -> None:
    text = textwrap.dedent(source).encode()
    hashed = urlsafe_b64encode(sha256(text).digest()).rstrip(b"=").decode()
    for name, content in {
        "paper/__init__.py": text,
        "paper-1.0.dist-info/RECORD": f"paper/__init__.py,sha256={hashed},{len(text)}\n".encode(),
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)


START = """
    from types import SimpleNamespace
    from autoperf.instrumentation.clients import model_classes as modelclasses
    from autoperf.instrumentation.clients.releases import Releases
    from autoperf.patching.patch import Patch, PatchSet
    modelclasses.PACKAGES = {"paper": frozenset({"1.0"})}
    if UNKNOWN: modelclasses.PYDANTIC = {"pydantic": frozenset({"0.1"})}
    probe, kept = SimpleNamespace(after_fork=[], at_stop=[]), []
    class Seen(modelclasses.ModelClasses):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)
    modelclasses.ModelClasses = Seen
    patches = PatchSet([Patch(t, "model-classes", b, foreign=True) for t, b in modelclasses.rows({}, probe)])
    patches.start()
    def names(): return sorted(w._cls.__name__ for w in kept[0]._waiting.values())
"""


def run(site: Path, code: str, *, put_off: bool = True, unknown: bool = False):
    lines = [
        "import json, sys, os",
        f"sys.path[:0] = [{str(site)!r}, {str(REPOSITORY)!r}]",
        f"told, UNKNOWN = {{}}, {unknown}",
        textwrap.dedent(START) if put_off else "",
        textwrap.dedent(code),
        "print(json.dumps(told, default=repr))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Each question is the first thing that is asked, of classes that were put off and of others."""
    site = tmp_path_factory.mktemp("site")
    lay_out(site)
    code = textwrap.dedent(ASKED) + textwrap.dedent("""
        questions = json.loads(QUESTIONS)
        for name, question in questions.items():
            child = os.fork()
            if not child:
                tell(name, lambda: eval(question))
                with open(OUT, "a") as out: out.write(json.dumps([name, told[name]], default=repr) + chr(10))
                os._exit(0)
            os.waitpid(child, 0)
        told = [json.loads(line) for line in open(OUT)]
    """)
    found = []
    for put_off in (False, True):
        given = f"QUESTIONS, OUT = {json.dumps(QUESTIONS)!r}, {str(site / f'out{put_off}')!r}\n"
        found.append(dict(run(site, given + code, put_off=put_off)))
    return found


@with_pydantic
@pytest.mark.parametrize("name", QUESTIONS)
def test_the_same_answer_whatever_is_asked_first(answers, name):
    bare, put_off = answers
    assert put_off[name] == bare[name]


@with_pydantic
def test_the_plain_ones_wait_and_no_others(site):
    assert set(run(site, "import paper; told = names()")) == WAITING


@with_pydantic
def test_one_that_is_used_is_built_with_all_inside_it_and_no_more(site):
    code = "import paper; paper.Book(); told = [names(), vars(paper.Book)['__pydantic_complete__']]"
    assert run(site, code) == [["Atlas", "Frozen", "Shelf"], True]


@with_pydantic
def test_a_package_that_was_changed_after_it_was_installed_is_left_alone(site):
    (site / "paper/__init__.py").write_text(textwrap.dedent(PAPER) + "\n# mine\n")
    code = "import paper; told = [names(), {r.patch.path[-1]: r.as_row()['state'] for r in patches.rows}]"
    states = {"_model_schema": "applied", "complete_model_class": "unrecognised"}
    assert run(site, code) == [[], states], "none waits, and that is told"


@with_pydantic
def test_classes_of_others_are_left_alone(site):
    (site / "mine.py").write_text("import pydantic\nclass Mine(pydantic.BaseModel):\n    a: int = 1\n")
    assert run(site, "import mine; told = names()") == []


@with_pydantic
def test_another_version_of_pydantic_is_left_alone(site):
    code = "import paper; told = [len(kept[0]), [row.state for row in patches.rows], paper.Sheet().size]"
    assert run(site, code, unknown=True) == [0, ["unrecognised", "unrecognised"], 4]


@with_pydantic
def test_undone_none_waits(site):
    code = """
        import paper
        patches.stop()
        for work in probe.at_stop: work()
        from pydantic._internal import _model_construction as construction
        told = [names(), vars(paper.Atlas)["__pydantic_complete__"], paper.Shelf([7]).model_dump(),
                construction.complete_model_class.__code__.co_filename.endswith("_model_construction.py")]
    """
    assert run(site, code) == [[], True, [7], True]


@with_pydantic
def test_a_class_that_lacks_something_yet_is_as_if_it_had_never_waited(site):
    lacking = """
        from dataclasses import dataclass
        from pydantic import BaseModel
        @dataclass
        class Plan:
            that: "Unknown"
        class Paper(BaseModel):
            size: int = 4
        class Draft(Paper):
            plan: Plan
    """
    lay_out(site, lacking)
    code = """
        import paper
        told["complete"] = paper.Draft.__pydantic_complete__
        try: paper.Draft(plan={})
        except Exception as error: told["used"] = [type(error).__name__, str(error)[:60]]
        told["still"] = paper.Draft.__pydantic_complete__
        paper.Unknown = int
        told["rebuilt"] = [paper.Draft.model_rebuild(), paper.Draft(plan={"that": 1}).plan.that]
        told["at last"] = paper.Draft.__pydantic_complete__
    """
    assert "Draft" in run(site, "import paper; told = names()")
    assert run(site, code) == run(site, code, put_off=False)


@with_pydantic
def test_a_class_that_cannot_be_built_says_so_each_time(site):
    broken = """
        from pydantic import BaseModel, field_validator
        class Good(BaseModel):
            a: int = 1
        class Bad(BaseModel):
            a: int = 1
            @field_validator("absent")
            @classmethod
            def check(cls, value): return value
    """
    lay_out(site, broken)
    code = """
        for attempt in range(2):
            try:
                import paper
                paper.Bad()
            except Exception as error: told[attempt] = [type(error).__name__, str(error).partition(":")[0]]
        try: told["good"] = paper.Good().a
        except NameError: pass
    """
    put_off = run(site, code)
    assert put_off["0"] == put_off["1"] == run(site, code, put_off=False)["0"]
    assert put_off["good"] == 1


@with_pydantic
def test_threads_that_use_one_at_once_build_it_once(site):
    code = """
        import paper, threading
        from pydantic._internal import _model_construction as construction
        barrier, found, built = threading.Barrier(8), [], []
        generate = construction.GenerateSchema.generate_schema
        def counted(self, obj):
            if obj is paper.Book: built.append(obj)
            return generate(self, obj)
        construction.GenerateSchema.generate_schema = counted
        def use():
            barrier.wait()
            found.append(id(paper.Book.__pydantic_validator__))
            paper.Book(sheets=[{"size": 2}]).model_dump_json()
        threads = [threading.Thread(target=use) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        told = [len(found), len(set(found)), len(built)]
    """
    assert run(site, code) == [8, 1, 1]


@with_pydantic
def test_a_thread_that_holds_the_lock_for_ever_stops_nobody(site):
    code = """
        import paper, threading
        modelclasses._PATIENCE = 0.05
        held, done = threading.Event(), threading.Event()
        def hold():
            with kept[0].lock:
                held.set()
                done.wait()
        thread = threading.Thread(target=hold); thread.start(); held.wait()
        told = paper.Book(sheets=[{"size": 2}]).sheets[0].size
        done.set(); thread.join()
    """
    assert run(site, code) == 2


@with_pydantic
def test_a_child_made_by_fork_builds_what_a_thread_of_its_parent_was_at(site):
    code = """
        import paper, threading
        for waiting in kept[0]._waiting.values():
            waiting._thread = threading.get_ident()  # the numbers of threads are used again
        for work in probe.after_fork: work()
        told = [paper.Book(sheets=[{"size": 2}]).sheets[0].size, names()]
    """
    assert run(site, code) == [2, ["Atlas", "Frozen", "Shelf"]]


@with_pydantic
def test_a_plugin_of_pydantic_sees_every_class(site):
    """It is told of each class as it is built: then none is put off."""
    plugin = site / "plug-1.dist-info"
    plugin.mkdir()
    (plugin / "entry_points.txt").write_text("[pydantic]\nplug = plug:plugin\n")
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (site / "plug.py").write_text(
        "seen = []\nclass P:\n    def new_schema_validator(self, schema, kind, path, *rest, **more):\n"
        "        seen.append(path.name)\n        return None, None, None\nplugin = P()\n"
    )
    told = run(site, "import paper, plug; told = [names(), sorted(set(plug.seen))]")
    assert told[0] == []
    assert set(told[1]) >= WAITING


def test_a_release_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lay_out(tmp_path, "x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "paper", raising=False)
    __import__("paper")
    assert Releases({"paper": frozenset({"1.0"})}).hold("paper")
    assert not Releases({"paper": frozenset({"1.1"})}).hold("paper")
    assert not Releases({"other": frozenset({"1.0"})}).hold("paper")
    assert not Releases({"json": frozenset({"1.0"})}).hold("json.decoder")
    (tmp_path / "paper/__init__.py").write_text("x = 2\n")
    assert not Releases({"paper": frozenset({"1.0"})}).hold("paper")
    (tmp_path / "paper/__init__.py").unlink()
    assert not Releases({"paper": frozenset({"1.0"})}).hold("paper")
    del sys.modules["paper"]
