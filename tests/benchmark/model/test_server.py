"""The scripted model server speaks the three wire formats and keeps what it was sent."""

from __future__ import annotations

import base64
import json
import math
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from autoperf.benchmark.model import embeddings
from autoperf.benchmark.model.server import CHAT_MODEL, HOLD, SCRIPT_ENDED, UTILITY_MODEL, ModelServer
from autoperf.benchmark.scenarios import conversation


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(["first", "second"], chunk_size=2) as running:
        yield running


def post(server: ModelServer, path: str, **body: Any) -> str:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        return response.read().decode()


def chat(server: ModelServer, model: str = CHAT_MODEL, **body: Any) -> str:
    return json.loads(post(server, "/chat/completions", model=model, **body))["choices"][0]["message"][
        "content"
    ]


def streamed(text: str) -> list[dict[str, Any]]:
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def test_chat_replies_come_in_order_and_end(server: ModelServer) -> None:
    assert [chat(server) for _ in range(3)] == ["first", "second", SCRIPT_ENDED]


def test_the_utility_model_does_not_use_up_the_script(server: ModelServer) -> None:
    assert chat(server, UTILITY_MODEL) == "[]"
    assert chat(server, f"openai/{CHAT_MODEL}") == "first"


def test_a_new_script_replaces_the_rest_of_the_old_one(server: ModelServer) -> None:
    server.script(["third"])
    assert chat(server) == "third"


def test_streaming_sends_chunks_of_the_given_size(server: ModelServer) -> None:
    text = post(server, "/chat/completions", model=CHAT_MODEL, stream=True)
    deltas = [event["choices"][0]["delta"].get("content") for event in streamed(text)]
    assert [delta for delta in deltas if delta] == ["fi", "rs", "t"]
    assert text.endswith("data: [DONE]\n\n")


def test_requests_are_kept_completely_and_in_order(server: ModelServer) -> None:
    chat(server, messages=[{"role": "user", "content": "one"}], temperature=0)
    chat(server, messages=[{"role": "user", "content": "two"}])
    bodies = [request.body for request in server.requests]
    assert bodies[0] == {
        "model": CHAT_MODEL,
        "messages": [{"role": "user", "content": "one"}],
        "temperature": 0,
    }
    assert bodies[1]["messages"][0]["content"] == "two"


def test_embeddings_depend_on_the_text_only() -> None:
    one, other = embeddings.vector("one"), embeddings.vector("other")
    assert one == embeddings.vector("one")
    assert math.isclose(math.hypot(*one), 1.0)
    assert abs(sum(a * b for a, b in zip(one, other, strict=True))) < 0.4


def test_embeddings_in_both_encodings_are_the_same(server: ModelServer) -> None:
    plain = json.loads(post(server, "/embeddings", model="m", input=["a", "b"]))["data"]
    packed = json.loads(post(server, "/embeddings", model="m", input=["a", "b"], encoding_format="base64"))[
        "data"
    ]
    assert len(plain) == 2
    for row, encoded in zip(plain, packed, strict=True):
        numbers = struct.unpack(f"<{embeddings.DIMENSIONS}f", base64.b64decode(encoded["embedding"]))
        assert numbers == pytest.approx(row["embedding"])


def test_one_list_of_token_numbers_is_one_input(server: ModelServer) -> None:
    assert len(json.loads(post(server, "/embeddings", model="m", input=[1, 2, 3]))["data"]) == 1


def test_responses_make_function_calls_of_tools_on_offer(server: ModelServer) -> None:
    server.script([conversation.call("echo", text="hello")])
    tools = [{"type": "function", "name": "echo", "parameters": {}}]
    events = streamed(post(server, "/responses", model=CHAT_MODEL, input=[], tools=tools, stream=True))
    arguments = "".join(e["delta"] for e in events if e["type"] == "response.function_call_arguments.delta")
    assert json.loads(arguments) == {"text": "hello"}
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["name"] == "echo"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_responses_send_text_where_no_such_tool_is_on_offer(server: ModelServer) -> None:
    reply = conversation.call("echo", text="hello")
    server.script([reply])
    events = streamed(post(server, "/responses", model=CHAT_MODEL, input="hi", stream=True))
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == reply


def test_an_unknown_path_is_refused(server: ModelServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        post(server, "/elsewhere")


def test_quiet_is_reported_only_when_no_request_is_open(server: ModelServer) -> None:
    assert server.wait_quiet(0.0)
    server.begin()
    assert not server.wait_quiet(0.0, timeout=0.01)
    waiting = threading.Thread(target=server.end)
    waiting.start()
    assert server.wait_quiet(0.01)
    waiting.join()


def test_a_held_stream_goes_on_when_the_user_has_acted(server: ModelServer) -> None:
    done: list[str] = []
    server.meanwhile = lambda: done.append("acted")
    server.script([f"ab{HOLD}cdef{HOLD}gh"])
    chunks = streamed(post(server, "/chat/completions", model=CHAT_MODEL, stream=True))
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert (text, done) == ("abcdefgh", ["acted"])


def test_a_waiting_tool_asks_for_the_next_act_and_is_no_prompt(server: ModelServer) -> None:
    done: list[str] = []
    server.meanwhile = lambda: done.append("acted")
    assert post(server, "/meanwhile") == "{}"
    assert (done, server.requests) == (["acted"], [])


def test_a_second_chat_has_a_script_of_its_own(server: ModelServer) -> None:
    server.script(["for the birds"], marker="count the birds")
    other = [{"role": "user", "content": "Please count the birds."}]
    assert chat(server, messages=other) == "for the birds"
    assert chat(server) == "first"
    assert [request.script for request in server.requests] == ["count the birds", ""]
