"""The fake model: the scripted server's replies, cut inside the host, alike in every run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.model import stand_in
from autoperf.benchmark.model.server import CHAT_MODEL, UTILITY_MODEL, UTILITY_REPLY, ModelServer

MODELS = "from litellm import acompletion\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A host's folder with what is looked at."""
    (tmp_path / "models.py").write_text(MODELS)
    return tmp_path


def fake(folder: Path) -> Any:
    """The module as the host imports it."""
    spec = importlib.util.spec_from_file_location("autoperf_fake_model", folder / "autoperf_fake_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def streamed(module: Any, url: str, heard: int | None = None) -> list[str]:
    """The contents of the chunks of one reply, of the first ``heard`` only."""

    async def listen() -> list[str]:
        messages = [{"role": "user", "content": "hi"}]
        stream = await module.acompletion(
            model=f"openai/{CHAT_MODEL}", messages=messages, stream=True, api_base=url
        )
        contents = []
        async for chunk in stream:
            contents.append(chunk["choices"][0]["delta"].get("content", ""))
            if len(contents) == heard:
                break
        return contents

    return asyncio.run(listen())


def test_the_hosts_name_is_the_fake_ones_and_the_rest_of_it_stays(folder: Path) -> None:
    (folder / "helpers").mkdir()
    transport = folder / "helpers" / "litellm_transport.py"
    transport.write_text("from litellm import (\n    acompletion,\n)\n")
    stand_in.install(folder, 4)
    for path in (folder / "models.py", transport):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("from litellm")
        assert lines[-1].startswith("from autoperf_fake_model import acompletion")


def test_a_host_without_litellm_is_refused(folder: Path) -> None:
    (folder / "models.py").write_text("from langchain_openai import ChatOpenAI\n")
    with pytest.raises(HostError, match="this version does not use it"):
        stand_in.install(folder, 4)


def test_replies_come_from_the_script_in_chunks_of_the_wanted_size(folder: Path) -> None:
    stand_in.install(folder, 4)
    module = fake(folder)
    with ModelServer(["abcdefghij", "second"], chunk_size=4) as server:
        assert streamed(module, server.url) == ["abcd", "efgh", "ij", ""]
        assert server.pieces_sent == 3
        whole = asyncio.run(module.acompletion(model=UTILITY_MODEL, messages=[], api_base=server.url))
        assert whole["choices"][0]["message"]["content"] == UTILITY_REPLY
        assert server.pieces_sent == 3
        assert [request.model for request in server.requests] == [f"openai/{CHAT_MODEL}", UTILITY_MODEL]
        assert server.requests[0].body["messages"] == [{"role": "user", "content": "hi"}]
    assert stand_in.tenths(folder) == []


def test_the_tenths_of_a_long_reply_are_told_even_if_the_host_stops_listening(folder: Path) -> None:
    stand_in.install(folder, 1)
    module = fake(folder)
    with ModelServer(["x" * 3000], chunk_size=1) as server:
        assert len(streamed(module, server.url, heard=2990)) == 2990
    marks = json.loads((folder / "autoperf_fake_model.marks").read_text())
    assert [number for number, _ in marks] == [(3000 - 32) * tenth // 10 for tenth in range(11)]
    assert len(stand_in.tenths(folder)) == 10
    assert min(stand_in.tenths(folder)) > 0


@pytest.mark.parametrize("line", [["--model", "fake"], ["x", "--model", "fake", "--provider", "openai"]])
def test_the_fake_model_speaks_chat_completions_to_a_checkout(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["benchmark", *line]) == 1
    assert "--model fake takes a checkout and --provider other" in capsys.readouterr().err
