"""YAML that was read before: the same text gives a fresh copy of the same result."""

from __future__ import annotations

import inspect
import marshal
import pickle
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "yaml"
# Characters: longer texts are read each time, so that all that are kept stay below 8 million.
_LONGEST: Final = 16_000
_UNSOUND: Final = "an error, or what cannot be copied"
# By source: functions that hand their one text to PyYAML's safe_load, and the tags of the original.
KNOWN: Final = {
    # helpers.yaml.loads, v0.9.9 - v2.6
    "b83bc247a1ae611122c990944fcc0ce04cd52bc1d1a5710bdeaa333199ffbccd",
    # parse_frontmatter of skills, v0.9.8 - v1.13 and v1.14 - v2.6
    "3d04f6d993bacd4c4a5e84700bc55ba7b3879ff3632b86dca6b8c3122072dfce",
    "050a1c90c01bdd2c4d4b523f7beee34206c4a291065f286885b34778f10180da",
}

Copy = Callable[[], Any]
Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """For functions of one YAML text: ``yaml`` returns what it says, ``frontmatter`` that and its errors."""
    memo = probe.new_memo(SEAM)
    if "yaml" in targets:
        yield targets["yaml"], reading(memo, "text", lambda _result: True)
    if "frontmatter" in targets:
        frontmatter = reading(memo, "frontmatter_text", lambda result: not result[1])
        yield targets["frontmatter"], unless_cached(probe.root, frontmatter)


def reading(memo: Memo[Copy], parameter: str, sound: Callable[[Any], bool]) -> Build:
    """Memoises a function of one text; only what is ``sound`` is kept, what is raised passes."""

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        expect_parameters(original, parameter)
        if digest(original) not in KNOWN:
            raise AutoperfError("another way of reading YAML than the ones that are known")
        grammar = _Grammar(original, switch)

        def key(*args: Any, **kwargs: Any) -> str | None:
            text = args[0] if args else kwargs.get(parameter)
            fits = len(args) + len(kwargs) == 1 and type(text) is str and len(text) <= _LONGEST
            return text if fits and grammar.is_itself() else None

        def freeze(result: Any, _text: str) -> Copy:
            copy = _frozen(result) if sound(result) and grammar.is_itself() else None
            if copy is None:
                raise UnkeptError(_UNSOUND)
            return copy

        return memo.wrapper(
            SEAM, key=key, inputs=lambda _noted, _text: None, freeze=freeze, thaw=lambda copy, _text: copy()
        )

    return build


def _frozen(value: Any) -> Copy | None:
    """What makes a fresh copy of ``value``, shared parts shared again; None where there is no such thing."""
    try:
        return partial(marshal.loads, marshal.dumps(value))
    except ValueError:
        pass
    # Dates are all that PyYAML's safe constructors make beyond that.
    try:
        return partial(pickle.loads, pickle.dumps(value))
    except (pickle.PicklingError, TypeError, AttributeError):
        return None


class _Grammar:
    """PyYAML as the function found it: whoever adds a constructor or resolver changes what a text means."""

    def __init__(self, reader: Any, switch: Switch) -> None:
        self._switch = switch
        self._globals: dict[str, Any] = inspect.unwrap(reader).__globals__
        yaml = self._globals.get("yaml")
        if not isinstance(yaml, ModuleType):
            raise AutoperfError("no PyYAML to read with")
        self._yaml = yaml
        self._functions = (yaml.safe_load, yaml.load, yaml.SafeLoader)
        self._tables = self._now()

    def _now(self) -> tuple[Any, ...]:
        loader = self._yaml.SafeLoader
        resolvers = {first: list(pairs) for first, pairs in loader.yaml_implicit_resolvers.items()}
        constructors = (loader.yaml_constructors, loader.yaml_multi_constructors, loader.yaml_path_resolvers)
        return (*map(dict, constructors), resolvers)

    def is_itself(self) -> bool:
        """Whether PyYAML reads as it did; the row stands aside as long as it does not."""
        found = self._is_itself()
        if not found:
            self._switch.stand_aside("something changed PyYAML's safe loader")
        elif self._switch.aside is not None:
            self._switch.act_again()
        return found

    def _is_itself(self) -> bool:
        yaml = self._yaml
        if self._globals.get("yaml") is not yaml:
            return False
        if (yaml.safe_load, yaml.load, yaml.SafeLoader) != self._functions:
            return False
        loader = yaml.SafeLoader
        constructors, multi, paths, resolvers = self._tables
        return bool(
            loader.yaml_constructors == constructors
            and loader.yaml_multi_constructors == multi
            and loader.yaml_path_resolvers == paths
            and loader.yaml_implicit_resolvers == resolvers
        )
