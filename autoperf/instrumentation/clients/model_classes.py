"""Model classes of known packages, whose validators pydantic builds when they are first used.

Hundreds of them are made while a host starts, and few are ever used. What pydantic does last when it makes
such a class is done, with the same arguments, when somebody first asks for a thing that this makes.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Annotated, Any, Final, ForwardRef, Literal, Protocol, TypeVar, get_args, get_origin

from autoperf.errors import AutoperfError, guarded
from autoperf.instrumentation.clients.releases import Releases
from autoperf.patching.patch import Switch

Build = Callable[[Any, Switch], Any]

_CONSTRUCTION: Final = "pydantic._internal._model_construction"
_GENERATION: Final = "pydantic._internal._generate_schema"
# Their sources were read, and each class of theirs compared with one that is built at once.
PYDANTIC: Final = {"pydantic": frozenset({"2.11.7", "2.14.4"})}
PACKAGES: Final = {
    "fastmcp": frozenset({"2.13.1", "3.2.4"}),
    "langchain_core": frozenset({"0.3.49"}),
    "litellm": frozenset({"1.79.3", "1.88.1"}),
    "mcp": frozenset({"1.22.0", "1.27.0"}),
}
_SCHEMA: Final = "__pydantic_core_schema__"
_COMPLETE: Final = "__pydantic_complete__"
_SIGNATURE: Final = "__signature__"
_MADE: Final = (_SCHEMA, "__pydantic_validator__", "__pydantic_serializer__", _COMPLETE, _SIGNATURE)
# Seconds one thread waits for another that is at it. Both may build the same class, and do when they must.
_PATIENCE: Final = 5.0


class Endings(Protocol):
    """Where what has to be done at the end of things is kept."""

    after_fork: list[Callable[[], None]]
    at_stop: list[Callable[[], None]]


def rows(_targets: Mapping[str, str], probe: Endings) -> Iterator[tuple[str, Build]]:
    """What to put where in pydantic; none of it is the host's own."""
    classes = ModelClasses(Releases(PACKAGES), Releases(PYDANTIC))
    probe.after_fork.append(classes.forked)
    probe.at_stop.append(classes.finish)
    yield f"{_GENERATION}:GenerateSchema._model_schema", classes.nesting
    yield f"{_CONSTRUCTION}:complete_model_class", classes.completing


class ModelClasses:
    """Those that wait, and what may."""

    def __init__(self, packages: Releases, pydantic: Releases) -> None:
        self._packages = packages
        self._pydantic = pydantic
        self._waiting: dict[int, Waiting] = {}
        self._lookalike: Any = None
        self._plain: Mapping[str, Any] = {}
        self._nesting = False
        self.forked()

    def forked(self) -> None:
        """No thread of the parent's ends what it began here."""
        self.lock = threading.RLock()
        for waiting in self._waiting.values():
            waiting.forked()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def finish(self) -> None:
        """Build all that wait: from here on nobody else would begin with the inner ones."""
        self._nesting = False
        for waiting in list(self._waiting.values()):
            with guarded("model classes"):
                waiting.finish()

    def forget(self, waiting: Waiting) -> None:
        """It waits no longer."""
        self._waiting.pop(id(waiting), None)

    def nesting(self, original: Any, _switch: Switch) -> Any:
        """For pydantic's schema of a model inside another's: what is inside was built first, as ever."""
        self._require(original, _GENERATION)
        self._nesting = True

        def _model_schema(call: Any, generator: Any, cls: Any) -> Any:
            mark = vars(cls).get(_COMPLETE)
            if type(mark) is Made:
                mark.waiting.finish()
            return call(generator, cls)

        return _model_schema

    def completing(self, original: Any, switch: Switch) -> Any:
        """For the last thing that pydantic does when it makes a class."""
        self._require(original, _CONSTRUCTION)
        if not self._nesting:
            raise AutoperfError("what builds the schemas is not known")
        construction, mocks = sys.modules[_CONSTRUCTION], sys.modules["pydantic._internal._mock_val_ser"]
        making = construction.ModelMetaclass.__new__.__code__
        self._lookalike = _lookalike(mocks)

        def complete_model_class(call: Any, /, cls: Any, config: Any, *args: Any, **kwargs: Any) -> Any:
            # Between the two stands the fence.
            if sys._getframe(2).f_code is making:
                with guarded("model classes"):
                    waits = self._may_wait(cls, config, args, kwargs)
                    if self._packages.others:
                        others = ", ".join(sorted(self._packages.others))
                        switch.stand_aside(f"other releases of {others}: their classes are completed at once")
                    if waits:
                        self._put_off(cls, lambda: original(cls, config, *args, **kwargs))
                        return False  # what makes classes does not look at it
            return call(cls, config, *args, **kwargs)

        return complete_model_class

    def _require(self, function: Any, module: str) -> None:
        if not (isinstance(function, FunctionType) and self._pydantic.hold(module)):
            raise AutoperfError("another version of pydantic than those known")

    def _may_wait(self, cls: Any, config: Any, args: Any, kwargs: Any) -> bool:
        if not self._nesting or not self._packages.hold(cls.__module__):
            return False
        if not self._plain:
            base = sys.modules["pydantic.main"].BaseModel
            names = ("__get_pydantic_core_schema__", "__pydantic_on_complete__")
            self._plain = {name: vars(base)[name].__func__ for name in names if name in vars(base)}
        if any(getattr(getattr(cls, name), "__func__", None) is not own for name, own in self._plain.items()):
            return False  # code of its own takes part
        resolver = kwargs.get("ns_resolver", args[0] if args else None)
        # Nothing may be left to be looked up later that can change meanwhile.
        if resolver._parent_ns or "<locals>" in cls.__qualname__ or not cls.__pydantic_fields_complete__:
            return False
        # Building these changes the class in other places than those that are watched.
        if cls.__pydantic_computed_fields__ or any(cls.__pydantic_generic_metadata__.values()):
            return False
        fields = cls.__pydantic_fields__.values()
        if any(field.deprecated is not None or not _settled(field.annotation, set()) for field in fields):
            return False
        return not (config.plugin_settings or kwargs.get("create_model_module") or _plugins())

    def _put_off(self, cls: Any, build: Callable[[], Any]) -> None:
        waiting = Waiting(self, cls, build)
        self._waiting[id(waiting)] = waiting
        for name in _MADE:
            made = self._lookalike(name, waiting) if name == _SCHEMA else Made(name, waiting)
            setattr(cls, name, made)


class Waiting:
    """One class that waits, and how it is built."""

    __slots__ = ("_build", "_classes", "_cls", "_thread")

    def __init__(self, classes: ModelClasses, cls: Any, build: Callable[[], Any]) -> None:
        self._classes = classes
        self._cls = cls
        self._build: Callable[[], Any] | None = build
        self._thread = 0

    def finish(self) -> None:
        """Build it, if that has not been done; raises what making the class would have raised."""
        if self._build is None or self._thread == threading.get_ident():
            return
        lock = self._classes.lock
        # One thread may hold this lock and wait for an import of another's: no wait is for ever.
        held = lock.acquire(timeout=_PATIENCE)
        try:
            build = self._build
            if build is None:
                return
            self._thread = threading.get_ident()
            try:
                build()
            finally:
                self._thread = 0
            self._build = None
            self._leave()
        finally:
            if held:
                lock.release()

    def forked(self) -> None:
        """Nobody is at it here."""
        self._thread = 0

    def _leave(self) -> None:
        # Pydantic leaves a class alone that it cannot complete yet: it is as if it had never waited.
        for name in _MADE:
            if _is_ours(vars(self._cls).get(name)):
                if name == _COMPLETE:
                    setattr(self._cls, name, False)
                else:
                    delattr(self._cls, name)
        self._classes.forget(self)

    def value(self, name: str, instance: Any, owner: Any) -> Any:
        """What the attribute ``name`` of the class, or of an instance of it or of a subclass, is."""
        self.finish()
        if not _is_ours(vars(self._cls).get(name)):
            return getattr(owner if instance is None else instance, name)
        # Asked for while it is being built: then the class has none of its own yet.
        if name == _COMPLETE:
            return False
        return getattr(super(self._cls, owner if instance is None else instance), name)


class Made:
    """Stands for an attribute of a class that waits; what is seen of it is the attribute itself."""

    __slots__ = ("name", "waiting")

    def __init__(self, name: str, waiting: Waiting) -> None:
        self.name = name
        self.waiting = waiting

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self.waiting.value(self.name, instance, owner)


def _is_ours(value: Any) -> bool:
    return type(value) is Made or getattr(type(value), "autoperf_waits", False) is True


def _lookalike(mocks: Any) -> Any:
    """A `Made` that pydantic, where it reads a ``__dict__``, takes for its own sign of a class not built."""

    def made(name: str, waiting: Waiting) -> Any:
        def schema() -> Any:
            waiting.finish()
            found = vars(waiting._cls).get(name)
            return found if isinstance(found, dict) else None

        return kind(waiting, schema)

    class WaitingSchema(mocks.MockCoreSchema):  # type: ignore[misc]
        __slots__ = ("_waiting",)
        autoperf_waits = True

        def __init__(self, waiting: Waiting, schema: Callable[[], Any]) -> None:
            name = waiting._cls.__name__
            super().__init__(
                f"`{name}` is not fully defined", code="class-not-fully-defined", attempt_rebuild=schema
            )
            self._waiting = waiting

        def __get__(self, instance: Any, owner: Any) -> Any:
            return self._waiting.value(_SCHEMA, instance, owner)

    kind = WaitingSchema
    return made


def _settled(annotation: Any, seen: set[int]) -> bool:
    """Whether every class that is named is one that pydantic has completed, or would have by now.

    How a class stands in another's schema depends on it, and one that is not may be completed meanwhile.
    """
    if id(annotation) in seen:
        return True
    seen.add(id(annotation))
    if isinstance(annotation, (str, ForwardRef, TypeVar)):
        return False
    if isinstance(annotation, type):
        own = vars(annotation)
        if _COMPLETE in own:
            inside = own.get("__pydantic_fields__") or {}
            if own[_COMPLETE] is False or not all(_settled(f.annotation, seen) for f in inside.values()):
                return False
        if hasattr(annotation, "__total__") and issubclass(annotation, dict):
            return all(_settled(inner, seen) for inner in annotation.__annotations__.values())
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return True
    return all(_settled(part, seen) for part in (parts[:1] if get_origin(annotation) is Annotated else parts))


def _plugins() -> bool:
    # They see each class that is built: in the order in which they are made.
    # Pydantic imports this module, and asks it, for the first class that it builds.
    return bool(list(importlib.import_module("pydantic.plugin._loader").get_plugins()))
