import json
from typing import Any

import pytest
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from wire.neutral import (
    Message,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
)
from wire.neutral_answer import (
    Answer,
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.responses_neutral import ResponsesClient, ResponsesUpstream
from wire.responses_stream import ResponsesStream
from wire.stops import Stop
from wire.usage import Usage

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = Usage(input_tokens=7, cached_input_tokens=3, output_tokens=4, reasoning_tokens=2)
ASKED = Request(model="m", items=())


def frames(written: bytes) -> list[dict[str, Any]]:
    told = []
    for block in written.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        EVENT.validate_python(value)
        told.append(value)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    return told


def streamed(*events: Event, stop: Stop = Stop.END) -> list[dict[str, Any]]:
    writer = ResponsesClient().new_writer("gen-X", "m", created=5, wants_usage=True, request=ASKED)
    written = b"".join(writer.write(event) for event in events)
    ended = Ended(stop=stop)
    written += writer.write(ended)
    return frames(written + writer.finish(ended, USAGE, {"cost": 0.5}, is_estimated=False))


def accumulated(told: list[dict[str, Any]]) -> Any:
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in told:
        state.handle_event(EVENT.validate_python(event))
    return state._completed_response


def read(told: list[dict[str, Any]]) -> list[Event]:
    reader = ResponsesUpstream().new_reader()
    return [event for frame in told for event in reader.feed(json.dumps(frame).encode())]


TEXT = (
    Started(),
    BlockStarted(0, Text(text="")),
    TextDelta(0, "Hé"),
    TextDelta(0, "llo"),
    BlockStopped(0),
)


def test_a_text_is_told_in_the_order_of_openai() -> None:
    told = streamed(*TEXT)
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    final = accumulated(told)
    assert (final.id, final.output_text, final.status) == ("resp_X", "Héllo", "completed")
    usage = told[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (10, 6, 0.5)
    assert usage["input_tokens_details"]["cached_tokens"] == 3
    assert usage["output_tokens_details"]["reasoning_tokens"] == 2


def test_parallel_calls_after_a_text_are_items_of_their_own() -> None:
    calls = (
        BlockStarted(1, ToolCall(id="c1", name="f")),
        BlockStarted(2, ToolCall(id="c2", name="g")),
        ArgumentsDelta(2, '{"b":'),
        ArgumentsDelta(1, '{"a":1}'),
        ArgumentsDelta(2, "2}"),
        BlockStopped(1),
        BlockStopped(2),
        BlockStarted(3, ToolCall(id="c3", name="h")),
        BlockStopped(3),
    )
    told = streamed(*TEXT, *calls, stop=Stop.TOOLS)
    final = accumulated(told)
    assert [item.type for item in final.output] == ["message", *["function_call"] * 3]
    assert [(i.call_id, i.arguments) for i in final.output[1:]] == [
        ("c1", '{"a":1}'),
        ("c2", '{"b":2}'),
        ("c3", "{}"),
    ]
    again = read(told)
    ends = [event for event in again if isinstance(event, Ended)]
    assert ends[0].stop is Stop.TOOLS
    assert ends[0].reading.usage == USAGE
    fragments: dict[int, str] = {}
    for event in again:
        if isinstance(event, ArgumentsDelta):
            fragments[event.index] = fragments.get(event.index, "") + event.fragment
    assert fragments == {1: '{"a":1}', 2: '{"b":2}', 3: "{}"}


def test_a_custom_tool_has_its_input_told() -> None:
    told = streamed(
        Started(),
        BlockStarted(0, ToolCall(id="c", name="patch", is_custom=True)),
        ArgumentsDelta(0, "*** Begin"),
        BlockStopped(0),
        stop=Stop.TOOLS,
    )
    item = told[-1]["response"]["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin")
    assert BlockStarted(0, ToolCall(id="c", name="patch", is_custom=True)) in read(told)


def test_what_was_thought_is_a_summary_and_its_seal_comes_back() -> None:
    told = streamed(
        Started(),
        BlockStarted(0, Reasoning(signed_by="messages")),
        ReasoningDelta(0, "First "),
        ReasoningDelta(0, "then"),
        SignatureDelta(0, "c2ln", "messages"),
        BlockStopped(0),
        BlockStarted(1, Text(text="")),
        TextDelta(1, "Done"),
        BlockStopped(1),
    )
    kinds = [event["type"] for event in told]
    assert kinds.count("response.reasoning_summary_text.delta") == 2
    for kind in ("part.added", "text.done", "part.done"):
        assert kinds.count(f"response.reasoning_summary_{kind}") == 1
    item = told[-1]["response"]["output"][0]
    assert item["summary"] == [{"type": "summary_text", "text": "First then"}]
    request = ResponsesClient().read_request({"model": "m", "input": [item]})
    assert request.items == (Reasoning(text="First then", signature="c2ln", signed_by="messages"),)


def test_the_parts_of_a_summary_stay_apart() -> None:
    told = streamed(
        Started(),
        BlockStarted(0, Reasoning(signed_by="responses")),
        ReasoningDelta(0, "a", 0),
        ReasoningDelta(0, "b", 1),
        SignatureDelta(0, "sealed", "responses"),
        BlockStopped(0),
    )
    item = told[-1]["response"]["output"][0]
    assert [part["text"] for part in item["summary"]] == ["a", "b"]
    assert item["encrypted_content"] == "sealed"
    again = read(told)
    assert ReasoningDelta(0, "b", 1) in again
    assert SignatureDelta(0, "sealed", "responses") in again


def test_the_seal_of_a_call_travels_before_it() -> None:
    call = ToolCall(id="c", name="f", signature="c2ln", signed_by="gemini")
    told = streamed(
        Started(), BlockStarted(0, call), ArgumentsDelta(0, "{}"), BlockStopped(0), stop=Stop.TOOLS
    )
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    back = ResponsesClient().read_request({"model": "m", "input": output}).items
    assert [(type(item), getattr(item, "signature", "")) for item in back] == [(ToolCall, "c2ln")]


@pytest.mark.parametrize(
    ("stop", "kind", "details"),
    [
        (Stop.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (Stop.CONTEXT, "incomplete", {"reason": "max_output_tokens"}),
        (Stop.FILTER, "incomplete", {"reason": "content_filter"}),
        (Stop.SEQUENCE, "completed", None),
        (Stop.ERROR, "failed", None),
    ],
)
def test_why_it_stopped_is_told(stop: Stop, kind: str, details: Any) -> None:
    last = streamed(*TEXT, stop=stop)[-1]
    assert last["type"] == f"response.{kind}"
    assert last["response"]["status"] == kind
    assert last["response"]["incomplete_details"] == details
    assert last["response"]["usage"]["input_tokens"] == 10


def test_a_failure_in_mid_stream_ends_it() -> None:
    writer = ResponsesClient().new_writer("gen-X", "m", created=5, wants_usage=True, request=ASKED)
    written = b"".join(writer.write(event) for event in TEXT)
    error = {"message": "no", "type": "upstream_error", "param": None, "code": "upstream_error"}
    last = frames(written + writer.error_event({"error": error}))[-1]
    assert last["response"]["error"]["code"] == "server_error"
    fresh = ResponsesClient().new_writer("gen-X", "m", created=5, wants_usage=True, request=ASKED)
    assert frames(fresh.error_event({"error": error}))[0]["message"] == "no"


def test_a_stream_that_was_written_passes_through_as_one_of_openai() -> None:
    stream = ResponsesStream("gen-Y", "n")
    for event in streamed(*TEXT):
        stream.feed(json.dumps(event).encode())
    assert stream.is_done
    assert stream.delivered_texts() == ["Héllo"]
    last = stream.last_events({"cost": 1}, None)
    assert b'"id":"resp_Y"' in last
    assert b'"cost":1' in last


ITEMS = (
    Reasoning(summary=("s",), encrypted="e", signed_by="responses", id="rs_1"),
    Message(role="assistant", content=(Text(text="Hi"), Refusal(text="no"))),
    ToolCall(id="c", name="f", arguments='{"a":1}'),
    ToolCall(id="d", name="p", arguments="x", is_custom=True),
)


@pytest.mark.parametrize("stop", [Stop.END, Stop.LENGTH, Stop.ERROR])
def test_a_plain_answer_is_one_that_the_sdk_takes(stop: Stop) -> None:
    answer = Answer(items=ITEMS, stop=stop)
    raw = ResponsesClient().write_answer(
        answer, "gen-X", "m", USAGE, {"cost": 1}, created=5, is_estimated=False
    )
    response = Response.model_validate_json(raw)
    kinds = ["reasoning", "message", "function_call", "custom_tool_call"]
    assert [item.type for item in response.output] == kinds
    assert len({item["id"] for item in json.loads(raw)["output"]}) == 4
    back = ResponsesUpstream().read_answer(raw)
    assert back.reading.usage == USAGE
    assert (back.stop, back.error is None) == (
        (Stop.TOOLS, True) if stop is Stop.END else (stop, stop is not Stop.ERROR)
    )
    calls = [item for item in back.items if isinstance(item, ToolCall)]
    assert [(call.id, call.arguments) for call in calls] == [("c", '{"a":1}'), ("d", "x")]


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"output":1}', b'{"output":[1]}', b'{"output":"\xff"}']
)
def test_what_is_no_answer_is_told(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"response|output"):
        ResponsesUpstream().read_answer(raw)
