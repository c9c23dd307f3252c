"""Values of the environment: what os.getenv says at that moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import pytest

from autoperf.instrumentation.agentzero.memos import dotenv as dotenvvalues
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

HOST = """
import os
asked = []

def get_dotenv_value(key, default=None):
    asked.append(key)
    return os.getenv(key, default)
"""


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = module_of("dotenv_host", HOST)
    monkeypatch.setattr(dotenvvalues, "KNOWN", {digest(module.get_dotenv_value)})
    with patched(module, "get_dotenv_value", dotenvvalues.looking_up):
        yield module


def test_every_change_shows_at_once(dotenv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    look = dotenv.get_dotenv_value
    for value in ("one", "zwei ü", "", "half \udc83"):
        monkeypatch.setenv("A_NAME", value)
        assert look("A_NAME") == look("A_NAME", "default") == look(key="A_NAME", default=1) == value
    monkeypatch.delenv("A_NAME")
    assert (look("A_NAME"), look("A_NAME", 3)) == (None, 3)
    os.environ.update({"A_NAME": "back"})
    assert look("A_NAME") == "back"
    assert dotenv.asked == ["A_NAME"]


def test_another_environment_is_asked_instead(dotenv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    look = dotenv.get_dotenv_value
    look("A_NAME")
    monkeypatch.setattr(os, "environ", {"A_NAME": "elsewhere"})
    assert [look("A_NAME"), look("A_NAME")] == ["elsewhere"] * 2
    monkeypatch.undo()
    monkeypatch.setattr(os, "getenv", lambda key, default=None: f"{key} {default}")
    assert look("A_NAME", 1) == "A_NAME 1"


def test_errors_are_the_hosts_every_time(dotenv: ModuleType) -> None:
    for name in (None, 1, "\ud800"):
        for _ in range(2):
            with pytest.raises((TypeError, UnicodeEncodeError)) as ours:
                dotenv.get_dotenv_value(name)
            with pytest.raises(ours.type):
                os.getenv(name)  # type: ignore[call-overload]


def test_names_are_not_kept_without_end(dotenv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dotenvvalues, "_NAMES_KEPT", 2)
    for _ in range(3):
        for name in ("A", "B", "C"):
            assert dotenv.get_dotenv_value(name, name) == os.getenv(name, name)
    assert dotenv.asked == ["A", "B", "C", "C", "C"]


def test_another_way_of_looking_up_is_left_alone() -> None:
    module = module_of("dotenv_other", HOST)
    with patched(module, "get_dotenv_value", dotenvvalues.looking_up) as patches:
        assert patches.rows[0].state == "unrecognised"
