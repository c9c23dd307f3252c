"""Options: typed, named by their source, and a value that makes no sense is one line and passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoperf.features import DEFAULT, parse_features
from autoperf.process.config import Config, default_home
from autoperf.process.options import OPTIONS


def test_nothing_set_is_every_feature_and_the_documented_defaults():
    config = Config.from_environ({})
    assert config.features == DEFAULT
    assert (config.tool_cache_size, config.tool_cache_ttl) == (100, 300.0)
    assert (config.extension_cache_size, config.extension_cache_ttl) == (50, 300.0)
    assert set(config.sources.values()) == {"default"}
    assert config.problems == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tools,mcp", {"tools", "mcp"}),
        ("-mcp", DEFAULT - {"mcp"}),
        ("all", DEFAULT),
        ("none", set()),
        ("all,-trace", DEFAULT - {"trace"}),
        ("+throttle", DEFAULT | {"throttle"}),
        ("-mcp,+mcp-keep", DEFAULT - {"mcp"} | {"mcp-keep"}),
        ("-mcp-keep", DEFAULT),
        ("all,throttle", DEFAULT | {"throttle"}),
        (" Tools , TRACE ", {"tools", "trace"}),
    ],
)
def test_feature_lists(text, expected):
    assert parse_features(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("tools,toolz", {"tools"}, "no feature 'toolz'; there are tools, "),
        ("-mcp,-toolz", DEFAULT - {"mcp"}, "no feature 'toolz'; there are tools, "),
        ("toolz,speed", DEFAULT, "no feature 'toolz', 'speed'; there are tools, "),
        ("tools,model-classes", {"tools"}, "model-classes is no feature any more and does nothing"),
        ("+model-classes", DEFAULT, "model-classes is no feature any more and does nothing"),
    ],
)
def test_of_a_list_with_other_names_the_rest_holds(text, expected, said):
    config = Config.from_environ({"AUTOPERF_FEATURES": text})
    assert config.features == expected
    (problem,) = config.problems
    assert problem.startswith(f"AUTOPERF_FEATURES: {said}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AUTOPERF_TOOL_CACHE_SIZE", "0"),
        ("AUTOPERF_TOOL_CACHE_SIZE", "many"),
        ("AUTOPERF_TOOL_CACHE_TTL", "-1"),
        ("AUTOPERF_EXTENSION_CACHE_TTL", "nan"),
        ("AUTOPERF_QUIET", "perhaps"),
        ("AUTOPERF_STORE_MAX_MB", "1.5"),
    ],
)
def test_a_bad_value_is_one_line_and_the_default_stands(variable, value):
    config = Config.from_environ({variable: value})
    (option,) = (option for option in OPTIONS if option.variable == variable)
    assert getattr(config, option.name) == option.default
    (problem,) = config.problems
    assert problem.startswith(f"{variable}={value!r} is ignored")
    assert "\n" not in problem


def test_a_misspelt_variable_is_named():
    assert Config.from_environ({"AUTOPERF_TOOLCACHE": "1"}).problems == (
        "AUTOPERF_TOOLCACHE is not an option of autoperf",
    )


def test_arguments_win_over_the_environment_and_unknown_ones_are_refused():
    config = Config.from_environ({"AUTOPERF_QUIET": "0"}, quiet=True)
    assert config.quiet is True
    assert config.sources["quiet"] == "argument"
    with pytest.raises(TypeError, match="no option volume"):
        Config.from_environ({}, volume=11)


def test_the_state_directory_is_absolute_even_for_a_user_without_a_home(monkeypatch):
    assert default_home({"XDG_STATE_HOME": "/var/state"}) == Path("/var/state/autoperf")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert default_home({"XDG_STATE_HOME": "relative"}).is_absolute()
