"""Files named in a growing reply: a text without the mark of one is given back as it is."""

from __future__ import annotations

import pytest

from autoperf.instrumentation.agentzero.logging import log_text
from autoperf.patching.patch import Switch, replacement
from autoperf.patching.sources import digest


def test_files_named_in_a_text_are_left_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def replace_file_includes(text: str, placeholder_pattern: str = log_text.PATTERN) -> str:
        asked.append((text, placeholder_pattern))
        return "included"

    monkeypatch.setattr(log_text, "KNOWN", {digest(replace_file_includes)})
    switch = Switch()
    patched = replacement(replace_file_includes, log_text.replacing, switch)
    text = "a long reply of §§secret(KEY) and nothing else"
    assert patched(text) is text
    assert patched(text, log_text.PATTERN) is text
    plain = "a long reply in plain letters"
    assert patched(plain) is plain
    assert asked == []
    assert patched("§§include(x)") == patched(text, "other") == "included"
    switch.on = False
    assert patched(text) == "included"
    assert [pattern for _, pattern in asked] == [log_text.PATTERN, "other", log_text.PATTERN]
