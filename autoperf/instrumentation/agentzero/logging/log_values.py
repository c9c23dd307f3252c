"""The values of a log item, copied and cut to length without the machinery that plain data does not need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut, View
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.sources import digest

# By the functions' source; the tags of the original that carry it.
CUTS: Final = {
    # Dictionary keys are left as they are: v0.9.2 - v0.9.4
    "a823e5907f931420bf220c6b5e248ae6d33df14f1e747a99f62e8d99d81c7684": False,
    "9165237a993a2573b580e7bfbda9e2c8ed1d20afef865e2ee5035854230ab5bf": True,  # v0.9.5 - v0.9.7
    "869284fff70290cd08eba5b9e5fff6c83a8ec93e5521558a314f9ad7a6502a4c": True,  # v0.9.8 - v2.6
}
KEYS: Final = {"918ede179a860b939c02d46841d3edc2ba718f1924542f547675a4af50c4968d"}  # v0.9.2 - v2.6

# `copy.deepcopy` gives these back as they are.
_ATOMS: Final = frozenset((str, int, float, bool, type(None)))
_CONTAINERS: Final = frozenset((dict, list, OrderedDict))
_NUMBERS: Final = frozenset((float, bool, type(None)))

Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """For the log module's view of `copy`, and for its function that cuts values."""
    del probe
    if "copy" in targets:
        yield targets["copy"], copying
    if "cut" in targets:
        yield targets["cut"], cutting


class _SpecialError(Exception):
    """Something that only the real `copy.deepcopy` copies rightly."""


def copying(_original: ModuleType, _switch: Switch) -> View:
    """``copy`` in the log module, where nothing but dictionaries of plain data is copied."""
    return View({"deepcopy": Shortcut(_deepcopy)})


def _deepcopy(value: Any, *more: Any, **options: Any) -> Any:
    if more or options:
        return MISS
    try:
        return _plain(value, set())
    except (_SpecialError, RecursionError):
        return MISS


def _plain(value: Any, seen: set[int]) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    # The same container in two places is one in the copy too, and a cycle has no end: not ours.
    if id(value) in seen or kind not in _CONTAINERS:
        raise _SpecialError
    seen.add(id(value))
    if kind is list:
        return [_plain(inner, seen) for inner in value]
    if any(type(key) is not str for key in value) or (kind is OrderedDict and vars(value)):
        raise _SpecialError
    copied = {key: _plain(inner, seen) for key, inner in value.items()}
    return copied if kind is dict else OrderedDict(copied)


def cutting(original: Callable[[Any], Any], _switch: Switch) -> Callable[..., Any]:
    """For the log's function that cuts long values: what is short anyway is seen without measuring it."""
    expect_parameters(original, "val")
    names: Any = original.__globals__
    cuts_keys = CUTS.get(digest(original))
    key_cutter = names.get("_truncate_key")
    if cuts_keys is None or (cuts_keys and digest(key_cutter) not in KEYS):
        raise AutoperfError("another way of cutting than the ones that are known")

    def cut_value(val: Any) -> Any:
        kind = type(val)
        if kind is str and len(val) <= names["VALUE_MAX_LEN"]:
            return val
        if kind in _NUMBERS and names["VALUE_MAX_LEN"] >= _LONGEST_NUMBER:
            return val
        if kind is dict and (not cuts_keys or _short(val, names["KEY_MAX_LEN"])):
            # Keys that stay as they are keep their places, so only values have to be put back.
            for key, value in val.items():
                cut = cut_value(value)
                if cut is not value:
                    val[key] = cut
            return val
        if kind is list:
            for number, value in enumerate(val):
                val[number] = cut_value(value)
            return val
        return original(val)

    def _truncate_value(_call: Any, val: Any) -> Any:
        # Values are cut in place: what a failure leaves half done, the host goes on with.
        return cut_value(val)

    return _truncate_value


# Characters, of any float's `repr`, and of null, true, false, NaN and Infinity with its sign.
_LONGEST_NUMBER: Final = 24


def _short(keys: Mapping[Any, Any], longest: int) -> bool:
    return all(type(key) is str and len(key) <= longest for key in keys)
