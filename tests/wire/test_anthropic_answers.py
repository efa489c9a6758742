import json
from pathlib import Path
from typing import Any

import pytest

from wire.anthropic_answer import MessagesAnswer
from wire.anthropic_stream import MessagesStream
from wire.anthropic_usage import read_usage, usage_object
from wire.chat_stream import BrokenEventError
from wire.usage import Usage

RECORDED = json.loads((Path(__file__).parent / "recorded/anthropic_messages.json").read_text())
USED = Usage(
    input_tokens=2095,
    cached_input_tokens=1000,
    cache_write_tokens=100,
    cache_write_1h_tokens=200,
    output_tokens=80,
    reasoning_tokens=40,
)


def raw(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def frames(sent: bytes) -> list[tuple[str, Any]]:
    told = []
    for block in sent.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        told.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return told


def test_usage_leaves_the_cache_out_of_the_input() -> None:
    reading = read_usage(RECORDED["answers"]["text"]["usage"])
    assert reading.usage == USED
    assert USED.all_input_tokens == 3395
    assert read_usage(usage_object(USED)).usage == USED


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": 1.5, "output_tokens": 1},
        {"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 2}},
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 1,
            "cache_creation": {"ephemeral_1h_input_tokens": 2},
        },
        "many",
    ],
)
def test_usage_that_makes_no_sense_is_flagged(usage: Any) -> None:
    assert read_usage(usage).is_flagged


def test_absent_usage_is_not_zero_usage() -> None:
    assert not read_usage(None).is_flagged
    assert read_usage({}).usage is None
    assert read_usage({"input_tokens": 0, "output_tokens": 0}).usage == Usage()
    assert read_usage({"input_tokens": 9, "output_tokens": 1}, bound_input=8).is_flagged


def test_an_answer_keeps_all_but_id_model_and_usage() -> None:
    told = RECORDED["answers"]["tools"]
    answer = MessagesAnswer.parse(raw(told))
    assert (answer.has_output, answer.finish_reason, answer.error) == (True, "tool_use", None)
    assert answer.reading.usage == USED
    shown = json.loads(answer.render("gen-1", "anthropic/claude", {"cost": 0.5}))
    expected = {**told, "id": "msg_1", "model": "anthropic/claude"}
    assert shown == {**expected, "usage": {**told["usage"], "cost": 0.5}}
    estimated = json.loads(answer.render("gen-1", "m", {}, estimate=Usage(input_tokens=3)))
    assert (estimated["usage"]["input_tokens"], estimated["usage"]["estimated"]) == (3, True)


def test_an_error_in_a_200_is_seen_and_nonsense_refused() -> None:
    answer = MessagesAnswer.parse(raw(RECORDED["error"]))
    assert answer.error == {"type": "overloaded_error", "message": "Overloaded"}
    assert not answer.has_output
    for nonsense in (b"[]", b"{}", b"\xff", b'{"content": 5}'):
        with pytest.raises(ValueError, match="it"):
            MessagesAnswer.parse(nonsense)


def test_a_stream_is_handed_on_to_the_byte_and_ends_with_the_cost() -> None:
    stream = MessagesStream("gen-1", "anthropic/claude")
    events = RECORDED["streams"]["text"]
    sent = b"".join(stream.feed(raw(event)) or b"" for event in events)
    assert stream.is_done
    assert (stream.has_content, stream.finish_reason) == (True, "end_turn")
    assert stream.delivered_texts() == ["Hello — é!"]
    for event in events[1:-2]:
        assert b"event: %b\ndata: %b\n\n" % (event["type"].encode(), raw(event)) in sent
    begun = frames(sent)[0][1]["message"]
    assert (begun["id"], begun["model"]) == ("msg_1", "anthropic/claude")
    reading = stream.reading
    assert reading is not None
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (2095, 15)
    last = frames(stream.last_events({"cost": 0.25}, None))
    assert [name for name, _ in last] == ["message_delta", "message_stop"]
    assert last[0][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert last[0][1]["usage"]["output_tokens"] == 15
    assert last[0][1]["usage"]["cost"] == 0.25


def test_a_failure_within_a_stream_is_kept_back() -> None:
    stream = MessagesStream("gen-1", "m")
    sent = [stream.feed(raw(event)) for event in RECORDED["streams"]["error"]]
    assert sent[-1] is None
    assert stream.error == {"type": "overloaded_error", "message": "Overloaded"}
    assert not stream.end()
    told = {"type": "error", "error": {"type": "api_error", "message": "x"}, "request_id": "r"}
    assert frames(stream.error_event(told)) == [("error", told)]
    assert frames(stream.error_event({"error": {"message": "x"}}))[0][1]["type"] == "error"


def test_a_stream_cut_before_its_stop_reason_is_not_whole() -> None:
    stream = MessagesStream("gen-1", "m")
    for event in RECORDED["streams"]["text"][:4]:
        stream.feed(raw(event))
    assert not stream.end()
    stream.feed(raw(RECORDED["streams"]["text"][-2]))
    assert stream.end()


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"type":5}', b'{"type":"a\\nb"}', b"\xff"])
def test_an_event_that_is_none_breaks_the_stream(data: bytes) -> None:
    with pytest.raises(BrokenEventError):
        MessagesStream("gen-1", "m").feed(data)


def test_what_a_provider_charges_is_not_told() -> None:
    stream = MessagesStream("gen-1", "m")
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": 1, "cost": 9}}}
    assert b"cost" not in (stream.feed(raw(begun)) or b"")
    ended = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2, "cost": 9}}
    stream.feed(raw(ended))
    shown = frames(stream.last_events({}, None))[0][1]["usage"]
    assert shown == {"input_tokens": 1, "output_tokens": 2}
