"""Secrets masked in log items: asked for once a value, and looked for only in what is new of a text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from inspect import unwrap
from types import ModuleType
from typing import Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "log masking"
# By the functions' source; the tags of the original that carry it.
METHODS: Final = {
    "a8cad72d4f8639f0fc534d9db875904a3c2f1aa5647760c55b84bc9a1649ca3f",  # v0.9.7
    "fcdc772c6900a07537e4ad4816e9c7928e953cbb0dab6b7fb1d05ada32e4bcf6",  # v0.9.8 - v2.6
}
FUNCTIONS: Final = {"6b14c7055fee52b2930445be38d5b20d8e9ac817b63e52857410131d1dc0bc6e"}  # v0.9.5 - v0.9.6
LOOKUPS: Final = {
    "0b15c72d92e262d8f16d9bd20b45a86d931fe382a82e9d8cf9631d519c62fb69",  # v0.9.7 - v0.9.8.3
    "4a7baaff7a951ba069e6345bb268de6298ee27f088c7c4de06714e52e3de6c51",  # v0.9.9 - v2.4
    "24741cea48b8403467db372063fd13c4de0e25bccdfaacf98ee0e673fbc6f4fa",  # v2.5 - v2.6
}
MANAGERS: Final = {
    "mask_values": {
        "03564946ed0cfa38db964c6e81e7b2314b6e678df37746144d3b468a4e09a220",  # v0.9.5 - v0.9.6
        "98232c91f53f3c8e89bed596e834e52ddf127b6bc3b2e3dd4fab410fdbb5c8aa",  # v0.9.7 - v2.6
    },
    "load_secrets": {
        "86e7c7defad4a7adc0c43a2d9468cf584ee95e973262338af975f674e24a6106",  # v0.9.5 - v0.9.6
        "57e7a13e9cabb3cf440f1724a311db5639fff03fe29bcd3b22db4b207fc2f66c",  # v0.9.7 - v2.6
    },
}
# Characters: a shorter value than this is no secret to the host.
SHORTEST: Final = 4
# Characters: a shorter text is searched sooner than it is looked up.
_GROWING: Final = 512
_DEEPEST: Final = 60
_PROJECTS_KEPT: Final = 256

Mask = Callable[..., Any]
Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """For the function that goes through a log value and masks the texts in it (v0.9.5 on)."""
    texts = GrowingTexts()
    probe.idle_work.append(texts.expire)
    probe.after_fork.append(texts.forked)
    probe.clears("masked values", texts.clear)
    if "mask_method" in targets:
        yield targets["mask_method"], _of_method(probe, texts)
    if "mask_function" in targets:
        yield targets["mask_function"], _of_function(probe, texts)


def _of_method(probe: Probe, texts: GrowingTexts) -> Callable[[Mask, Switch], Shortcut]:
    def build(original: Mask, switch: Switch) -> Shortcut:
        expect_parameters(original, "self", "obj")
        names = original.__globals__
        lookup = names["get_secrets_manager"]
        inner = unwrap(lookup)
        _expect(original, METHODS)
        _expect(inner, LOOKUPS)
        masker = _Masker(sys.modules[inner.__module__], texts, switch)
        undisturbed = _undisturbed(lookup, inner)
        managers = _Managers(inner, masker.managers)
        memo = probe.memo("masked values")

        def _mask_recursive(self: Any, obj: Any) -> Any:
            if names.get("get_secrets_manager") is not lookup:
                switch.stand_aside("get_secrets_manager, which it relies on, was replaced")
            elif undisturbed():
                agent = sys.modules.get("agent")
                if agent is not None and hasattr(agent, "AgentContext"):
                    context = self.context or agent.AgentContext.current()
                    masked = masker.masked(managers.of(context), obj)
                    if masked is not _UNKNOWN:
                        memo.hits += 1
                        return masked
            memo.misses += 1
            return MISS

        return Shortcut(_mask_recursive)

    return build


def _of_function(probe: Probe, texts: GrowingTexts) -> Callable[[Mask, Switch], Shortcut]:
    def build(original: Mask, switch: Switch) -> Shortcut:
        expect_parameters(original, "obj")
        _expect(original, FUNCTIONS)
        secrets = f"{original.__module__.rpartition('.')[0]}.secrets"
        memo = probe.memo("masked values")
        # The host imports that module when it first masks something.
        maskers: dict[ModuleType, _Masker | None] = {}

        def _mask_recursive(obj: Any) -> Any:
            module = sys.modules.get(secrets)
            if module is not None and hasattr(module, "SecretsManager"):
                if module not in maskers:
                    maskers.clear()
                    maskers[module] = _masker_or_none(module, texts, switch)
                masker, masked = maskers[module], _UNKNOWN
                if masker is not None:
                    masked = masker.masked(module.SecretsManager.get_instance(), obj)
                if masked is not _UNKNOWN:
                    memo.hits += 1
                    return masked
            memo.misses += 1
            return MISS

        return Shortcut(_mask_recursive)

    return build


_UNKNOWN: Final = object()


def _expect(function: Any, known: set[str]) -> None:
    if digest(function) not in known:
        raise AutoperfError(
            f"another {getattr(function, '__name__', 'function')} than the ones that are known"
        )


def _undisturbed(lookup: Any, inner: Any) -> Callable[[], bool]:
    """Whether the look-up of the secrets has no extensions: with some, every single call of it counts."""
    if lookup is inner:
        return lambda: True
    extension = sys.modules.get(f"{inner.__module__.rpartition('.')[0]}.extension")
    if extension is None:
        raise AutoperfError("the look-up of the secrets is decorated by something unknown")
    points = ExtensionClasses()
    with guarded(SEAM):
        points.bind(vars(extension))
    base = os.path.join("_functions", *inner.__module__.split("."), inner.__name__)
    start, end = os.path.join(base, "start"), os.path.join(base, "end")

    def undisturbed() -> bool:
        return points.both_empty(start, end, None) or (points.of(start, None) == [] == points.of(end, None))

    return undisturbed


class _Managers:
    """The manager of a context's secrets, which depends on nothing but the name of its project."""

    def __init__(self, lookup: Callable[[Any], Any], cls: Any) -> None:
        self._lookup = lookup
        self._class = cls
        self._package = lookup.__module__.rpartition(".")[0]
        self._kept: dict[str, tuple[Any, Any]] = {}

    def of(self, context: Any) -> Any:
        """What the host's look-up gives for ``context``, as long as the host itself keeps that one."""
        projects = sys.modules.get(f"{self._package}.projects")
        if not context or projects is None:
            return self._lookup(context)
        project = projects.get_context_project_name(context) or ""
        found = self._kept.get(project)
        if found is not None and self._class._instances.get(found[0]) is found[1]:
            return found[1]
        manager = self._lookup(context)
        key = next((key for key, kept in list(self._class._instances.items()) if kept is manager), None)
        if key is not None and type(project) is str and len(self._kept) < _PROJECTS_KEPT:
            self._kept[project] = key, manager
        return manager


class _Masker:
    """Does to a value what the host does, with the secrets read once."""

    def __init__(self, module: ModuleType, texts: GrowingTexts, switch: Switch) -> None:
        self._texts = texts
        self._switch = switch
        self.managers: Any = vars(module)["SecretsManager"]
        self._methods = [vars(self.managers)[name] for name in MANAGERS]
        for method, known in zip(self._methods, MANAGERS.values(), strict=True):
            _expect(method, known)
        # One attribute: what two threads put together here would be a secret that is not masked.
        self._last: tuple[tuple[Any, ...], tuple[str, ...]] = ((), ())

    def masked(self, manager: Any, obj: Any) -> Any:
        """``obj`` as the host masks it, or `_UNKNOWN` where only the host can tell; host errors pass."""
        methods = vars(self.managers)
        if type(manager) is not self.managers or [methods[name] for name in MANAGERS] != self._methods:
            self._switch.stand_aside("the manager of secrets, which it relies on, was replaced")
            return _UNKNOWN
        if self._switch.aside is not None:
            self._switch.act_again()
        secrets = manager.load_secrets()
        if type(secrets) is not dict:
            return _UNKNOWN
        seen = tuple(secrets.values())
        known, values = self._last
        if seen != known:
            values = _secret(seen)
            self._last = seen, values
        return self._deep(manager, values, obj, 0)

    def _deep(self, manager: Any, values: tuple[str, ...], obj: Any, depth: int) -> Any:
        if isinstance(obj, str):
            return obj if not obj or not values else self._text(manager, values, obj)
        if depth > _DEEPEST:
            raise RecursionError
        if isinstance(obj, dict):
            return {key: self._deep(manager, values, value, depth + 1) for key, value in obj.items()}
        if isinstance(obj, list):
            return [self._deep(manager, values, value, depth + 1) for value in obj]
        return obj

    def _text(self, manager: Any, values: tuple[str, ...], text: str) -> Any:
        if type(text) is str and not self._holds(values, text):
            return text
        return manager.mask_values(text)

    def _holds(self, values: tuple[str, ...], text: str) -> bool:
        if len(text) < _GROWING:
            return any(value in text for value in values)
        entry = self._texts.claim(text)
        start = 0
        if entry is not None and entry.work == values:
            # What ends in the known part was found then; a secret may have begun there.
            start = max(0, len(entry.prefix) - max(map(len, values)) + 1)
        if any(text.find(value, start) >= 0 for value in values):
            if entry is not None:
                self._texts.keep(entry)
            return True
        self._texts.keep(Entry(text, values))
        return False


def _masker_or_none(module: ModuleType, texts: GrowingTexts, switch: Switch) -> _Masker | None:
    try:
        return _Masker(module, texts, switch)
    except AutoperfError as reason:
        switch.stand_aside(str(reason))
        return None


def _secret(values: tuple[Any, ...]) -> tuple[str, ...]:
    """Those of the values that the host replaces; empty texts and short ones it leaves alone."""
    return tuple(value for value in values if value and len(value.strip()) >= SHORTEST)
