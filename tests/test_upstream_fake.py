"""The fake provider, judged by the official client, and by a socket where that is too polite."""

import base64
import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.upstream import Upstream, good_answer

SAID: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello big world"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as process:
        yield process


@pytest.fixture
def space() -> str:
    return f"s{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(upstream: Upstream, space: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=upstream.base_url(space), api_key="sk-test", max_retries=0)
    with made:
        yield made


def raw(upstream: Upstream, space: str, body: dict[str, Any], timeout_s: float = 0.5) -> bytes:
    """Everything that comes over the wire until it is closed or silent."""
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=timeout_s) as sock:
        head = f"POST /{space}/v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        head += "connection: close\r\n"
        sock.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except TimeoutError:
            got += b"<silence>"
        except ConnectionResetError:
            got += b"<reset>"
    return got


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": SAID, **fields}


STREAM = chat(stream=True, stream_options={"include_usage": True})


def test_a_plain_answer_repeats_what_was_said_and_counts_it(client: openai.OpenAI) -> None:
    got = client.chat.completions.create(model="m", messages=SAID)
    assert got.choices[0].message.content == "hello big world"
    assert got.choices[0].finish_reason == "stop"
    assert got.model == "m"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (3, 3)


def test_a_stream_says_it_word_by_word_and_counts_last_when_asked(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="m", messages=SAID, stream=True, stream_options={"include_usage": True}
        )
    )
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert words == ["", "hello", " big", " world", None]
    assert [chunk.usage is None for chunk in chunks] == [True] * 5 + [False]
    assert chunks[-1].choices == []


def test_a_stream_has_no_usage_that_nobody_asked_for(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="m", messages=SAID, stream=True))
    assert len(chunks) == 5
    assert all(chunk.usage is None for chunk in chunks)


def test_a_forced_tool_is_called_plainly_and_in_a_stream(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "m",
        "messages": SAID,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
        "tool_choice": "required",
    }
    plain = client.chat.completions.create(**asked)
    assert plain.choices[0].message.tool_calls[0].function.name == "look"
    assert plain.choices[0].finish_reason == "tool_calls"
    chunks = list(client.chat.completions.create(**asked, stream=True))
    deltas = [delta for chunk in chunks for delta in chunk.choices[0].delta.tool_calls or []]
    assert deltas[0].function.name == "look"
    assert "".join(delta.function.arguments for delta in deltas) == "{}"


def test_an_image_is_accepted_and_json_is_answered(client: openai.OpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "what is it"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    got = client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": parts}],
        response_format={"type": "json_object"},
    )
    assert json.loads(got.choices[0].message.content or "") == {"said": "what is it"}


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["fake-model"]


def test_embeddings_are_the_same_in_both_encodings(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="m", input=["a", "b c"])
    plain = client.embeddings.create(model="m", input="a", encoding_format="float")
    assert packed.data[1].embedding == pytest.approx(plain.data[0].embedding)
    assert packed.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_scripted_status_is_a_typed_error(
    upstream: Upstream,
    space: str,
    client: openai.OpenAI,
    status: int,
    kind: type[openai.APIStatusError],
) -> None:
    upstream.script(space, default={"status": status, "headers": {"retry-after": "7"}})
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="m", messages=SAID)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body is not None


def test_the_queue_goes_first_then_the_key_then_the_model_then_the_default(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    upstream.script(
        space,
        queue=[good_answer("queued")],
        keys={"sk-other": good_answer("by key")},
        models={"special": good_answer("by model")},
        default=good_answer("by default"),
    )

    def say(model: str, key: str = "sk-test") -> str | None:
        got = client.with_options(api_key=key).chat.completions.create(model=model, messages=SAID)
        return got.choices[0].message.content

    assert say("special") == "queued"
    assert say("special", "sk-other") == "by key"
    assert say("special") == "by model"
    assert say("m") == "by default"


def test_a_script_with_a_slip_in_it_is_refused(upstream: Upstream, space: str) -> None:
    with pytest.raises(ValueError, match="contant"):
        upstream.script(space, default={"contant": "x"})


def test_requests_are_recorded_by_space(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    client.chat.completions.create(model="m", messages=SAID, temperature=0.5)
    (seen,) = upstream.requests(space)
    assert seen["headers"]["authorization"] == "Bearer sk-test"
    assert json.loads(seen["body"]) == chat(temperature=0.5)
    assert seen["finished_at"] >= seen["received_at"]
    assert upstream.requests(f"{space}-other") == []
    upstream.forget(space)
    assert upstream.requests(space) == []


def test_a_client_that_leaves_early_is_noticed(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    upstream.script(space, default={"silent_after": 2})
    stream = client.chat.completions.create(model="m", messages=SAID, stream=True)
    next(stream)
    left_at = time.monotonic()
    stream.close()
    (seen,) = upstream.wait_for(space, lambda records: records[0]["aborted_at"] is not None)
    assert seen["aborted_at"] - left_at < 2
    assert seen["finished_at"] is None


def test_an_answer_is_held_until_it_is_released(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    upstream.script(space, default={"hold_before": 2})
    stream = client.chat.completions.create(model="m", messages=SAID, stream=True)
    assert next(stream).choices[0].delta.content == ""
    assert next(stream).choices[0].delta.content == "hello"
    upstream.wait_for(space, lambda records: records[0]["pieces_sent"] == 2)
    assert upstream.release(space) == 1
    assert len(list(stream)) == 3


def test_an_error_object_or_event_may_follow_the_200(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    error = {"error": {"message": "overloaded", "type": "server_error", "code": 503}}
    upstream.script(space, default={"error": error, "error_after": 2})
    stream = client.chat.completions.create(model="m", messages=SAID, stream=True)
    with pytest.raises(openai.APIError, match="overloaded"):
        list(stream)
    upstream.script(space, default={"body": error})
    assert raw(upstream, space, chat()).count(b"overloaded") == 1


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ({"hang_up": "fin"}, b""),
        ({"hang_up": "rst"}, b"<reset>"),
        ({"raw": "HTTP/1.1 banana\r\n\r\n"}, b"HTTP/1.1 banana\r\n\r\n"),
        ({"is_silent": True}, b"<silence>"),
    ],
)
def test_no_answer_at_all_can_be_had(
    upstream: Upstream, space: str, behavior: dict[str, Any], expected: bytes
) -> None:
    upstream.script(space, default=behavior)
    assert raw(upstream, space, chat()) == expected


@pytest.mark.parametrize(
    ("behavior", "end", "events"),
    [
        ({"cut_after": 2}, b"\n\n\r\n", 2),
        ({"rst_after": 2}, b"<reset>", 2),
        ({"silent_after": 2}, b"\n\n\r\n<silence>", 2),
        ({"end_after": 2}, b"0\r\n\r\n", 2),
        ({"done": False}, b"0\r\n\r\n", 6),
        ({"after_done": 'data: {"x":1}\n\n'}, b'data: {"x":1}\n\n\r\n0\r\n\r\n', 8),
        ({"line_end": "\r\n"}, b"data: [DONE]\r\n\r\n\r\n0\r\n\r\n", 7),
        ({"framing": "close"}, b"data: [DONE]\n\n", 7),
        ({"usage": "absent"}, b"0\r\n\r\n", 6),
        ({"usage": [{"prompt_tokens": 1}, {"prompt_tokens": 2}]}, b"0\r\n\r\n", 8),
        ({"raw_events": ["data: {\n\n"]}, b"data: {\n\n\r\n0\r\n\r\n", 1),
        ({"split_bytes": 7, "gap_s": 0.0001}, b"0\r\n\r\n", None),
        ({"flood_bytes": 1_000_000}, b"x\r\n2\r\n\n\n\r\n0\r\n\r\n", 1),
        ({"burst": 100}, b"data: [DONE]\n\n\r\n0\r\n\r\n", 7),
    ],
)
def test_a_stream_can_go_wrong_in_every_way(
    upstream: Upstream, space: str, behavior: dict[str, Any], end: bytes, events: int | None
) -> None:
    upstream.script(space, default=behavior)
    got = raw(upstream, space, STREAM)
    if behavior.get("rst_after") and not got.startswith(b"HTTP"):
        got = b"data:data:<reset>"  # a reset may overtake what was written before it
    assert got.endswith(end)
    if events is not None:
        assert got.count(b"data:") == events


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": -1}, {"prompt_tokens": 1.5}, {"prompt_tokens": "3"}, 10**18]
)
def test_a_usage_is_told_as_it_was_scripted(upstream: Upstream, space: str, usage: object) -> None:
    upstream.script(space, default={"usage": usage})
    text = json.dumps(usage, separators=(",", ":")).encode()
    assert b'"usage":' + text + b"}" in raw(upstream, space, chat())
    assert b'"choices":[],"usage":' not in raw(upstream, space, STREAM) or usage is not None


@pytest.mark.parametrize("at", ["with_finish", "every", "after_done"])
def test_usage_may_stand_elsewhere(upstream: Upstream, space: str, at: str) -> None:
    upstream.script(space, default={"usage": {"prompt_tokens": 9}, "usage_at": at})
    got = raw(upstream, space, STREAM)
    assert got.count(b'"prompt_tokens":9') == (5 if at == "every" else 1)
    assert (got.find(b"[DONE]") < got.find(b'"prompt_tokens":9')) is (at == "after_done")


def test_a_body_may_be_any_bytes_and_may_be_cut(upstream: Upstream, space: str) -> None:
    body = base64.b64encode(b"\xff\x00garbage").decode()
    upstream.script(space, default={"body_base64": body})
    assert raw(upstream, space, chat()).endswith(b"\r\n\r\n\xff\x00garbage")
    upstream.script(space, default={"body_base64": body, "split_bytes": 2, "cut_after": 1})
    got = raw(upstream, space, chat())
    assert b"content-length: 9" in got
    assert got.endswith(b"\r\n\r\n\xff\x00")


def test_waits_are_kept(upstream: Upstream, space: str, client: openai.OpenAI) -> None:
    upstream.script(space, default={"delay_s": 0.1, "first_gap_s": 0.1, "gap_s": 0.02})
    begun = time.monotonic()
    list(client.chat.completions.create(model="m", messages=SAID, stream=True))
    assert 0.3 < time.monotonic() - begun < 1.5


def test_a_stamp_is_of_the_moment_of_its_write(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    upstream.script(space, default={"stamp": True, "words": 3, "gap_s": 0.03})
    late = [
        time.monotonic() - float(chunk.choices[0].delta.content)
        for chunk in client.chat.completions.create(model="m", messages=SAID, stream=True)
        if chunk.choices[0].delta.content
    ]
    assert len(late) == 3
    assert all(0 <= seconds < 0.5 for seconds in late)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("close", openai.APIConnectionError),
        ("rst", openai.APIConnectionError),
        ("silent", openai.APITimeoutError),
    ],
)
def test_a_door_closes_resets_or_says_nothing(
    upstream: Upstream, kind: str, error: type[openai.APIError]
) -> None:
    options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": 0.3}
    with openai.OpenAI(base_url=upstream.door(kind), **options) as client, pytest.raises(error):
        client.models.list()


def test_a_peer_that_stops_reading_gets_the_rest_when_it_reads_again(
    upstream: Upstream, space: str
) -> None:
    upstream.script(space, default={"flood_bytes": 20_000_000})
    data = json.dumps(STREAM).encode()
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as sock:
        head = f"POST /{space}/v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        sock.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        time.sleep(0.1)
        (seen,) = upstream.requests(space)
        assert 0 < seen["pieces_sent"] < 300
        got = 0
        while got < 20_000_000:
            got += len(sock.recv(1_000_000))
    upstream.wait_for(space, lambda records: records[0]["finished_at"] is not None)


def test_pipelined_requests_are_answered_in_order(upstream: Upstream, space: str) -> None:
    request = f"GET /{space}/v1/models HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    upstream.script(space, queue=[{"delay_s": 0.1, "body": "first"}, {"body": "second"}])
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=2) as sock:
        sock.sendall(request * 2)
        got = b""
        while b"second" not in got:
            got += sock.recv(65536)
    assert got.find(b"first") < got.find(b"second")


def test_the_role_may_come_with_the_first_word(
    upstream: Upstream, space: str, client: openai.OpenAI
) -> None:
    upstream.script(space, default={"is_role_apart": False})
    first, *rest = client.chat.completions.create(model="m", messages=SAID, stream=True)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "hello")
    assert len(rest) == 3


def test_no_piece_waits_for_the_acknowledgment_of_the_one_before(client: openai.OpenAI) -> None:
    client.models.list()
    begun = time.monotonic()
    for _ in range(10):
        list(client.chat.completions.create(model="m", messages=SAID, stream=True))
    assert time.monotonic() - begun < 10 * 0.04
