import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from providers.sse import EventSplitter
from wire.chat_stream import BrokenEventError
from wire.chat_usage import BAD
from wire.gemini_neutral import GeminiUpstream
from wire.neutral import Reasoning, Request, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.responses_answer import ResponsesAnswer
from wire.responses_neutral import ResponsesClient, ResponsesUpstream
from wire.responses_stream import ResponsesStream
from wire.responses_usage import read_usage
from wire.stops import Stop
from wire.usage import Usage

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
RECORDED = Path(__file__).parent / "recorded" / "responses"
TEXT = (RECORDED / "stream_text_2026-11-21.sse").read_bytes()
TOOLS = (RECORDED / "stream_tools_2026-11-21.sse").read_bytes()
USAGE = Usage(input_tokens=7, cached_input_tokens=30, output_tokens=7, reasoning_tokens=4)
TOLD = {
    "input_tokens": 37,
    "input_tokens_details": {"cached_tokens": 30},
    "output_tokens": 11,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 48,
}


def split(raw: bytes, cuts: tuple[int, ...] = ()) -> list[bytes]:
    splitter = EventSplitter()
    found = []
    for begin, end in zip((0, *cuts), (*cuts, len(raw)), strict=True):
        found += [event.data for event in splitter.feed(raw[begin:end])]
    return found


def relayed(raw: bytes, cuts: tuple[int, ...] = ()) -> tuple[ResponsesStream, list[dict[str, Any]]]:
    stream = ResponsesStream("gen-1", "m")
    written = b"".join(filter(None, (stream.feed(data) for data in split(raw, cuts))))
    if stream.is_done:
        written += stream.last_events({"cost": 0.5}, None)
    return stream, frames(written)


def frames(written: bytes) -> list[dict[str, Any]]:
    told = []
    for block in written.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        EVENT.validate_python(value)
        told.append(value)
    return told


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


@pytest.mark.parametrize("raw", [TEXT, TOOLS])
def test_a_stream_is_handed_on_whole_with_our_id_model_and_cost(raw: bytes) -> None:
    stream, told = relayed(raw)
    assert [e["type"] for e in told] == [json.loads(data)["type"] for data in split(raw)]
    assert [e["sequence_number"] for e in told] == list(range(len(told)))
    for value in told:
        if "response" in value:
            assert (value["response"]["id"], value["response"]["model"]) == ("resp_1", "m")
    assert told[-1]["response"]["usage"]["cost"] == 0.5
    assert stream.reading is not None
    assert (stream.reading.usage, stream.finish_reason) == (USAGE, "completed")
    assert (stream.upstream_id, stream.has_content, stream.end()) == ("resp_67c9", True, True)


def test_what_we_dont_act_on_stays_to_the_byte() -> None:
    stream = ResponsesStream("gen-1", "m")
    for data in split(TEXT):
        seen = stream.feed(data)
        if b'"response"' not in data:
            kind = json.loads(data)["type"]
            assert seen == b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def test_the_text_and_the_calls_are_counted() -> None:
    assert relayed(TEXT)[0].delivered_texts() == ["Hi thère!"]
    stream, _ = relayed(TOOLS)
    assert stream.delivered_texts() == ['Thinkweather{"city":"Oslo"}']
    assert stream.output_count(lambda text: len(text)) == 27
    assert stream.output_estimate >= 9
    assert stream.delivered_bytes == 27


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, len(TOOLS) - 1), max_size=10))
def test_wherever_the_reads_fall_the_stream_is_the_same(cuts: list[int]) -> None:
    assert relayed(TOOLS, tuple(sorted(set(cuts))))[1] == relayed(TOOLS)[1]


@pytest.mark.parametrize("numbers", [[None] * 4, [0, 0, 0, 0], [5, 3, 9, "x"]])
def test_numbers_that_dont_rise_are_made_to(numbers: list[Any]) -> None:
    stream = ResponsesStream("gen-1", "m")
    seen = []
    for number in numbers:
        data = event("response.output_text.delta", delta="a", sequence_number=number)
        frame = stream.feed(data)
        assert frame is not None
        seen.append(json.loads(frame.split(b"data: ")[1])["sequence_number"])
    assert seen == sorted(set(seen))


def ended(kind: str, **response: Any) -> ResponsesStream:
    stream = ResponsesStream("gen-1", "m")
    stream.feed(event("response.created", response={"id": "resp_u", "output": []}))
    stream.feed(event("response.output_text.delta", output_index=0, delta="a"))
    stream.feed(event(f"response.{kind}", response={"id": "resp_u", "usage": TOLD, **response}))
    return stream


def test_an_incomplete_response_tells_its_reason_and_usage() -> None:
    details = {"reason": "max_output_tokens"}
    stream = ended("incomplete", status="incomplete", incomplete_details=details)
    assert (stream.is_done, stream.finish_reason) == (True, "max_output_tokens")
    assert stream.reading is not None
    assert stream.reading.usage == USAGE
    last = stream.last_events({"cost": 1}, None)
    assert last.startswith(b"event: response.incomplete\n")
    assert b'"cost":1' in last


def test_a_failed_response_tells_its_usage_and_our_error() -> None:
    error = {"code": "server_error", "message": "secret"}
    stream = ended("failed", status="failed", error=error)
    assert (stream.error, stream.is_done, stream.end()) == (error, False, False)
    assert stream.reading is not None
    assert stream.reading.usage == USAGE
    rendered = {"message": "ours", "type": "upstream_error", "code": "upstream_error"}
    last = json.loads(stream.error_event({"error": rendered}).split(b"data: ")[1])
    assert last["response"]["usage"] == TOLD
    assert last["response"]["error"]["message"] == "ours"
    assert last["response"]["id"] == "resp_1"
    assert last["sequence_number"] == 3


def test_an_estimate_stands_in_for_usage_that_makes_no_sense() -> None:
    stream = ended("completed", status="completed")
    stream.bound_output = 5
    assert stream.reading == BAD
    last = json.loads(stream.last_events({}, Usage(output_tokens=2)).split(b"data: ")[1])
    assert last["response"]["usage"]["estimated"] is True
    assert last["response"]["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    "told",
    [
        {"code": "x", "message": "no", "param": None},
        {"error": {"code": "x", "message": "no", "param": None}},
    ],
)
def test_an_error_before_any_response_is_an_error_event(told: dict[str, Any]) -> None:
    stream = ResponsesStream("gen-1", "m")
    assert stream.feed(event("error", **told)) is None
    assert stream.error == {"code": "x", "message": "no", "param": None}
    shown = frames(stream.error_event({"message": "ours", "type": "t", "code": 502}))[0]
    assert (shown["type"], shown["code"], shown["message"]) == ("error", "server_error", "ours")


@pytest.mark.parametrize("data", [b"[1]", b"{}", b"{", b'{"type":1}', b'{"type":"a\\nb"}'])
def test_what_is_no_event_breaks_the_stream(data: bytes) -> None:
    with pytest.raises(BrokenEventError):
        ResponsesStream("gen-1", "m").feed(data)
    with pytest.raises(BrokenEventError):
        ResponsesUpstream().new_reader().feed(data)


def test_items_that_came_without_deltas_are_counted_once() -> None:
    stream = ResponsesStream("gen-1", "m")
    item = {"type": "message", "content": [{"type": "output_text", "text": "whole"}]}
    stream.feed(event("response.output_item.added", output_index=0, item={"type": "message"}))
    assert not stream.has_content
    stream.feed(event("response.output_item.done", output_index=0, item=item))
    assert stream.delivered_texts() == ["whole"]


def plain(**fields: Any) -> bytes:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    told = {"id": "resp_u", "model": "up", "status": "completed", "output": [item], "usage": TOLD}
    return json.dumps({**told, **fields}).encode()


def test_a_plain_answer_is_handed_on_with_our_id_usage_and_cost() -> None:
    answer = ResponsesAnswer.parse(plain())
    assert (answer.finish_reason, answer.has_output, answer.error) == ("completed", True, None)
    assert answer.reading.usage == USAGE
    shown = json.loads(answer.render("gen-1", "m", {"cost": 1}))
    assert (shown["id"], shown["model"], shown["usage"]) == ("resp_1", "m", {**TOLD, "cost": 1})
    assert Response.model_construct(**shown).id == "resp_1"


@pytest.mark.parametrize(
    ("fields", "reason", "is_error"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "x"}}, "x", False),
        ({"status": "incomplete"}, "incomplete", False),
        ({"status": "failed", "error": {"code": "c", "message": "m"}}, "failed", True),
        ({"status": "cancelled"}, "failed", True),
        ({"status": "queued"}, None, False),
        ({"status": None}, "completed", False),
    ],
)
def test_each_status_has_its_end(fields: dict[str, Any], reason: Any, is_error: bool) -> None:
    answer = ResponsesAnswer.parse(plain(**fields))
    assert (answer.finish_reason, answer.is_error_finish) == (reason, is_error)
    assert (answer.error is not None) is is_error


def test_searches_that_upstream_ran_are_counted() -> None:
    answer = ResponsesAnswer.parse(plain(tool_usage={"web_search": {"num_requests": 3}}))
    assert answer.reading.usage is not None
    assert answer.reading.usage.searches == 3


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"output":1}', b'{"output":[1]}'])
def test_what_is_no_answer_is_told(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"response|output"):
        ResponsesAnswer.parse(raw)


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts)
def test_no_token_is_counted_twice(fresh: int, cached: int, said: int, thought: int) -> None:
    told = {
        "input_tokens": fresh + cached,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": said + thought,
        "output_tokens_details": {"reasoning_tokens": thought},
    }
    assert read_usage(told).usage == Usage(
        input_tokens=fresh, cached_input_tokens=cached, output_tokens=said, reasoning_tokens=thought
    )


def neutral(raw: bytes) -> list[Event]:
    reader = ResponsesUpstream().new_reader()
    return [event for data in split(raw) for event in reader.feed(data)]


def test_a_recorded_stream_becomes_events() -> None:
    *found, last = neutral(TOOLS)
    assert found == [
        Started(id="resp_67c9", created=1741290958),
        BlockStarted(0, Reasoning(signed_by="responses", id="rs_1")),
        ReasoningDelta(0, "Think", 0),
        SignatureDelta(0, "gAAAAA", "responses"),
        BlockStopped(0),
        BlockStarted(1, ToolCall(id="call_A", name="weather")),
        ArgumentsDelta(1, '{"city":'),
        ArgumentsDelta(1, '"Oslo"}'),
        BlockStopped(1),
    ]
    assert isinstance(last, Ended)
    assert (last.stop, last.reading.usage) == (Stop.TOOLS, USAGE)


def test_a_failure_becomes_one() -> None:
    reader = ResponsesUpstream().new_reader()
    error = {"code": "server_error", "message": "no"}
    failed = event("response.failed", response={"status": "failed", "error": error})
    assert list(reader.feed(failed)) == [Failed(error)]
    assert not reader.is_done
    assert list(reader.end()) == []


def test_a_translated_chunk_costs_little() -> None:
    reader = GeminiUpstream().new_reader()
    writer = ResponsesClient().new_writer(
        "gen-1", "m", created=5, wants_usage=True, request=Request(model="m", items=())
    )
    writer.write(Started())
    chunk = json.dumps(
        {
            "candidates": [{"content": {"parts": [{"text": " token"}], "role": "model"}}],
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 10},
        }
    ).encode()
    began = time.process_time()
    for _ in range(5_000):
        for told in reader.feed(chunk):
            writer.write(told)
    assert time.process_time() - began < 5_000 * 60e-6 * 3
    assert isinstance(writer._blocks[0].head, Text)


def test_a_delta_of_a_text_is_read_at_once() -> None:
    reader = ResponsesUpstream().new_reader()
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    told = event("response.output_text.delta", **place, delta="a")
    assert list(reader.feed(told)) == [BlockStarted(0, Text(text="")), TextDelta(0, "a")]
    assert list(reader.feed(told)) == [TextDelta(0, "a")]
