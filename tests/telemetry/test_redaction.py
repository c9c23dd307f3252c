"""Names of source files that tell nothing of the machine."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry.redaction import shown, source_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{root}/tools/echo.py", "tools/echo.py"),
        ("{root}/usr/agents/me/tools/echo.py", "usr/agents/me/tools/echo.py"),
        ("{home}/mine/echo.py", "~/mine/echo.py"),
        ("{root}-other/echo.py", "echo.py"),
        ("{home}-other/echo.py", "echo.py"),
        ("/somewhere/else/echo.py", "echo.py"),
        ("<string>", "<string>"),
        ("", ""),
    ],
)
def test_relative_to_the_host_or_the_home_or_the_name_alone(path, expected, tmp_path, monkeypatch):
    root, home = tmp_path / "a0", tmp_path / "home" / "somebody"
    monkeypatch.setenv("HOME", str(home))
    shown.cache_clear()
    assert shown(path.format(root=root, home=home), str(root)) == expected


def test_a_host_below_the_home_directory_is_named_from_the_host_on(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shown.cache_clear()
    assert shown(str(tmp_path / "a0" / "tools" / "echo.py"), str(tmp_path / "a0")) == "tools/echo.py"


def test_a_link_to_the_host_is_the_host(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert shown(str(tmp_path / "real" / "tools" / "echo.py"), str(tmp_path / "link")) == "tools/echo.py"


@pytest.mark.parametrize("home", ["/", ""])
def test_where_everything_is_home_nothing_is(home, monkeypatch):
    monkeypatch.setenv("HOME", home)
    shown.cache_clear()
    assert shown("/opt/tools/echo.py", "/a0") == "echo.py"


def test_without_a_root_the_name_alone():
    assert shown("/opt/tools/echo.py", "") in ("echo.py", os.path.basename("echo.py"))


class Tool:
    async def execute(self) -> None: ...


class Decorated:
    @functools.wraps(Tool.execute)
    async def execute(self) -> None: ...


class Builtin:
    execute = len


@pytest.mark.parametrize(
    ("tool", "file"),
    [(Tool(), __file__), (Decorated(), __file__), (Builtin(), None), (None, None), (object(), None)],
)
def test_the_file_of_what_is_executed(tool: Any, file: str | None):
    found = source_of(tool)
    assert (found and Path(found)) == (file and Path(file))
