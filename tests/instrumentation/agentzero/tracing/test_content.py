"""Content leaves only when asked for, masked by the host, and cut; where masking fails it stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tracing import content
from autoperf.instrumentation.agentzero.tracing.content import Content
from autoperf.process.config import Config
from autoperf.telemetry import attributes, names

SECRET = "hunter2"


class Manager:
    def mask_values(self, text: str) -> str:
        return text.replace(SECRET, "§§secret(PASSWORD)")


def put(monkeypatch: pytest.MonkeyPatch, name: str = "helpers.secrets", **members: Any) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def masking(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A host with secrets; the contexts that it was asked for."""
    asked: list[Any] = []

    def get_secrets_manager(context: Any = None) -> Manager:
        asked.append(context)
        return Manager()

    put(monkeypatch, get_secrets_manager=get_secrets_manager)
    return asked


def message(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text} for text in texts]}


def test_off_nothing_is_said_and_the_host_is_not_asked(masking):
    off = Content()
    assert off.text(None, "hello") is None
    assert off.messages(None, [message("user", "hello")]) is None
    assert off.parts(None, message("user", "hello")["parts"]) is None
    assert masking == []


def test_secrets_are_masked_wherever_they_stand(masking):
    captured = Content(on=True)
    agent = SimpleNamespace(context="the context")
    assert captured.text(agent, f"pass {SECRET}") == "pass §§secret(PASSWORD)"
    nested = {"deep": [{"er": (SECRET, 1, None, True)}], SECRET: 2.5, "odd": object()}
    text = captured.text("a context", nested)
    assert text is not None
    assert SECRET not in text
    assert json.loads(text) == {
        "deep": [{"er": ["§§secret(PASSWORD)", 1, None, True]}],
        "§§secret(PASSWORD)": 2.5,
        "odd": "object",
    }
    assert masking == ["the context", "a context"]
    for say in (
        captured.messages(None, [message("user", SECRET)]),
        captured.parts(None, [{"content": SECRET}]),
    ):
        assert say is not None
        assert SECRET not in say


def test_a_number_may_be_a_secret_too(monkeypatch):
    manager = SimpleNamespace(mask_values=lambda text: text.replace("4711", "***"))
    put(monkeypatch, get_secrets_manager=lambda context: manager)
    assert Content(on=True).text(None, [4711, 4712]) == '["***", 4712]'


def test_a_secret_is_masked_before_it_could_be_cut_in_two(masking):
    assert Content(8, on=True).text(None, f"abc {SECRET}") == "abc §§s…"


def test_the_manager_of_v0_9_6(monkeypatch):
    put(monkeypatch, "python.helpers.secrets", SecretsManager=SimpleNamespace(get_instance=Manager))
    assert Content(on=True).text(None, SECRET) == "§§secret(PASSWORD)"


def fails(*_: Any) -> Any:
    raise OSError("secrets.env")


@pytest.mark.parametrize(
    "members",
    [
        {"get_secrets_manager": fails},
        {"get_secrets_manager": lambda context: SimpleNamespace(mask_values=fails)},
        {"get_secrets_manager": lambda context: object()},
        {},
    ],
)
def test_where_masking_fails_the_content_stays_out(monkeypatch, members):
    put(monkeypatch, **members)
    captured = Content(on=True)
    assert captured.text(None, "hello") is None
    assert captured.messages(None, [message("user", "hello")]) is None


def test_a_host_that_never_masks_has_nothing_masked(monkeypatch):
    assert Content(on=True).text(None, SECRET) == SECRET


@pytest.mark.parametrize("place", ["helpers", "python/helpers"])
def test_a_host_that_could_mask_but_has_not_begun_to_is_not_overtaken(monkeypatch, tmp_path, place):
    agent = ModuleType("agent")
    agent.__file__ = str(tmp_path / "agent.py")
    monkeypatch.setitem(sys.modules, "agent", agent)
    assert Content(on=True).text(None, "hello") == "hello"
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "secrets.py").touch()
    assert Content(on=True).text(None, "hello") is None


def test_texts_are_cut_at_the_limit_and_say_so():
    assert Content(5, on=True).text(None, "12345") == "12345"
    assert Content(5, on=True).text(None, "123456") == "1234…"


def test_of_many_messages_the_newest_are_kept_and_it_is_still_json():
    told = [message("user", "1" * 50), message("assistant", "2" * 30, "3" * 30), message("user", "4" * 30)]
    text = Content(100, on=True).messages(None, told)
    assert text is not None
    found = json.loads(text)
    assert [m["role"] for m in found] == ["user", "assistant", "user"]
    assert [p["content"] for m in found for p in m["parts"]] == ["1" * 9 + "…", "2" * 30, "3" * 30, "4" * 30]
    short = json.loads(Content(40, on=True).messages(None, told) or "")
    assert [p["content"] for m in short for p in m["parts"]] == ["2" * 9 + "…", "…", "4" * 30]
    assert told[0] == message("user", "1" * 50), "the host's own are left alone"


def test_arguments_of_calls_count_as_text_does():
    call = {"type": "tool_call", "name": "echo", "arguments": {"text": "x" * 100}}
    for limit, expected in ((500, call["arguments"]), (10, '{"text": …')):
        text = Content(limit, on=True).messages(None, [{"role": "assistant", "parts": [call]}])
        assert text is not None
        assert json.loads(text)[0]["parts"][0]["arguments"] == expected


def test_what_goes_too_deep_is_not_followed():
    value: Any = "bottom"
    for _ in range(2 * content._DEEPEST):
        value = [value]
    text = Content(on=True).text(None, value)
    assert text is not None
    assert "bottom" not in text


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ("true", True),
        ("1", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("false", False),
        ("EVENT_ONLY", False),
        ("NO_CONTENT", False),
        ("", False),
        ("perhaps", False),
    ],
)
def test_the_standard_variable_decides(given, on):
    config = Config.from_environ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": given})
    assert config.capture_content is on
    assert bool(config.problems) is (given == "perhaps")
    assert Config.from_environ({}).capture_content is False
    assert Config.from_environ({"AUTOPERF_CONTENT_LIMIT": "70"}).content_limit == 70


def test_content_is_not_cut_again_on_its_way_and_nothing_else_gets_through():
    long = "x" * 5000
    assert all(attributes.attribute(key, long) == long for key in names.CONTENT)
    assert len(attributes.attribute(names.TOOL_NAME, long)) == 1000
    assert attributes.attribute(names.TOOL_RESULT, "\udc80") == "?"
    assert attributes.attribute(names.TOOL_RESULT, object()) == "object"


def test_the_repository_has_no_module_that_passes_for_the_hosts():
    assert not {"helpers.secrets", "python.helpers.secrets", "agent"} & set(sys.modules)
    assert Path(content.__file__).name == "content.py"


def test_what_is_not_text_is_bounded_too() -> None:
    content = Content(100, on=True)
    call = {"type": "tool_call", "id": "i" * 1000, "name": "n" * 1000, "arguments": {"a": "b" * 1000}}
    many = [{"role": "user", "parts": [{"type": "image_url"}] * 1000}]
    empty = [{"role": "user", "parts": [{"type": "text", "content": ""}]}] * 1000
    for messages in ([{"role": "assistant", "parts": [call]}], many, empty):
        told = content.messages(None, messages)
        assert told is not None
        assert len(told) < 100 * 80
        json.loads(told)
    told = content.parts(None, [call] * 1000)
    assert told is not None
    assert len(told) < 20_000
