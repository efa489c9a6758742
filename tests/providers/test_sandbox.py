"""The built-in provider: what it says."""

import base64
import io
import json
import math
import struct
import time
import wave
import zlib
from typing import Any

import pytest

from errors import (
    UpstreamRejectedError,
)
from providers.base import Exchange, UpstreamCall
from providers.sandbox import MODELS, Sandbox
from providers.sse import EventSplitter

HELLO = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "hello  big\nworld"},
]
WHOLE = "Turnpike's sandbox repeats: hello  big\nworld"
MULTIPART = "multipart/form-data; boundary=b"


def ask(
    model: str, path: str = "/chat/completions", *, deadline_s: float = 5.0, **body: Any
) -> Exchange:
    if path == "/chat/completions":
        body = {"messages": HELLO, **body}
    call = UpstreamCall("x", path, {"model": model, **body}, is_streamed=bool(body.get("stream")))
    return Sandbox().open(call, "no key is needed", time.monotonic() + deadline_s)


def answer(model: str, path: str = "/chat/completions", **body: Any) -> Any:
    exchange = ask(model, path, **body)
    assert exchange.wait_head(5)
    assert exchange.status == 200
    return json.loads(exchange.read_all(10_000_000, 5))


def events(exchange: Exchange) -> list[Any]:
    splitter = EventSplitter()
    data = [event.data for event in splitter.feed(exchange.read_all(10_000_000, 5))]
    return [each.decode() if each == b"[DONE]" else json.loads(each) for each in data]


def said(chunks: list[Any]) -> str:
    deltas = (c["choices"][0]["delta"] for c in chunks if c != "[DONE]" and c.get("choices"))
    return "".join(delta.get("content") or "" for delta in deltas)


def test_echo_repeats_the_last_user_message_and_says_who_does() -> None:
    got = answer("echo")
    assert got["object"] == "chat.completion"
    assert got["model"] == "echo"
    assert got["choices"][0]["message"]["content"] == WHOLE
    assert got["choices"][0]["finish_reason"] == "stop"
    assert got["usage"] == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}


def test_echo_reads_parts_of_text_and_leaves_images_alone() -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}]
    got = answer("echo", messages=[{"role": "user", "content": parts}])
    assert got["choices"][0]["message"]["content"].endswith("repeats: see")
    assert got["usage"]["prompt_tokens"] == 1


def test_a_streamed_echo_comes_word_by_word_and_says_the_same() -> None:
    exchange = ask("echo", stream=True, stream_options={"include_usage": True})
    begun = time.monotonic()
    chunks = events(exchange)
    assert time.monotonic() - begun > 5 * 0.02
    assert exchange.headers["content-type"].startswith("text/event-stream")
    assert said(chunks) == WHOLE
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"] == answer("echo")["usage"]
    assert chunks[-3]["choices"][0]["finish_reason"] == "stop"
    assert len([c for c in chunks if c != "[DONE]" and c["choices"]]) == 1 + 6 + 1


def test_usage_is_streamed_only_when_it_is_asked_for() -> None:
    chunks = events(ask("echo", stream=True))
    assert all("usage" not in chunk for chunk in chunks if chunk != "[DONE]")


def test_the_same_request_gets_the_same_answer() -> None:
    first, second = answer("echo"), answer("echo")
    assert first["id"] == second["id"]
    assert first["choices"] == second["choices"]


@pytest.mark.parametrize("count", [0, 1, 3, 700])
def test_lorem_says_exactly_as_many_words_as_it_may(count: int) -> None:
    got = answer("lorem", max_tokens=count)
    text = got["choices"][0]["message"]["content"]
    assert len(text.split()) == got["usage"]["completion_tokens"] == count
    assert got["choices"][0]["finish_reason"] == "length"
    assert text.startswith("Sandbox filler text: lorem"[: len(text)])


def test_lorem_says_fifty_words_by_itself_and_takes_either_name_of_the_limit() -> None:
    assert answer("lorem")["usage"]["completion_tokens"] == 50
    assert answer("lorem", max_completion_tokens=7)["usage"]["completion_tokens"] == 7


def test_an_echo_beyond_its_limit_is_cut() -> None:
    got = answer("echo", max_tokens=2)
    assert got["choices"][0]["message"]["content"] == "Turnpike's sandbox"
    assert got["choices"][0]["finish_reason"] == "length"


def test_several_choices_are_said_and_counted() -> None:
    got = answer("echo", n=2)
    assert [choice["index"] for choice in got["choices"]] == [0, 1]
    assert got["usage"]["completion_tokens"] == 12
    chunks = events(ask("echo", n=2, stream=True))
    assert {c["choices"][0]["index"] for c in chunks if c != "[DONE]"} == {0, 1}


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "nights": {"type": ["integer", "null"]},
                "class": {"enum": ["economy", "first"]},
                "who": {"type": "object", "properties": {"name": {"type": "string"}}},
                "note": {"type": "string"},
            },
            "required": ["city", "nights", "class", "who"],
        },
    },
}
LEAST = {"city": "", "nights": 0, "class": "economy", "who": {}}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "book"}}])
def test_a_tool_that_must_be_called_is_called_with_the_least_arguments(choice: object) -> None:
    (got,) = answer("echo", tools=[TOOL], tool_choice=choice)["choices"]
    (call,) = got["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("book", LEAST)
    assert got["finish_reason"] == "tool_calls"
    chunks = events(ask("echo", tools=[TOOL], tool_choice=choice, stream=True))
    deltas = [c["choices"][0]["delta"] for c in chunks if c != "[DONE]"]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert (calls[0]["function"]["name"], calls[0]["id"][:5]) == ("book", call["id"][:5])
    assert json.loads("".join(each["function"]["arguments"] for each in calls)) == LEAST


def test_tools_that_may_be_called_are_not() -> None:
    got = answer("echo", tools=[TOOL], tool_choice="auto")
    assert got["choices"][0]["message"]["content"] == WHOLE


def test_json_is_answered_where_json_is_asked_for() -> None:
    got = answer("echo", response_format={"type": "json_object"})
    assert json.loads(got["choices"][0]["message"]["content"]) == {"sandbox": WHOLE}
    schema = {"type": "json_schema", "json_schema": {"schema": TOOL["function"]["parameters"]}}
    got = answer("echo", response_format=schema)
    assert json.loads(got["choices"][0]["message"]["content"]) == LEAST


def test_completions_are_answered_in_their_own_shape() -> None:
    got = answer("echo", "/completions", prompt="good day")
    assert got["object"] == "text_completion"
    assert got["choices"][0]["text"] == "Turnpike's sandbox repeats: good day"
    assert got["usage"]["prompt_tokens"] == 2


def test_embeddings_are_unit_vectors_the_same_in_both_encodings() -> None:
    plain = answer("embed", "/embeddings", input=["a cat", "a dog"])
    packed = answer("embed", "/embeddings", input=["a cat", "a dog"], encoding_format="base64")
    for one, other in zip(plain["data"], packed["data"], strict=True):
        vector = one["embedding"]
        assert len(vector) == 64
        assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-6)
        assert list(struct.unpack("<64f", base64.b64decode(other["embedding"]))) == vector
    assert plain["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_embeddings_of_like_texts_are_alike_and_of_the_size_asked_for() -> None:
    texts = ["the red fox", "the red wolf", "ledgers balance"]
    got = answer("embed", "/embeddings", input=texts, dimensions=512)
    fox, wolf, ledger = (row["embedding"] for row in got["data"])
    assert len(fox) == 512
    assert product(fox, wolf) > 0.4 > product(fox, ledger)


def product(one: list[float], other: list[float]) -> float:
    return sum(map(float.__mul__, one, other))


def test_embeddings_of_tokens_are_answered() -> None:
    got = answer("embed", "/embeddings", input=[[1, 2, 3], [4]])
    assert (len(got["data"]), got["usage"]["prompt_tokens"]) == (2, 4)


@pytest.mark.parametrize("body", [{"input": []}, {"input": "a", "dimensions": 10**9}, {"input": 1}])
def test_an_impossible_embedding_is_refused(body: dict[str, Any]) -> None:
    exchange = ask("embed", "/embeddings", **body)
    assert exchange.wait_head(1)
    error = Sandbox().failure(exchange.status, exchange.headers, exchange.read_all(10_000, 1))
    assert type(error) is UpstreamRejectedError


def test_an_image_is_a_png_of_the_size_asked_for() -> None:
    got = answer("image", "/images/generations", prompt="a cat", size="300x200", n=2)
    assert (len(got["data"]), got["size"]) == (2, "300x200")
    drawn = base64.b64decode(got["data"][0]["b64_json"])
    assert drawn[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", drawn[16:24]) == (300, 200)
    at, rows = 8, b""
    while at < len(drawn):
        length, kind = struct.unpack_from(">I4s", drawn, at)
        content = drawn[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", drawn, at + 8 + length)[0] == zlib.crc32(kind + content)
        rows += content if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(rows)) == 200 * (1 + 38)
    assert "sandbox" in got["data"][0]["revised_prompt"]


def test_an_image_by_url_needs_no_network() -> None:
    got = answer("image", "/images/generations", prompt="x", size="8x8", response_format="url")
    assert got["data"][0]["url"].startswith("data:image/png;base64,")


def test_speech_is_a_wav_that_lasts_as_its_words_do() -> None:
    exchange = ask("speech", "/audio/speech", input="one two three four", response_format="wav")
    assert exchange.wait_head(1)
    assert exchange.headers["content-type"] == "audio/wav"
    sound = exchange.read_all(1_000_000, 1)
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, 8000)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound
    form += (
        b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntranscribe\r\n--b--\r\n'
    )
    got = transcribed(form)
    assert "sandbox" in got["text"]
    assert got["usage"] == {"type": "duration", "seconds": 1}


def transcribed(form: bytes) -> Any:
    call = UpstreamCall("audio", "/audio/transcriptions", form, False, content_type=MULTIPART)
    exchange = Sandbox().open(call, "", time.monotonic() + 5)
    return json.loads(exchange.read_all(10_000, 1))


def test_speech_is_mp3_by_itself_and_no_format_is_made_up() -> None:
    exchange = ask("speech", "/audio/speech", input="hello")
    sound = exchange.read_all(1_000_000, 1)
    assert (exchange.headers["content-type"], sound[:2]) == ("audio/mpeg", b"\xff\xfb")
    refused = ask("speech", "/audio/speech", input="hello", response_format="flac")
    assert refused.wait_head(1)
    assert refused.status == 400


def test_the_models_are_listed() -> None:
    call = UpstreamCall("models", "/models", {}, is_streamed=False, method="GET")
    got = json.loads(Sandbox().open(call, "", time.monotonic() + 1).read_all(100_000, 1))
    assert [row["id"] for row in got["data"]] == list(MODELS)


@pytest.mark.parametrize(("model", "path"), [("nope", "/chat/completions"), ("echo", "/nope")])
def test_what_there_is_not_is_a_404(model: str, path: str) -> None:
    exchange = ask(model, path)
    assert exchange.wait_head(1)
    assert exchange.status == 404
