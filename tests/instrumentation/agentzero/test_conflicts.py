"""Where a plugin of the host does it by itself, a seam stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.conflicts import caching_plugin, unless_cached
from autoperf.patching.patch import Switch


@pytest.mark.parametrize("place", ["usr/plugins/runtime_cache", "plugins/_runtime_cache"])
def test_a_caching_plugin_is_found_unless_it_is_off(tmp_path: Path, place: str) -> None:
    assert caching_plugin(str(tmp_path)) == ""
    (tmp_path / place).mkdir(parents=True)
    assert caching_plugin(str(tmp_path)) == place.rpartition("/")[2]
    (tmp_path / place / ".toggle-0").touch()
    assert caching_plugin(str(tmp_path)) == ""


def test_other_plugins_are_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "plugins" / "runtime_cache_viewer").mkdir(parents=True)
    assert caching_plugin(str(tmp_path)) == ""


def test_a_seam_stays_as_it_is_beside_one(tmp_path: Path) -> None:
    build = unless_cached(str(tmp_path), lambda original, _switch: [original])
    assert build(print, Switch()) == [print]
    (tmp_path / "plugins" / "runtime_cache").mkdir(parents=True)
    with pytest.raises(AutoperfError, match="runtime_cache"):
        build(print, Switch())
