"""Patches as data: declared as rows, applied when their module is imported, undone last first."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.errors.fence import Recompiled, View, binding, fenced
from autoperf.errors.switch import Switch as Switch
from autoperf.errors.switch import Together as Together
from autoperf.patching.finder import Finder

_MISSING: Final = object()


class UnneededError(AutoperfError):
    """Raised by a `Patch.build` where something else already does what the patch is for."""


@dataclass(frozen=True)
class Patch:
    """One row: where, and what to put there.

    ``target`` is ``"module:qualified.name"`` (entry-point syntax). ``build(original, switch)`` gets what a
    plain attribute look-up on the owner would give for a function, or for a static or class method the
    function inside it, and returns what acts in its place: ``wrapper(call, *args, **kwargs)``, a `Shortcut`,
    a `Bound`, a `View` of a module, or the function `Recompiled`. `replacement` puts the fence around it: no
    patch is without. ``feature`` is the option that switches the row on. A row that is ``optional`` may have
    its module imported late or never, and one that is ``foreign`` is for a package beside the host: nobody
    waits for either. ``expected`` is false where this version of the host has nothing there that the patch
    is for: what cannot be applied is absent then, else it is unrecognised. A row whose ``state`` is known
    from the start, with its ``reason``, is never applied.
    """

    target: str
    feature: str
    build: Callable[[Any, Switch], Any]
    optional: bool = False
    foreign: bool = False
    expected: bool = True
    state: str = "waiting"
    reason: str = ""

    @property
    def module(self) -> str:
        """The module whose import the row waits for."""
        return self.target.partition(":")[0]

    @property
    def path(self) -> list[str]:
        """Attribute names from the module to the function."""
        return self.target.partition(":")[2].split(".")


@dataclass(frozen=True)
class Bound:
    """A wrapper that wants the function bound: ``wrapper(call, instance, args, kwargs)``, by wrapt."""

    wrapper: Callable[..., Any]


def wrapping(wrapper: Callable[..., Any]) -> Callable[[Any, Switch], Any]:
    """A `Patch.build` for seams that are not called for every token; see `Bound`."""
    return lambda _original, _switch: Bound(wrapper)


@dataclass
class Applied:
    """What became of one row.

    ``state`` is waiting (for its module), applied, off (by option, or something else does it), absent (this
    version has no such function), unrecognised (other code than is known) or failed (ours); after `stop`
    undone or inert.
    """

    patch: Patch
    state: str = ""
    reason: str = ""
    switch: Switch = field(default_factory=Switch)
    owner: Any = None
    raw: Any = _MISSING
    replacement: Any = None
    inherited: bool = False

    def __post_init__(self) -> None:
        self.state, self.reason = self.state or self.patch.state, self.reason or self.patch.reason

    def as_row(self) -> dict[str, Any]:
        """A plain mapping for ``status`` and ``doctor``; what its wrapper found out meanwhile included."""
        state, reason = self.state, self.reason
        if state == "applied" and self.switch.aside is not None:
            state, reason = self.switch.aside
        return {
            "optional": self.patch.optional,
            "foreign": self.patch.foreign,
            "target": self.patch.target,
            "feature": self.patch.feature,
            "state": state,
            "reason": reason,
        }


class PatchSet:
    """Applies rows as their modules are imported, keeps every failure as data, undoes last first."""

    def __init__(self, patches: Iterable[Patch], *, on_change: Callable[[], None] | None = None) -> None:
        self.rows: list[Applied] = [Applied(patch) for patch in patches]
        self._on_change = on_change
        self._order: list[Applied] = []
        self._lock = threading.RLock()
        self.seconds = 0.0  # CPU, of patching what was imported so far
        self._modules = {row.patch.module for row in self.rows if row.state == "waiting"}
        self._finder = Finder(self._modules, self._imported)

    def start(self) -> None:
        """Patch what is already imported and wait for the rest."""
        sys.meta_path.insert(0, self._finder)
        for name in sorted(self._modules):
            module = sys.modules.get(name)
            # A module still being executed is patched by nobody: its names are not all there yet.
            if module is not None and not _initializing(module):
                with guarded(f"patching {name}"):
                    self._imported(module)

    def stop(self) -> None:
        """Put every original back, last patch first, and stop waiting for imports."""
        with guarded("patching"):
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
        with self._lock:
            while self._order:
                row = self._order.pop()
                with guarded(row.patch.target):
                    _undo(row)
            for row in self.rows:
                if row.state == "waiting":
                    row.state = "undone"

    def _imported(self, module: ModuleType) -> None:
        begun = time.thread_time()
        with self._lock:
            for row in self.rows:
                if row.patch.module != module.__name__:
                    continue
                if row.state in ("applied", "inert"):
                    _forget_reloaded(row, self._order)
                if row.state != "undone" and row.patch.state == "waiting":
                    self._apply(row, module)
            self.seconds += time.thread_time() - begun
        if self._on_change is not None:
            with guarded("patching"):
                self._on_change()

    def _apply(self, row: Applied, module: ModuleType) -> None:
        row.state, row.reason = "failed", "the wrapper could not be put in place"
        with guarded(row.patch.target):
            found = _resolve(module, row.patch.path)
            if found is None:
                row.state, row.reason = _lacking(row.patch, "the host does not define it")
                return
            row.owner, name, row.raw, row.inherited = found
            del found  # it counts as somebody who holds the function
            copied = _copied_by_name(row) and sys.getrefcount(row.raw) > _HELD_BY_US
            row.switch = Switch()
            try:
                row.replacement = replacement(row.raw, row.patch.build, row.switch, row.patch.target)
            except UnneededError as error:
                row.state, row.reason = "off", str(error)
                return
            except AutoperfError as error:
                row.state, row.reason = _lacking(row.patch, str(error))
                return
            try:
                setattr(row.owner, name, row.replacement)
                if copied:
                    _swap_copies(name, row.raw, row.replacement, skip=row.owner)
            except BaseException:
                _undo(row)  # half made it would act, and nobody would take it back
                row.state = "failed"
                raise
            row.state, row.reason = "applied", ""
            self._order.append(row)

    @property
    def aside(self) -> int:
        """How many rows that were applied found out in use that they have to stand aside."""
        return sum(row.switch.aside is not None for row in self.rows)

    @property
    def settled(self) -> bool:
        """Whether no row waits for its module any more."""
        return all(row.state != "waiting" or row.patch.foreign for row in self.rows)

    @property
    def usable(self) -> bool:
        """Whether only such rows wait as nobody waits for: their modules are imported late or never."""
        return all(row.state != "waiting" or row.patch.foreign or row.patch.optional for row in self.rows)


def _lacking(patch: Patch, reason: str) -> tuple[str, str]:
    return ("unrecognised" if patch.expected else "absent"), reason


def _initializing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _resolve(module: ModuleType, path: Sequence[str]) -> tuple[Any, str, Any, bool] | None:
    owner: Any = module
    for name in path[:-1]:
        owner = vars(owner).get(name, _MISSING)
        if owner is _MISSING:
            return None
    name = path[-1]
    raw = vars(owner).get(name, _MISSING)
    if raw is not _MISSING:
        return owner, name, raw, False
    for base in getattr(owner, "__mro__", ())[1:-1]:
        if name in vars(base):
            return owner, name, vars(base)[name], True
    return None


def replacement(raw: Any, build: Callable[[Any, Switch], Any], switch: Switch, seam: str = "") -> Any:
    """What stands in for ``raw``: what ``build`` makes of it, fenced; failures are counted for ``seam``."""
    if isinstance(raw, (staticmethod, classmethod)):
        return type(raw)(replacement(raw.__func__, build, switch, seam))
    acting = build(raw, switch)
    if isinstance(acting, Bound):
        return binding(seam, raw, switch, acting.wrapper)
    if isinstance(acting, View):
        return acting.of(seam, raw, switch)
    if isinstance(acting, Recompiled):
        return functools.update_wrapper(acting.function, raw)
    return functools.update_wrapper(fenced(seam, raw, switch, acting), raw)


def _copied_by_name(row: Applied) -> bool:
    # Others may hold a module's function by name (``from helpers.extension import call_extensions_async``).
    # What the module itself only imported (``importlib``) belongs to everybody and is left alone elsewhere.
    return isinstance(row.owner, ModuleType) and getattr(row.raw, "__module__", None) == row.owner.__name__


def _held_by_us() -> int:
    """What `sys.getrefcount` says in `_apply` of a function that only its module and the row hold."""
    row = Applied(Patch("", "", lambda *_: None))
    module = {"function": lambda: None}
    row.raw = module["function"]
    return sys.getrefcount(row.raw)


# Looking for copies goes through thousands of modules; most functions are new, and nobody has one.
_HELD_BY_US: Final = _held_by_us()


def _swap_copies(name: str, old: Any, new: Any, *, skip: ModuleType) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if module is not skip and isinstance(names, dict) and names.get(name) is old:
            names[name] = new


def _undo(row: Applied) -> None:
    name = row.patch.path[-1]
    row.state = "undone"
    if vars(row.owner).get(name, _MISSING) is not row.replacement:
        # Somebody wrapped on top of us: removing ours would remove theirs, so ours only stops acting.
        row.switch.on = False
        row.state, row.reason = "inert", "wrapped by someone else, left in place"
        return
    row.switch.on = False
    if row.inherited:
        delattr(row.owner, name)
    else:
        setattr(row.owner, name, row.raw)
    if _copied_by_name(row):
        _swap_copies(name, row.replacement, row.raw, skip=row.owner)


def _forget_reloaded(row: Applied, order: list[Applied]) -> None:
    row.switch.on = False
    if row in order:
        order.remove(row)
