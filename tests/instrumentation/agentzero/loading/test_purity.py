"""Which modules may be used again: only those in which no difference could ever be seen."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import sys
import types
import warnings

import pytest

from autoperf.instrumentation.agentzero.loading.purity import Guard, guard

OTHER = """
import abc
import functools

class Base:
    pass

class Abstract(abc.ABC):
    pass

class Counting:
    made = []
    def __init_subclass__(cls, **kwargs):
        Counting.made.append(cls)

class Meta(type):
    pass

class WithMeta(metaclass=Meta):
    pass

class Acts:
    def __getitem__(self, key):
        return 7
    def __getattr__(self, name):
        return 8
    def __add__(self, other):
        return 9
    __or__ = __mod__ = __add__
    def __format__(self, spec):
        return "10"
    def __iter__(self):
        return iter((1, 2))

REGISTRY = {}

class Registering:
    def __init__(self):
        REGISTRY[type(self)] = REGISTRY.get(type(self), 0) + 1

class CountingOnClass:
    calls = 0
    def __init__(self):
        self.__class__.calls += 1

class CountingInside:
    def start(self):
        def inner():
            return type(self)
        return inner

class ByClassMethod:
    @classmethod
    def get(cls):
        return REGISTRY.setdefault(cls, cls())

class Cached:
    @classmethod
    @functools.lru_cache
    def get(cls):
        return []

class OnTop(Registering):
    pass

acts, box, counter = Acts(), [], 5

def decorate(function):
    return function
"""

BODY = "class T:\n    {}async def execute(self, **kwargs):\n        {}\n"
HELPER = "def helper():\n    pass\n"


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Execute a source as the host would, by path, and look at what it left."""
    other = types.ModuleType("other_module")
    exec(OTHER, vars(other))
    monkeypatch.setitem(sys.modules, "other_module", other)

    def look_at(source: str) -> tuple[types.ModuleType, Guard | None]:
        path = tmp_path / "probe.py"
        path.write_text(
            source.replace("other.", "other_module.").replace("import other\n", "import other_module\n")
        )
        spec = importlib.util.spec_from_file_location("probe", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, guard(module, path.read_bytes())

    return look_at


def method(*lines: str, fields: str = "") -> str:
    return BODY.format(fields, "\n        ".join(lines))


PURE = {
    "tool": "from other_module import Base\nclass T(Base):\n    async def execute(self):\n        return 1\n",
    "base_of_a_module": "import other\nclass T(other.Base):\n    pass\n",
    "abstract_base": "from other_module import Abstract\nclass T(Abstract):\n    pass\n",
    "constants": "A = 1\nB = -2.5\nC = ('a', 1, None)\nD = 60 * A\nE = 'x' 'y'\nF = f'{A} s'\n",
    "regex": "import re\nX = re.compile('a+')\n",
    "frozenset": "X = frozenset({'a', 'b'})\n",
    "annotations": "from typing import Any, Optional\nx: Optional[int] = None\ny: 'list[int] | None' = None\n"
    "def f(a: dict[str, Any], b: str | None = None) -> list[int]: ...\n",
    "type_checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nowhere import Nothing\n",
    "local_imports": method("import json", "return json.dumps(kwargs)"),
    "own_attributes": method("self.count = 1", "self.args['x'] = 2", "self.agent.data.y = 3"),
    "constructs": "class Box:\n    n = 0\n" + method("return Box()"),
    "calls_helper": HELPER + method("return helper()"),
    "inner_function": method("def inner(x=[]):", "    x.append(1)", "return inner"),
    "name_of_type": method("return type(self).__name__ + self.__class__.__qualname__"),
    "super": "from other_module import Base\nclass T(Base):\n    def f(self):\n        super().__init__()\n",
    "property": "class T:\n    @property\n    def x(self):\n        return 1\n",
    "static_method": method("return self.f(1)", fields="@staticmethod\n    def f(x): ...\n    "),
    "other_state": method("import other_module", "other_module.counter += 1"),
    "submodule": "import os.path\nX = 1\n",
    "reads_a_constant": "import other\nX = other.counter\n",
}

STATEFUL = {
    # what the body does
    "environment": "import os\nX = os.environ['PATH']\n",
    "attribute_of_object": "from other_module import acts\nX = acts.anything\n",
    "subscript": "from other_module import acts\nX = acts[1]\n",
    "operator": "from other_module import acts\nX = acts + 1\n",
    "percent": "from other_module import acts\nX = acts % 1\n",
    "f_string": "from other_module import acts\nX = f'{acts}'\n",
    "comparison": "from other_module import acts\nX = acts == 1\n",
    "unpacking": "from other_module import acts\nX = (*acts,)\n",
    "call": "import time\nX = time.time()\n",
    "call_with_object": "from other_module import acts\nX = frozenset(acts)\n",
    "conditional": "import os\nif os.name:\n    X = 1\n",
    "conditional_expression": "from other_module import acts\nX = 1 if acts else 2\n",
    "shadowed_builtin": "frozenset = str\nX = frozenset('a')\n",
    "shadowed_module": "from other_module import acts as re\nX = re.compile\n",
    "import_rebound": "from other_module import counter\ncounter = 4\n",
    "import_then_function": "from other_module import counter\ndef counter(): ...\n",
    "bound_twice": "from other_module import acts\nX = acts\nX = 1\n",
    "star_import": "from other_module import *\n",
    "import_in_class": "class T:\n    import other_module\n",
    "try_import": "try:\n    import json\nexcept ImportError:\n    json = None\n",
    "delete": "x = 1\ndel x\n",
    "assert": "assert True\n",
    "augmented": "x = 1\nx += 1\n",
    "walrus": "x = (y := 1)\n",
    "lambda": "f = lambda x, seen=[]: seen.append(x)\n",
    "loop": "for x in ():\n    pass\n",
    "annotation_calls": "def f(x: print('')): ...\n",
    "return_annotation_calls": "def f() -> print(''): ...\n",
    "method_annotation_calls": "class T:\n    def f(self) -> print(''): ...\n",
    "class_annotation_calls": "class T:\n    x: print('') = 1\n",
    "annotation_subscript": "from other_module import acts\nx: acts[1] = 2\n",
    "annotation_operator": "from other_module import acts\nx: acts | None = 2\n",
    "unknown_decorator": "from other_module import decorate\n@decorate\ndef f(): ...\n",
    "class_decorator": "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int = 1\n",
    "false_static_method": "from other_module import decorate as staticmethod\n"
    "class T:\n    @staticmethod\n    def f(): ...\n",
    "lru_cache": "import functools\n@functools.lru_cache\ndef f(): ...\n",
    "subclass_hook": "from other_module import Counting\nclass T(Counting):\n    pass\n",
    **{
        f"base_{name}": f"from other_module import {name}\nclass T({name}):\n    pass\n"
        for name in (
            "Registering",
            "CountingOnClass",
            "CountingInside",
            "ByClassMethod",
            "Cached",
            "OnTop",
        )
    },
    "super_of_another": method("return super(T, kwargs['earlier']).execute"),
    "operator_before_the_bases": "class A:\n    def __add__(self, other):\n        return 1\n"
    "class B(A):\n    def __radd__(self, other):\n        return 2\n",
    "own_subclass_hook": "class T:\n    def __init_subclass__(cls): ...\n",
    "metaclass_of_base": "from other_module import WithMeta\nclass T(WithMeta):\n    pass\n",
    "metaclass": "from other_module import Meta\nclass T(metaclass=Meta):\n    pass\n",
    "generic": "from typing import Generic, TypeVar\nV = TypeVar('V')\nclass T(Generic[V]): ...\n",
    # what it leaves behind
    "list": "X = []\n",
    "dict_in_tuple": "X = (({},),)\n",
    "imported_list_renamed": "from other_module import box\nX = box\n",
    "list_of_a_module": "import other\nX = other.box\n",
    "class_list": "class T:\n    seen = []\n",
    "class_attribute_object": "from other_module import acts\nclass T:\n    x = acts\n",
    "default_list": "def f(seen=[]): ...\n",
    "default_of_property": "class T:\n    @property\n    def x(self, seen=[]):\n        return seen\n",
    "default_keyword": "class T:\n    @staticmethod\n    def f(*, seen={}): ...\n",
    "default_imported": "from other_module import box\ndef f(seen=box): ...\n",
    "enumeration": "import enum\nclass E(enum.Enum):\n    A = 1\n",
    "nested_class": "class T:\n    class Inner:\n        n = 0\n",
    "lock": "import threading\nLOCK = threading.Lock()\n",
    # what its functions may do later
    "global": "n = 0\ndef f():\n    global n\n    n += 1\n",
    "globals": method("globals()['n'] = 1"),
    "globals_of_function": method("g = self.execute.__func__.__globals__", "g['n'] = 1"),
    "type_of_self": method("type(self).n = 1"),
    "type_kept": method("cls = type(self)", "cls.n = 1"),
    "class_of_self": method("self.__class__.n = 1"),
    "class_cell": method("__class__.n = 1"),
    "class_by_super": method("super().__class__.n = 1"),
    "class_by_getattr": method("getattr(self, '__class__').n = 1"),
    "class_method": "class T:\n    n = 0\n    @classmethod\n    def tick(cls):\n        cls.n += 1\n",
    "class_method_alias": "class T:\n    @classmethod\n    def f(cls):\n        c = cls\n        c.n = 1\n",
    "function_attribute": "def tick():\n    tick.n = 1\n",
    "function_alias": HELPER + method("other = helper", "other.n = 1"),
    "function_dict": HELPER + method("helper.__dict__['n'] = 1"),
    "function_setattr": HELPER + method("setattr(helper, 'n', 1)"),
    "function_setattr_alias": HELPER + method("put = setattr", "put(helper, 'n', 1)"),
    "function_dunder_setattr": HELPER + method("helper.__setattr__('n', 1)"),
    "function_code": HELPER + method("helper.__code__ = execute.__code__"),
    "function_registered": HELPER + method("import atexit", "atexit.register(helper)"),
    "static_method_attribute": method("self.f.n = 1", fields="@staticmethod\n    def f(): ...\n    "),
    "method_of_class": method("f = T.execute", "f.n = 1"),
    "method_of_bound": method("self.execute.__func__.n = 1"),
    "property_function": method("f = vars(T)['x'].fget", "f.n = 1"),
    "annotations_dict": method("self.__annotations__['y'] = 1", fields="x: int = 1\n    "),
    "spec": method("__spec__.n = 1"),
    "docstring": method("type(self).__doc__ = 'x'"),
    "isinstance": "class R:\n    pass\ndef f(x):\n    return isinstance(x, R)\n",
    "isinstance_of_own": method("return isinstance(kwargs['x'], type(self))"),
    "except": "class R(Exception):\n    pass\ndef f():\n    try:\n        g()\n    except R:\n        pass\n",
    "match": "class R:\n    pass\ndef f(x):\n    match x:\n        case R():\n            pass\n",
    "class_registered": method("import other_module", "other_module.box.append(T)"),
    "subclasses": method("return T.__subclasses__()"),
    "exec": method("exec('n = 1', kwargs)"),
}


@pytest.mark.parametrize("name", PURE)
def test_what_cannot_be_told_from_a_new_execution_is_pure(look, name):
    _, found = look(PURE[name])
    assert found is not None
    assert found.holds()


@pytest.mark.parametrize("name", STATEFUL)
def test_what_could_be_told_is_executed_again(look, name):
    _, found = look(STATEFUL[name])
    assert found is None


@pytest.mark.parametrize(
    "change",
    [
        "T.n = 1",
        "del T.limit",
        "T.limit = 2",
        "T.__doc__ = 'new'",
        "T.execute = lambda self: 1",
        "T.execute.n = 1",
        "T.execute.__defaults__ = (2,)",
        "T.execute.__code__ = (lambda self, x=1: 3).__code__",
        "T.x.fget.n = 1",
        "T.f.n = 1",
        "T.execute.__kwdefaults__['y'] = 3",
        "T.execute.__kwdefaults__.clear()",
        "T.execute.__kwdefaults__ = {'y': 3}",
        "module.U = module.T; del module.T",
        "module.helper.n = 1",
        "module.n = 1",
        "module.LIMIT = 4",
        "module.__file__ = 'elsewhere'",
        "other.counter = 6",
        "other.Base = type('Base', (), {})",
        "other.box = []",
        "del other.box",
        "del sys.modules['other_module']",
        "sys.modules['other_module'] = types.ModuleType('other_module')",
    ],
)
def test_a_guard_falls_when_something_was_rebound(look, change):
    source = (
        "import other_module\nfrom other_module import Base, box\nLIMIT = other.counter\n"
        + HELPER
        + "class T(Base):\n"
        "    limit = 1\n    def execute(self, x=1, *, y=2):\n        return x\n"
        "    @property\n    def x(self):\n"
        "        return 1\n    @staticmethod\n    def f(): ...\n"
    )
    module, found = look(source)
    assert found is not None
    assert found.holds()
    scope = {
        "T": module.T,
        "module": module,
        "other": sys.modules["other_module"],
        "sys": sys,
        "types": types,
    }
    # What Python fills in by itself makes it look anew, and what it sees then is kept.
    assert not module.T.__annotations__
    assert not module.T.execute.__annotations__
    assert found.holds()
    exec(change, scope)
    assert not found.holds()


def test_a_guard_does_not_mind_what_python_fills_in(look):
    module, found = look(PURE["tool"])
    assert found is not None
    assert not module.T.__annotations__
    assert not getattr(module, "__annotations__", {})
    assert not module.T.execute.__annotations__
    for _ in range(3):
        assert found.holds()


def test_a_guard_that_has_looked_anew_sees_what_changed_meanwhile(look):
    module, found = look(PURE["tool"])
    assert found is not None
    assert not module.T.__annotations__
    module.T.execute.__code__ = (lambda self: 2).__code__
    assert not found.holds()


def test_a_module_of_an_older_bytecode_file_is_executed_again(look, tmp_path):
    module, found = look("class T:\n    n = 1\n")
    source = (tmp_path / "probe.py").read_bytes()
    assert found is not None
    assert guard(module, source, compile(source, "probe.py", "exec", dont_inherit=True)) is not None
    assert guard(module, source, compile(b"class T:\n    n = 2\n", "x", "exec", dont_inherit=True)) is None


def test_looking_at_a_source_warns_nobody_again(look, tmp_path):
    path = tmp_path / "warns.py"
    path.write_text("X = '\\d'\n")
    module = types.ModuleType("warns")
    module.X = "\\d"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert guard(module, path.read_bytes()) is not None
    assert not heard


def test_no_python_is_no_module(look):
    with pytest.raises(SyntaxError):
        guard(types.ModuleType("broken"), b"class (:\n")


@dataclasses.dataclass
class Limits:
    most: int = 3


class Anything:
    """Equal to whatever it is compared with, and told of it."""

    asked = 0

    def __eq__(self, other: object) -> bool:
        type(self).asked += 1
        return True

    __hash__ = None


@pytest.mark.parametrize(
    "make", [Limits, collections.deque, lambda: types.SimpleNamespace(a=1), Anything, lambda: int("1000000")]
)
@pytest.mark.parametrize("where", ["import", "module"])
def test_a_name_rebound_to_an_equal_object_is_another_one(look, make, where):
    other = sys.modules["other_module"]
    other.box = make()
    module, found = look("from other_module import box\nclass T:\n    n = 1\n")
    assert found is not None
    assert found.holds()
    (other if where == "import" else module).box = make()
    assert not found.holds()
    assert Anything.asked == 0


def test_what_equals_everything_is_not_what_was_there(look):
    other = sys.modules["other_module"]
    module, found = look("from other_module import box\nclass T:\n    n = 1\n")
    for place, name in ((other, "box"), (module, "box"), (module, "T")):
        before = getattr(place, name)
        assert found.holds()
        setattr(place, name, Anything())
        assert not found.holds()
        setattr(place, name, before)
    assert Anything.asked == 0


def test_a_module_replaced_by_an_equal_one_is_another_one(look, monkeypatch):
    class Equal(types.ModuleType):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, types.ModuleType)

        __hash__ = None

    _, found = look("from other_module import box\nclass T:\n    n = 1\n")
    assert found.holds()
    other = Equal("other_module")
    other.box = sys.modules["other_module"].box
    monkeypatch.setitem(sys.modules, "other_module", other)
    assert not found.holds()
