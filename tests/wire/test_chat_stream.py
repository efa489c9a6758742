import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from wire.chat_stream import BrokenEventError, ChatStream
from wire.chat_usage import BAD
from wire.usage import Usage

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
SEEN = Usage(input_tokens=10, output_tokens=3)
STOP = [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def stream(*, wants_usage: bool = False, **bounds: int) -> ChatStream:
    return ChatStream("gen-1", "openai/gpt-4o", wants_usage=wants_usage, created=5, **bounds)


def chunk(*choices: Any, **fields: Any) -> bytes:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_741_570_283,
        "model": "gpt-4o-2024-08-06",
        "choices": list(choices),
    }
    return json.dumps({**head, **fields}, separators=(",", ":"), ensure_ascii=False).encode()


def delta(finish_reason: Any = None, index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "finish_reason": finish_reason}


def payload(event: bytes | None) -> dict[str, Any]:
    assert event is not None
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    assert b"\r" not in event
    value = json.loads(event[6:])
    assert isinstance(value, dict)
    return value


def test_a_stream_is_rewritten_and_read_to_its_end() -> None:
    reader = stream()
    assert payload(reader.feed(chunk(delta(role="assistant", content=""))))["id"] == "gen-1"
    began = [reader.has_content]
    for word in ("Hello", " there"):
        seen = payload(reader.feed(chunk(delta(content=word), usage=None)))
        assert seen["choices"] == [delta(content=word)]
        assert seen["model"] == "openai/gpt-4o"
    assert [*began, reader.has_content] == [False, True]
    payload(reader.feed(chunk(*STOP)))
    assert (reader.finish_reason, reader.is_done, reader.reading) == ("stop", False, None)
    assert reader.feed(chunk(usage=USAGE)) is None
    assert reader.feed(b"[DONE]") is None
    assert reader.is_done
    assert reader.reading is not None
    assert reader.reading.usage == SEEN
    assert reader.delivered_texts() == ["Hello there"]
    assert reader.output_count(lambda text: len(text.split())) == 2
    assert (reader.delivered_bytes, reader.output_estimate) == (11, 4)
    assert (reader.upstream_id, reader.error) == ("chatcmpl-1", None)


def test_all_but_id_and_model_stays_to_the_byte_in_its_order() -> None:
    data = (
        b'{"x" : [1.10,1e2],"model":"up-model","created":1,'
        b'"choices":[{"index":0, "delta":{"content":"\\u00e9\\/ {\\"id\\":\\"up-1\\"}",'
        b'"tool_calls":[{"id":"up-1","index":0}]},"logprobs":{"content":[-0.00010]}}],'
        b'"id":"up-1","nested":{"id":"up-1","model":"up-model"},"huge":12345678901234567890123}'
    )
    wanted = data.replace(b'"x" : ', b'"x":')
    wanted = wanted.replace(b'"model":"up-model",', b'"model":"openai/gpt-4o",', 1)
    wanted = wanted.replace(b',"id":"up-1","nested"', b',"id":"gen-1","nested"')
    for _ in range(2):
        assert stream().feed(data) == b"data: " + wanted + b"\n\n"


def test_an_escaped_or_a_doubled_id_cannot_slip_through() -> None:
    data = b'{"id":"up-1","choices":[],"\\u0069d":"up\\u002d1","model":"a","model":"b"}'
    event = stream().feed(data)
    assert event is not None
    assert b"up" not in event
    assert payload(event) == {"id": "gen-1", "choices": [], "model": "openai/gpt-4o"}


def test_a_chunk_without_id_and_model_is_given_ours() -> None:
    assert payload(stream().feed(b'{"choices":[]}')) == {
        "choices": [],
        "id": "gen-1",
        "model": "openai/gpt-4o",
    }


TEXTS = st.text(max_size=30) | st.sampled_from(
    ['"id":"chatcmpl-1"', '{"model":"m"}', "data: [DONE]\n\n", "\u2028\u2029\x85", '\\"', "[DONE]"]
)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.booleans(), st.sampled_from([None, 2]))
def test_whatever_the_text_only_id_and_model_change(
    text: str, extra: dict[str, str], is_ascii: bool, indent: int | None
) -> None:
    told = {**extra, "id": "chatcmpl-1", "model": "m", "choices": [delta(content=text, x=extra)]}
    told.pop("usage", None)
    told.pop("error", None)
    reader = stream()
    event = reader.feed(json.dumps(told, ensure_ascii=is_ascii, indent=indent).encode())
    assert payload(event) == {**told, "id": "gen-1", "model": "openai/gpt-4o"}
    assert list(payload(event)) == list(told)
    assert reader.delivered_bytes == len(text.encode())


@settings(deadline=None, max_examples=500)
@given(
    st.binary(max_size=40)
    | st.text('{}[]",:\\ud8c0fe1N-.9 \n', max_size=40).map(str.encode)
    | st.text(max_size=20).map(lambda t: b'{"choices":[],"x":"' + t.encode() + b'"}')
)
def test_whatever_comes_is_broken_or_goes_out_as_one_event_of_utf_8(data: bytes) -> None:
    event = None
    try:
        event = stream().feed(data)
    except BrokenEventError:
        return
    assert event is None or payload(event)["id"] == "gen-1"
    assert event is None or event.decode()


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[DONE",
        b"<html>",
        b'{"choices":{}}',
        b'{"choices":[5]}',
        b'{"choices":[{"delta":"x"}]}',
        b'{"choices":[],"x":NaN}',
        b'{"choices":[],"x":"\xe2\x82"}',
        b'{"choices":[],"x":"\\ud800"}',
        b'{"choices":[],"x":"a\nb"}',
        b'{"choices":[{"delta":{"content":' + b"[" * 5_000 + b"]" * 5_000 + b"}}]}",
        b'{"choices":' + b"[" * 100_000,
    ],
)
def test_what_is_no_chunk_is_told_as_broken(data: bytes) -> None:
    with pytest.raises(BrokenEventError):
        stream().feed(data)


def test_a_chunk_spread_over_lines_goes_out_on_one() -> None:
    raw = json.dumps(json.loads(chunk(delta(content="a\nb"))), indent=1)
    for data in (raw.encode(), raw.replace("\n", "\r\n").encode()):
        assert payload(stream().feed(data))["choices"] == [delta(content="a\nb")]


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "x"},
        {"reasoning": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x", "reasoning_content": "x"},
        {"refusal": "x"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]},
        {"function_call": {"arguments": "x"}},
        {"content": [{"type": "text", "text": "x"}]},
        {"audio": {"transcript": "x"}},
    ],
)
def test_every_kind_of_delta_is_content(fields: dict[str, Any]) -> None:
    reader = stream()
    reader.feed(chunk(delta(**fields)))
    assert reader.has_content
    assert reader.delivered_texts() == ["x"]


@pytest.mark.parametrize(
    "choice",
    [
        delta(role="assistant"),
        delta(role="assistant", content=None),
        delta(content=""),
        delta(content="", tool_calls=[], refusal=None),
        delta("stop"),
        {"index": 0, "delta": None},
        {"index": 0},
    ],
)
def test_a_role_or_an_empty_delta_is_no_content(choice: Any) -> None:
    reader = stream()
    assert payload(reader.feed(chunk(choice)))["choices"] == [choice]
    assert not reader.has_content
    assert reader.output_estimate == 0


PLACEMENTS: dict[str, list[bytes]] = {
    "a last chunk with empty choices": [
        chunk(delta(content="x")),
        chunk(*STOP),
        chunk(usage=USAGE),
    ],
    "beside the finish reason": [chunk(delta(content="x")), chunk(*STOP, usage=USAGE)],
    "beside content": [chunk(delta(content="x"), usage=USAGE), chunk(*STOP)],
    "in every chunk, growing": [
        chunk(delta(content="x"), usage={"prompt_tokens": 10, "completion_tokens": 1}),
        chunk(*STOP, usage={"prompt_tokens": 10, "completion_tokens": 2}),
        chunk(usage=USAGE),
    ],
    "twice the same": [chunk(delta(content="x")), chunk(*STOP, usage=USAGE), chunk(usage=USAGE)],
    "before nulls": [chunk(delta(content="x"), usage=USAGE), chunk(*STOP, usage=None)],
    "null choices": [chunk(*STOP), json.dumps({"choices": None, "usage": USAGE}).encode()],
    "no choices": [chunk(*STOP), json.dumps({"usage": USAGE}).encode()],
    "within the choice": [chunk({**STOP[0], "usage": USAGE})],
    "within x_groq": [chunk(*STOP, x_groq={"id": "req", "usage": USAGE})],
}


@pytest.mark.parametrize("wants_usage", [False, True])
@pytest.mark.parametrize("place", PLACEMENTS)
def test_usage_is_read_the_same_wherever_it_stands(place: str, wants_usage: bool) -> None:
    reader = stream(wants_usage=wants_usage)
    for data in [*PLACEMENTS[place], b"[DONE]"]:
        event = reader.feed(data)
        if event is not None:
            assert payload(event).get("usage") is None
            assert ("usage" in payload(event)) == (wants_usage and "usage" in json.loads(data))
    assert reader.reading is not None
    assert reader.reading.usage == SEEN
    assert not reader.reading.is_flagged


def test_usage_is_taken_out_for_those_who_did_not_ask_and_null_for_those_who_did() -> None:
    for told in (USAGE, None):
        data = chunk(delta(content="x"), usage=told)
        assert "usage" not in payload(stream().feed(data))
        assert payload(stream(wants_usage=True).feed(data))["usage"] is None


def test_the_last_usage_counts_even_where_it_is_bad() -> None:
    reader = stream()
    reader.feed(chunk(usage=USAGE))
    reader.feed(b'{"choices":[],"usage":{"prompt_tokens":1e999,"completion_tokens":1}}')
    assert reader.reading == BAD
    assert json.loads(reader.usage_event({"cost": 0})[6:])["usage"] == {"cost": 0}


def test_bounds_count_as_they_stand_when_the_reading_is_asked_for() -> None:
    reader = stream(bound_input=10, bound_output=2)
    reader.feed(chunk(usage=USAGE))
    assert reader.reading == BAD
    reader.bound_output = 3
    assert reader.reading is not None
    assert reader.reading.usage == SEEN


def test_an_empty_chunk_without_usage_is_handed_on() -> None:
    data = chunk(prompt_filter_results=[{"prompt_index": 0}], usage=None)
    assert payload(stream().feed(data))["prompt_filter_results"] == [{"prompt_index": 0}]


def test_after_done_everything_is_ignored() -> None:
    reader = stream()
    reader.feed(chunk(delta(content="x")))
    assert reader.feed(b" [DONE] ") is None
    assert reader.is_done
    assert reader.feed(b"[DONE]") is None
    assert reader.feed(chunk(delta(content="y"), usage=USAGE)) is None
    assert reader.feed(b"garbage") is None
    assert reader.delivered_texts() == ["x"]
    assert reader.reading is None


def test_without_done_a_stream_is_done_when_every_choice_has_finished() -> None:
    reader = stream()
    assert not reader.end()
    reader.feed(chunk(delta(content="a"), delta(index=1, content="b")))
    assert not reader.end()
    reader.feed(chunk(delta("stop", index=1)))
    assert reader.finish_reason == "stop"
    assert not reader.end()
    reader.feed(chunk(delta("length")))
    reader.feed(chunk(delta(content="")))
    assert reader.finish_reason == "length"
    assert reader.end()
    assert reader.is_done


@pytest.mark.parametrize("index", [None, "0", 1.5, -1, 10**9, True])
def test_a_strange_index_neither_breaks_nor_grows_anything(index: Any) -> None:
    reader = stream()
    assert reader.feed(chunk(delta("stop", index=index, content="x")))
    assert reader.finish_reason is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"error":{"message":"boom","code":502}}', "boom"),
        (b'{"error":"boom"}', "boom"),
        (chunk(delta("error", content=""), error={"message": "boom"}), "boom"),
        (chunk(delta("error", content="x")), "unknown error"),
        (chunk({**delta("stop"), "error": {"message": "cut"}}), "cut"),
    ],
)
def test_a_failure_within_the_stream_is_told_and_not_handed_on(data: bytes, message: str) -> None:
    reader = stream()
    reader.feed(chunk(delta(content="half")))
    assert reader.feed(data) is None
    assert reader.error is not None
    assert reader.error["message"] == message
    assert reader.feed(chunk(delta(content="more"))) is None
    assert reader.feed(chunk(*STOP)) is None
    assert not reader.end()
    assert reader.delivered_texts() == ["half"]


def test_usage_that_follows_a_failure_is_still_read() -> None:
    reader = stream()
    reader.feed(b'{"error":"boom"}')
    reader.feed(chunk(usage=USAGE))
    assert reader.reading is not None
    assert reader.reading.usage == SEEN


def test_an_empty_error_is_none() -> None:
    assert stream().feed(chunk(delta(content="x"), error=None))


def test_the_usage_event_is_upstreams_usage_with_ours_and_without_its_costs() -> None:
    reader = stream(wants_usage=True)
    reader.feed(chunk(delta(content="x")))
    reader.feed(chunk(usage={**USAGE, "cost": 9, "cost_details": {}}))
    event = reader.usage_event({"cost": 0.25, "savings": "93%"})
    seen = ChatCompletionChunk.model_validate_json(event[6:], strict=True)
    assert (seen.id, seen.model, seen.created) == ("gen-1", "openai/gpt-4o", 1_741_570_283)
    assert seen.choices == []
    assert payload(event)["usage"] == {**USAGE, "cost": 0.25, "savings": "93%"}


def test_the_usage_event_of_a_stream_without_usage_is_our_estimate() -> None:
    event = stream(wants_usage=True).usage_event({"cost": 0}, estimate=SEEN)
    shown = payload(event)
    assert shown["created"] == 5
    assert shown["usage"]["prompt_tokens"] == 10
    assert shown["usage"]["estimated"] is True


@pytest.mark.parametrize("has_envelope", [True, False])
def test_the_error_event_is_a_chunk_that_carries_the_error(has_envelope: bool) -> None:
    error = {"message": "boom", "type": "upstream_error", "param": None, "code": "upstream_error"}
    event = stream().error_event({"error": error} if has_envelope else error)
    assert payload(event)["error"] == error
    assert payload(event)["choices"][0]["finish_reason"] == "error"
    assert payload(event)["object"] == "chat.completion.chunk"
