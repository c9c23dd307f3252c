"""A heavy package, and modules of a host that import it in every way there is."""

from __future__ import annotations

HEAVY = """
    import sys
    print("heavy is imported", file=sys.stderr)
    class SentenceTransformer:
        kind = "real"
        def __init__(self, name="m"):
            self.name = name
        def __eq__(self, other):
            return type(self) is type(other) and self.name == other.name
    def load(name):
        return SentenceTransformer(name)
    from sentence_transformers.util import similarity
"""
UTIL = """
    def similarity(a, b):
        return a == b
    class Pooling: pass
"""
# What the host's module may look like, and what may be asked of it; `ask` is compared, bare and put off.
MODULES = {
    "a class by name": """
        from sentence_transformers import SentenceTransformer
        class Wrapper:
            def __init__(self):
                self.model = SentenceTransformer("x")
        def is_one(thing): return isinstance(thing, SentenceTransformer)
        def below(cls): return issubclass(cls, SentenceTransformer)
        def derived():
            class Mine(SentenceTransformer): pass
            return Mine
        def ask():
            import pickle
            w, Mine = Wrapper(), derived()
            return [w.model.kind, is_one(w.model), is_one(3), below(Mine), below(int), Mine("y").name,
                    [c.__name__ for c in Mine.__mro__], pickle.loads(pickle.dumps(w.model)) == w.model,
                    pickle.loads(pickle.dumps(SentenceTransformer)).__qualname__, type(w.model).__module__]
    """,
    "a class by another name": """
        from sentence_transformers import SentenceTransformer as ST, load as make
        def ask(): return [ST("z").name, make("q").name, ST is type(make("q"))]
    """,
    "a module, one inside it, and one by another name": """
        import sentence_transformers
        import sentence_transformers.util
        import sentence_transformers.util as tools
        def ask():
            return [sentence_transformers.util.similarity(1, 1), tools.similarity(1, 2),
                    tools is sentence_transformers.util, sentence_transformers.load("a").name]
    """,
    "a base class at the top": """
        from sentence_transformers import SentenceTransformer
        class Mine(SentenceTransformer):
            def more(self): return self.kind
        def ask(): return [Mine("b").more(), Mine.__mro__[1].__name__]
    """,
    "an annotation, a default, a decorator": """
        from sentence_transformers import SentenceTransformer, load
        def annotated(model: SentenceTransformer, made=load("d")) -> SentenceTransformer: return made
        def ask():
            import typing
            return [sorted(typing.get_type_hints(annotated)), annotated(None).name,
                    annotated.__annotations__["model"].kind]
    """,
    "annotations as text": """
        from __future__ import annotations
        from sentence_transformers import SentenceTransformer
        def annotated(model: SentenceTransformer | None) -> None: ...
        def ask():
            import typing
            return [repr(typing.get_type_hints(annotated)["model"]), SentenceTransformer.kind]
    """,
    "a generator, a lambda, a comprehension, an f-string, a nested function": """
        from sentence_transformers import SentenceTransformer as T
        later = lambda: [T(str(n)).name for n in range(2)]
        def ask():
            def inner(): return {T.kind: T for _ in "a"}
            return [later(), list(inner()), f"{T.kind!r:>8}", next(T(n).name for n in "xy")]
    """,
    "a name that a function has for itself": """
        from sentence_transformers import SentenceTransformer, load
        def ask(load=1):
            SentenceTransformer = 2
            return [load, SentenceTransformer]
    """,
    "a parameter of that name": """
        from sentence_transformers import load
        def ask(load=1): return [load]
    """,
    "a name that is bound again": """
        from sentence_transformers import load
        from sentence_transformers import SentenceTransformer
        first = SentenceTransformer
        SentenceTransformer = 5
        def ask(): return [SentenceTransformer, first.kind, load("n").name]
    """,
    "an optional import": """
        try:
            import sentence_transformers
        except ImportError:
            sentence_transformers = None
        try:
            import torch
        except ImportError:
            torch = "absent"
        def ask(): return [torch, sentence_transformers.load("o").name]
    """,
    "names looked up in another way": """
        from sentence_transformers import SentenceTransformer
        def ask(): return [globals()["SentenceTransformer"].kind, eval("SentenceTransformer").kind]
    """,
    "a class pattern and a global statement": """
        from sentence_transformers import SentenceTransformer, load
        def change():
            global load
            load = 7
        def ask():
            match SentenceTransformer("p"):
                case SentenceTransformer(name=name): found = name
            change()
            return [found, load]
    """,
}
# What others may ask of the module itself.
FROM_OUTSIDE = """
    import importlib, sys
    import models
    told = {}
    def tell(name, question):
        try: told[name] = question()
        except BaseException as error: told[name] = [type(error).__name__, str(error)]
    for name in sorted(set("SentenceTransformer load ST make T tools absent".split()) & set(dir(models))):
        tell("attribute " + name, lambda: getattr(models, name).__name__)
        tell("has " + name, lambda: hasattr(models, name))
        tell("in vars " + name, lambda: name in vars(models))
    # Asked for, it is there: nobody sees that it was not before.
    tell("ask", models.ask)
    tell("no such name", lambda: models.no_such_name)
    tell("dir", lambda: [name for name in dir(models) if name not in ("__annotations__",)])
    tell("ask again", models.ask)
    tell("reload", lambda: importlib.reload(models).ask())
    tell("heavy", lambda: "sentence_transformers" in sys.modules)
    tell("file", lambda: models.__file__.rpartition("/")[2])
    tell("source", lambda: __import__("inspect").getsource(models.ask))
    tell("line", lambda: models.ask.__code__.co_firstlineno)
"""
PUT_OFF = set(MODULES) - {
    "a base class at the top", "an annotation, a default, a decorator", "annotations as text",
    "a name that a function has for itself", "a name that is bound again", "an optional import",
    "a parameter of that name",
    "names looked up in another way", "a class pattern and a global statement",
}  # fmt: skip
