"""Secrets in log items: what the host's own masking gives, for every growth of every text."""

from __future__ import annotations

import inspect
import os
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import frames
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.logging import masking
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests import output_host

METHOD = f"{output_host.NAME}.log:Log._mask_recursive"
FUNCTION = f"{output_host.NAME}.log:_mask_recursive"


class Masked:
    """The package with our patches on it, and its own function as it was."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.probe = Probe(None)
        self.bare = host.log.Log._mask_recursive
        self.context = host.agent.AgentContext()
        self.log = host.log.Log(self.context)
        self.start()

    def start(self) -> None:
        """Patch it; what is undone once stays so."""
        targets = {"mask_method": METHOD, "mask_function": FUNCTION}
        rows = [Patch(target, "output", build) for target, build in masking.rows(targets, self.probe)]
        self.patches = PatchSet(rows)
        self.patches.start()
        assert {row.state for row in self.patches.rows} == {"applied"}, [
            row.reason for row in self.patches.rows
        ]

    def secrets(self, *files: str) -> dict[str, str]:
        """The secrets in effect for a list of files, to be changed in place."""
        found: dict[str, str] = self.host.secrets.SecretsManager.get_instance("all", *files).secrets
        return found

    def ours(self) -> int:
        """How many values were masked without the host's function."""
        return self.probe.memos["masked values"].hits

    def plainly(self, obj: Any, log: Any = None) -> Any:
        """What the host makes of ``obj`` without us."""
        self.patches.stop()
        try:
            return self.bare(log or self.log, obj)
        finally:
            self.start()


@pytest.fixture
def masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Masked]:
    with output_host.package(tmp_path) as host:
        manager = host.secrets.SecretsManager
        monkeypatch.setattr(masking, "METHODS", {digest(host.log.Log._mask_recursive)})
        monkeypatch.setattr(masking, "FUNCTIONS", {digest(host.log._mask_recursive)})
        monkeypatch.setattr(masking, "LOOKUPS", {digest(inspect.unwrap(host.secrets.get_secrets_manager))})
        monkeypatch.setattr(
            masking, "MANAGERS", {name: {digest(vars(manager)[name])} for name in masking.MANAGERS}
        )
        made = Masked(host)
        # The host has to look its extensions up once before anything can be concluded.
        made.log._mask_recursive("")
        yield made
        made.patches.stop()


VALUES = ("abcd", "abcdefgh", "cdab", "  x ", "xyz", "", "dddd eeee", "§§ab", "<ONE>", "ONE>")


def test_every_growth_of_a_text_is_masked_as_the_host_does(masked: Masked) -> None:
    rng = random.Random(7)
    before = masked.ours()
    for _ in range(60):
        masked.secrets().clear()
        masked.secrets().update({f"K{n}": rng.choice(VALUES) for n in range(rng.randrange(4))})
        if rng.random() < 0.5:
            masked.secrets()["ONE"] = "abcd"
        words = ["ab", "cd", "efgh", " ", "<", "ONE", ">", "dddd", " eeee", "§", "filler "]
        text = "filler " * rng.choice((0, 80))
        for _ in range(25):
            text += rng.choice(words)
            obj = {"text": text, "list": [text[:9], 3, None, (text,)], "deep": {"t": text}}
            mask = masked.host.secrets.SecretsManager.get_instance().mask_values
            expected = {
                "text": mask(text),
                "list": [mask(text[:9]), 3, None, (text,)],
                "deep": {"t": mask(text)},
            }
            assert masked.log._mask_recursive(obj) == expected
            assert masked.host.log._mask_recursive(obj) == expected
    assert masked.plainly(obj) == expected
    assert masked.ours() - before > 60 * 25


def test_a_secret_that_arrives_in_two_chunks_is_found_in_the_known_part_too(masked: Masked) -> None:
    masked.secrets()["KEY"] = "s3cr3t-value"
    start = "x" * 1000 + "s3cr3t-"
    assert masked.log._mask_recursive(start) == start
    assert masked.log._mask_recursive(start + "value.") == "x" * 1000 + "<KEY>."
    assert masked.log._mask_recursive(start + "other") == start + "other"


def test_secrets_that_change_act_at_the_next_value(masked: Masked) -> None:
    masked.secrets()["FIRST"] = "known-before"
    text = "later-secret" + "y" * 1000
    assert masked.log._mask_recursive(text) == text
    masked.secrets()["KEY"] = "later-secret"
    assert masked.log._mask_recursive(text) == "<KEY>" + "y" * 1000
    masked.secrets().clear()
    assert masked.log._mask_recursive(text) == text


def test_contexts_with_projects_keep_their_own_secrets(masked: Masked) -> None:
    other = masked.host.log.Log(masked.host.agent.AgentContext("shop"))
    masked.secrets("shop")["SHOP"] = "till-code"
    third = masked.host.log.Log(masked.host.agent.AgentContext("garden"))
    masked.secrets("garden")["GATE"] = "zzzz"
    text = "z" * 1000 + "till-code"
    for _ in range(3):
        assert masked.log._mask_recursive([text]) == [text]
        assert other._mask_recursive([text]) == ["z" * 1000 + "<SHOP>"]
        assert third._mask_recursive([text]) == ["<GATE>" * 250 + "till-code"]
    nobody = masked.host.log.Log()
    masked.host.agent.AgentContext.now = other.context
    assert nobody._mask_recursive(text) == "z" * 1000 + "<SHOP>"
    masked.host.agent.AgentContext.now = None
    assert nobody._mask_recursive(text) == text
    # The host forgets its managers and makes new ones.
    masked.host.secrets.SecretsManager._instances.clear()
    assert masked.secrets("shop") == {}
    assert other._mask_recursive(text) == text


def test_the_secrets_are_looked_up_once_a_value(masked: Masked) -> None:
    value = {"a": ["b", {"c": "d"}], "e": "f"}
    masked.log.context = None
    masked.host.secrets.lookups.clear()
    masked.log._mask_recursive(value)
    assert len(masked.host.secrets.lookups) == 1


def test_an_extension_of_the_look_up_sees_every_single_call(masked: Masked) -> None:
    value = {"a": ["b", {"c": "d"}], "e": "f"}
    seen: list[str] = []
    extension = masked.host.extension
    point = extension.point(inspect.unwrap(masked.host.secrets.get_secrets_manager))
    extension.installed[point + "end"] = [seen.append]
    masked.log._mask_recursive(value)
    assert seen == []  # not even the host has seen it: its cache is still full
    extension.cache._cache["classes"].clear()
    assert masked.plainly(value) == value
    alone = len(seen)
    assert alone == 6
    assert masked.log._mask_recursive(value) == value
    assert len(seen) == 2 * alone


def test_what_fails_in_the_host_fails_there_with_us(masked: Masked, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = masked.host.secrets.SecretsManager
    file = manager.load_secrets.__code__.co_filename
    monkeypatch.setattr(frames.host, "root", os.path.dirname(file))
    value = {"a": ["b"]}
    monkeypatch.setattr(manager.get_instance("all"), "secrets", None)
    assert masked.log._mask_recursive(value) == masked.plainly(value) == value
    assert masked.log._mask_recursive(value) is not value
    monkeypatch.setattr(masked.log, "context", 5)
    assert masked.log._mask_recursive(value) is masked.plainly(value) is value
    looped: list[Any] = []
    looped.append(looped)
    masked.log.context = masked.context
    assert str(masked.log._mask_recursive(looped))[:9] == str(masked.plainly(looped))[:9]


def test_a_manager_that_somebody_changed_is_asked_itself(
    masked: Masked, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = masked.ours()
    monkeypatch.setattr(masked.host.secrets.SecretsManager, "mask_values", lambda self, text: text.upper())
    assert masked.log._mask_recursive(["abc"]) == ["ABC"]
    monkeypatch.undo()
    monkeypatch.setattr(masked.host.log, "get_secrets_manager", lambda context: 1 / 0)
    assert masked.log._mask_recursive(["abc"]) == ["abc"]
    assert masked.ours() == before


class Text(str):
    """A text of somebody's own class."""

    __slots__ = ()


def test_texts_of_another_class_come_out_as_from_the_host(masked: Masked) -> None:
    text = Text("plain")
    assert masked.log._mask_recursive(text) is text
    masked.secrets()["KEY"] = "other-value"
    assert type(masked.log._mask_recursive(text)) is type(masked.plainly(text)) is str


def test_beside_an_unknown_manager_the_row_counts_as_lost(
    masked: Masked, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked.patches.stop()
    monkeypatch.setattr(masking, "MANAGERS", {name: {"another"} for name in masking.MANAGERS})
    (_, row) = masking.rows({"mask_method": METHOD, "mask_function": FUNCTION}, masked.probe)
    patches = PatchSet([Patch(row[0], "output", row[1])])
    patches.start()
    ours = masked.ours()
    assert patches.rows[0].as_row()["state"] == "applied", "the module of the secrets is imported later"
    masked.secrets()["KEY"] = "some-secret"
    for _ in range(2):
        assert masked.host.log._mask_recursive(["some-secret"]) == ["<KEY>"]
    assert masked.ours() == ours
    assert patches.rows[0].as_row()["state"] == "unrecognised"
    patches.stop()


def test_two_threads_with_different_secrets_never_mix_them(masked: Masked) -> None:
    masked.secrets()["ALL"] = "everybodys"
    masked.secrets("shop")["SHOP"] = "shopkeepers"
    logs = [masked.log, masked.host.log.Log(masked.host.agent.AgentContext("shop"))]
    expected = ["<ALL> shopkeepers", "everybodys <SHOP>"]
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(2000):
            found = logs[number]._mask_recursive("everybodys shopkeepers")
            if found != expected[number]:
                wrong.append(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_another_function_is_left_alone(masked: Masked, monkeypatch: pytest.MonkeyPatch) -> None:
    masked.patches.stop()
    monkeypatch.setattr(masking, "LOOKUPS", set())
    (first, *_) = masking.rows({"mask_method": METHOD}, masked.probe)
    patches = PatchSet([Patch(first[0], "output", first[1], optional=True)])
    patches.start()
    assert patches.rows[0].state == "unrecognised"
    assert masked.host.log.Log._mask_recursive is masked.bare
    patches.stop()
