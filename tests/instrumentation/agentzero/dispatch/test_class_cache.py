"""What is read from the host's own cache of extension classes, and when it is not believed."""

from __future__ import annotations

import types
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses


class Entry:
    """As the host keeps it."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.timestamp = 1.0


class Host:
    """The globals of the host's extension module, and the module with its cache."""

    def __init__(self) -> None:
        self.area: dict[Any, Any] = {}
        self.cache = types.SimpleNamespace(
            _cache={"area": self.area}, _enabled_areas={}, _enabled_global=True
        )
        self.asked: list[str] = []
        self.globals = {
            "cache": self.cache,
            "_get_extension_classes": self.lookup,
            "_CLASSES_CACHE_AREA": "area",
        }
        # One object, as a module's function is one: a bound method would be made anew.
        self.globals["_get_extension_classes"] = lambda point, agent=None: self.lookup(point, agent)

    def lookup(self, point: str, agent: Any = None) -> Any:
        self.asked.append(point)
        return self.area["none", "none", point].value

    def put(self, point: str, value: Any, profile: str = "none", project: str = "none") -> Entry:
        entry = self.area[profile, project, point] = Entry(value)
        return entry


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def classes(host, monkeypatch) -> ExtensionClasses:
    monkeypatch.delenv("EXTENSIONS_LOG", raising=False)
    found = ExtensionClasses()
    found.bind(host.globals)
    assert found.bound()
    return found


def test_only_what_the_host_looked_up_is_known(host, classes):
    assert classes.of("point", None) is None
    kept: list[type] = [int]
    host.put("point", kept)
    assert classes.of("point", None) is kept
    assert classes.of("other", None) is None


def test_a_cache_without_switches_is_always_on(host, classes):
    del host.cache._enabled_areas, host.cache._enabled_global
    classes.bind(host.globals)
    for point in ("start", "end"):
        host.put(point, [])
        assert classes.of(point, None) == []
    assert classes.both_empty("start", "end", None)
    assert classes.pair("start", "end")(None)


@pytest.mark.parametrize("there", ["_is_enabled", "_enabled_areas", "_enabled_global"])
def test_one_with_other_switches_is_not_read(host, classes, there):
    """Whatever it has of them may be off."""
    del host.cache._enabled_areas, host.cache._enabled_global
    setattr(host.cache, there, {} if there == "_enabled_areas" else True)
    classes.bind(host.globals)
    host.put("point", [])
    assert classes.of("point", None) is None
    assert not classes.pair("point", "point")(None)


def test_the_host_is_asked_once_before_anything_is_believed(host, classes):
    host.put("start", [])
    host.put("end", [])
    assert not classes.both_empty("start", "end", None)
    assert classes.of("start", None) == []
    assert classes.of("end", None) == []
    assert host.asked == ["start"]
    assert classes.both_empty("start", "end", None)


def test_a_host_that_answers_otherwise_is_never_believed(host, classes):
    host.put("point", [])
    host.globals["_get_extension_classes"] = other = lambda point, agent=None: []
    classes.bind(host.globals)
    assert classes.of("point", None) is None
    assert not classes.bound()
    assert other("x") == []


def test_reading_refreshes_the_entry_as_the_host_does(host, classes):
    entry, end = host.put("point", []), host.put("end", [])
    classes.of("point", None)
    assert entry.timestamp > 1.0
    entry.timestamp = 1.0
    classes.both_empty("point", "end", None)
    assert entry.timestamp > 1.0
    assert end.timestamp > 1.0


def test_profile_and_project_are_parts_of_the_key(host, classes):
    host.put("point", [])
    classes.of("point", None)
    own: list[type] = [str]
    host.put("point", own, "expert", "atlas")
    context = types.SimpleNamespace(get_data=lambda name: "atlas" if name == "project" else None)
    agent = types.SimpleNamespace(config=types.SimpleNamespace(profile="expert"), context=context)
    assert classes.of("point", agent) is own
    agent.config.profile = ""
    assert classes.of("point", agent) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda host, patch: setattr(host.cache, "_enabled_global", False),
        lambda host, patch: host.cache._enabled_areas.update(area=False),
        lambda host, patch: host.globals.update(_get_extension_classes=lambda point, agent=None: []),
        lambda host, patch: patch.setenv("EXTENSIONS_LOG", "10"),
        lambda host, patch: host.area.clear(),
        lambda host, patch: host.cache._cache.clear(),
        lambda host, patch: host.area.update({key: [[], 0.0] for key in host.area}),
        lambda host, patch: host.put("start", [int]),
    ],
    ids=[
        "cache off",
        "area off",
        "replaced",
        "logging",
        "cleared",
        "all cleared",
        "another entry",
        "not empty",
    ],
)
def test_what_is_no_longer_so_is_not_said(host, classes, monkeypatch, change):
    for point in ("start", "end"):
        host.put(point, [])
        classes.of(point, None)
    assert classes.both_empty("start", "end", None)
    change(host, monkeypatch)
    assert not classes.both_empty("start", "end", None)
    assert classes.of("start", None) in (None, [int])


def test_an_agent_of_another_shape_is_the_hosts_business(host, classes):
    host.put("start", [])
    host.put("end", [])
    classes.of("start", None)
    assert classes.of("start", object()) is None
    assert not classes.both_empty("start", "end", object())


@pytest.mark.parametrize("missing", ["cache", "_get_extension_classes", "_CLASSES_CACHE_AREA"])
def test_a_module_built_differently_stays_unread(host, missing):
    del host.globals[missing]
    found = ExtensionClasses()
    found.bind(host.globals)
    assert not found.bound()
    assert found.of("point", None) is None


@pytest.mark.parametrize("name", ["_cache", "get", "determine_cache_key", "_is_enabled"])
def test_a_look_up_that_goes_another_way_since_is_the_hosts(host, classes, name):
    host.put("start", [])
    host.put("end", [])
    assert classes.of("start", None) == []
    pair = classes.pair("start", "end")
    assert pair(None)
    assert classes.both_empty("start", "end", None)
    setattr(host.cache, name, {} if name == "_cache" else lambda *_: None)
    assert classes.of("start", None) is None
    assert not pair(None)
    assert not classes.both_empty("start", "end", None)
