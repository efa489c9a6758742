import json
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.chat import ChatCall

CONTEXT = 128_000


def bound(*messages: dict[str, Any], exact: Any = None, **fields: Any) -> int:
    body = {"model": "m", "messages": list(messages), **fields}
    return ChatCall.parse(json.dumps(body).encode()).input_bound(6_000, CONTEXT, exact)


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_text_counts_its_bytes_and_each_message_sixteen() -> None:
    assert bound({"role": "user", "content": "hello"}) == 5 + 16
    assert bound({"role": "user", "content": "žluť"}) == 6 + 16
    assert bound({"role": "system", "content": "ab"}, user(text("cd"), text("e"))) == 5 + 32
    assert bound({"role": "assistant"}) == 16


def test_a_part_with_more_than_its_text_counts_all_of_it() -> None:
    part = {**text("ab"), "cache_control": {"type": "ephemeral"}}
    assert bound(user(part)) >= 16 + len(json.dumps(part, separators=(",", ":")))


def test_tools_count_their_json_and_four_hundred() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    size = len(json.dumps(tools, separators=(",", ":")))
    hello = {"role": "user", "content": ""}
    assert bound(hello, tools=tools) == 16 + 400 + size
    assert bound(hello, functions=[{"name": "f"}]) == 16 + 400 + len('[{"name":"f"}]')
    assert bound(hello, tools=[]) < 400


def test_a_schema_and_fields_we_do_not_know_may_be_prompt() -> None:
    hello = {"role": "user", "content": ""}
    assert bound(hello, response_format={"type": "json_schema", "x": "y" * 500}) > 516
    assert bound(hello, documents=["z" * 500]) > 516
    assert bound(hello, suffix="z" * 500) == 516


def test_what_only_steers_the_call_counts_nothing() -> None:
    hello = {"role": "user", "content": ""}
    steering = {
        "logit_bias": {"50256": -100},
        "metadata": {"k": "v" * 400},
        "user": "u" * 200,
        "models": ["a" * 200],
        "provider": {"order": ["x" * 200]},
        "stop": ["x" * 100],
        "max_tokens": 5,
        "temperature": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert bound(hello, **steering) == 16


def test_calls_and_names_within_messages_count() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    size = len(json.dumps(calls, separators=(",", ":")))
    assert bound({"role": "assistant", "content": None, "tool_calls": calls}) == 16 + size
    assert bound({"role": "user", "content": "a", "name": "bob"}) == 16 + 4
    assert bound({"role": "assistant", "content": "a", "reasoning_content": "bcd"}) == 16 + 4


@pytest.mark.parametrize("scheme", ["data:image/png;base64,", "DATA:IMAGE/jpeg;base64,"])
def test_an_inline_image_counts_the_models_most_and_not_its_base64(scheme: str) -> None:
    picture = image(scheme + "QUJD" * 100_000)
    assert bound(user(picture)) == 6_000 + 16
    assert bound(user(picture, picture, text("ab"))) == 12_000 + 18


def test_an_image_in_an_earlier_answer_counts_as_well() -> None:
    message = {"role": "assistant", "content": "a", "images": [image("data:image/png;base64,QQ==")]}
    assert bound(message) == 6_000 + 17


@pytest.mark.parametrize(
    "part",
    [
        image("https://example.com/a.png"),
        image("data:application/pdf;base64,QUJD"),
        {"type": "image_url", "image_url": {}},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "input_audio", "input_audio": {"format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "https://example.com/a.mp3"}},
        {"type": "something_new", "x": 1},
    ],
)
def test_what_is_not_in_the_body_may_fill_the_rest_of_the_context(part: Any) -> None:
    assert bound(user(text("hello"), part)) == CONTEXT


def test_more_than_the_context_stays_more_than_the_context() -> None:
    assert bound(user(text("x" * 200_000), image("https://x"))) == 200_016


def test_an_earlier_sound_and_a_search_are_not_in_the_body() -> None:
    assert bound({"role": "assistant", "audio": {"id": "audio_1"}}) == CONTEXT
    assert bound({"role": "user", "content": "x"}, web_search_options={}) == CONTEXT


def test_inline_sound_counts_a_hundredth_of_its_base64() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "A" * 50_000, "format": "wav"}}
    assert bound(user(part)) == 500 + 100 + 16


def test_a_tokenizer_counts_all_the_text_at_once() -> None:
    seen: list[str] = []

    def exact(words: str) -> int:
        seen.append(words)
        return 7

    tools = [{"type": "function", "function": {"name": "f"}}]
    picture = image("data:image/png;base64,QUJD")
    asked = bound(user(text("žluť"), picture), exact=exact, tools=tools)
    assert asked == 7 + 16 + 400 + 6_000
    assert seen == ["žluť\n" + json.dumps(tools, separators=(",", ":"))]
    assert bound({"role": "assistant"}, exact=exact) == 16


ENCODING = tiktoken.Encoding(
    name="bytes",
    pat_str=r"\p{L}+|\p{N}{1,3}|\s+|[^\s\p{L}\p{N}]+",
    mergeable_ranks={
        **{bytes([byte]): byte for byte in range(256)},
        b"he": 256,
        b"ll": 257,
        b"hell": 258,
        b"hello": 259,
    },
    special_tokens={},
)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_bytes_are_never_fewer_than_a_tokenizers_tokens(words: str) -> None:
    message = {"role": "user", "content": words}
    assert bound(message) >= bound(message, exact=lambda t: len(ENCODING.encode_ordinary(t)))
