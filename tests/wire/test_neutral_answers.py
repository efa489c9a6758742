import json
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from wire import anthropic_neutral, chat_neutral
from wire.anthropic_call import MessagesCall
from wire.chat import ChatCall
from wire.translated import TranslatedAnswer, TranslatedCall, TranslatedStream
from wire.usage import Usage

RECORDED = json.loads((Path(__file__).parent / "recorded/anthropic_messages.json").read_text())
LARGE = 10**9
SAID = [{"role": "user", "content": "hi"}]
CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def chat_call(**fields: Any) -> TranslatedCall:
    call = ChatCall.from_body({"model": "m", "messages": SAID, **fields})
    return TranslatedCall(call, chat_neutral.CLIENT, anthropic_neutral.UPSTREAM)


def messages_call() -> TranslatedCall:
    call = MessagesCall.from_body({"model": "m", "max_tokens": 9, "messages": SAID, "stream": True})
    return TranslatedCall(call, anthropic_neutral.CLIENT, chat_neutral.UPSTREAM)


def stream_of(call: TranslatedCall) -> TranslatedStream:
    return call.new_stream("gen-1", "a/m", created=5, bound_input=LARGE, bound_output=LARGE)


def answer_to(call: TranslatedCall, told: Any) -> TranslatedAnswer:
    return call.parse_answer(raw(told), bound_input=LARGE, bound_output=LARGE)


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def fed(stream: TranslatedStream, events: list[Any]) -> bytes:
    return b"".join(stream.feed(raw(event)) or b"" for event in events)


def chunks(sent: bytes) -> list[ChatCompletionChunk]:
    told = [block.removeprefix("data: ") for block in sent.decode().split("\n\n") if block]
    assert told[-1] == "[DONE]"
    return [ChatCompletionChunk.model_validate_json(data) for data in told[:-1]]


def frames(sent: bytes) -> list[Any]:
    told = []
    for block in sent.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        told.append(event)
    return told


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "created": 5, "choices": [choice], **fields}


def call_delta(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    asked = {"arguments": arguments}
    if "name" in fields:
        asked["name"] = fields.pop("name")
    return {"tool_calls": [{"index": index, **fields, "function": asked}]}


def test_a_stream_of_messages_looks_like_openais_own() -> None:
    stream = stream_of(chat_call(stream=True, stream_options={"include_usage": True}))
    sent = fed(stream, RECORDED["streams"]["tools"])
    assert stream.is_done
    assert stream.end()
    assert (stream.finish_reason, stream.upstream_id) == (
        "tool_calls",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
    )
    told = chunks(sent + stream.last_events({"cost": 0.5}, None))
    assert told[0].choices[0].delta.role == "assistant"
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for each in told:
        state.handle_chunk(each)
    whole = state.get_final_completion()
    message = whole.choices[0].message
    assert message.content == "I'll look."
    calls = message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert [call.function.arguments for call in calls] == ['{"city": "Lisbon"}', "{}"]
    assert whole.choices[0].finish_reason == "tool_calls"
    usage = told[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3395, 120)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 1000
    assert told[-1].choices == []


def test_usage_is_told_only_when_asked_and_estimated_when_missing() -> None:
    stream = stream_of(chat_call(stream=True))
    sent = fed(stream, RECORDED["streams"]["text"]) + stream.last_events({"cost": 1}, None)
    assert all(each.usage is None for each in chunks(sent))
    stream = stream_of(chat_call(stream=True, stream_options={"include_usage": True}))
    stream.feed(b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}')
    assert stream.end()
    assert stream.reading is None
    last = chunks(stream.last_events({}, Usage(input_tokens=3, output_tokens=4)))[-1]
    assert last.usage is not None
    assert last.usage.total_tokens == 7


@pytest.mark.parametrize(
    ("name", "finish_reason"),
    [
        ("text", "stop"),
        ("tools", "tool_calls"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_an_answer_of_messages_is_a_completion(name: str, finish_reason: str) -> None:
    answer = answer_to(chat_call(), RECORDED["answers"][name])
    assert (answer.has_output, answer.finish_reason, answer.error) == (True, finish_reason, None)
    rendered = answer.render("gen-1", "a/m", {"cost": 0.5}, created=5)
    shown = ChatCompletion.model_validate_json(rendered)
    assert (shown.id, shown.model, shown.created) == ("gen-1", "a/m", 5)
    assert shown.choices[0].finish_reason == finish_reason
    assert shown.usage is not None
    assert shown.usage.prompt_tokens == 3395


def test_thinking_of_messages_can_be_sent_back_by_a_chat_client() -> None:
    shown = json.loads(
        answer_to(chat_call(), RECORDED["answers"]["tools"]).render("gen-1", "m", {})
    )
    message = shown["choices"][0]["message"]
    assert message["reasoning"] == "Two cities."
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in message["tool_calls"]
    ]
    sent = chat_call(messages=[*SAID, message, *results]).upstream_body("claude-opus-5", None)
    assert sent["messages"][1]["content"] == RECORDED["answers"]["tools"]["content"]


def test_a_stream_of_chat_looks_like_anthropics_own() -> None:
    stream = stream_of(messages_call())
    sent = fed(
        stream,
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning_content": "Hm"}),
            chunk({"reasoning_content": "m"}),
            chunk({"content": "I'll "}),
            chunk({"content": "look"}),
            chunk(call_delta(0, "", id="call_1", type="function", name="weather")),
            chunk(call_delta(0, "")),
            chunk(call_delta(0, '{"city":')),
            chunk(call_delta(0, '"Lisbon"}')),
            chunk(call_delta(1, "", id="call_2", type="function", name="time")),
            chunk({}, "tool_calls"),
            {"id": "chatcmpl-1", "choices": [], "usage": CHAT_USAGE},
        ],
    )
    told = frames(sent + (stream.feed(b"[DONE]") or b""))
    assert (stream.end(), stream.finish_reason) == (True, "tool_calls")
    assert told[-1]["type"] == "content_block_stop"
    assert [event["type"] for event in told[:2]] == ["message_start", "content_block_start"]
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert {"type": "input_json_delta", "partial_json": ""} not in deltas
    starts = [event["content_block"]["type"] for event in told if "content_block" in event]
    assert starts == ["thinking", "text", "tool_use", "tool_use"]
    last = frames(stream.last_events({"cost": 0.5}, None))
    assert last[0]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    usage = last[0]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (40, 60)
    assert (usage["output_tokens"], usage["cost"]) == (20, 0.5)
    assert last[1] == {"type": "message_stop"}


def test_each_block_is_stopped_once_and_in_order() -> None:
    stream = stream_of(messages_call())
    events = [
        chunk({"content": "a"}),
        chunk(call_delta(0, "{}", id="c", name="f")),
        chunk({}, "stop"),
    ]
    told = frames(fed(stream, events) + (stream.feed(b"[DONE]") or b""))
    open_block = None
    for event in told[1:]:
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = event["index"]
        else:
            assert event["index"] == open_block
            if event["type"] == "content_block_stop":
                open_block = None
    assert open_block is None
    assert frames(stream.last_events({}, None))[0]["delta"]["stop_reason"] == "tool_use"


def test_thinking_of_chat_comes_back_to_chat_through_a_messages_client() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Hmm",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
    }
    told = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    shown = json.loads(answer_to(messages_call(), told).render("gen-1", "m", {}))
    assert (shown["id"], shown["stop_reason"]) == ("msg_1", "tool_use")
    assert shown["content"][2]["input"] == {}
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [*SAID, {"role": "assistant", "content": shown["content"]}],
    }
    call = TranslatedCall(
        MessagesCall.from_body(body), anthropic_neutral.CLIENT, chat_neutral.UPSTREAM
    )
    turn = call.upstream_body("m", None)["messages"][1]
    assert (turn["reasoning_content"], turn["content"]) == ("Hmm", "Hi")
    assert call.dropped == ()


def test_failures_are_seen_and_told_in_the_clients_dialect() -> None:
    stream = stream_of(chat_call(stream=True))
    sent = fed(stream, RECORDED["streams"]["error"])
    assert stream.error == {"type": "overloaded_error", "message": "Overloaded"}
    assert not stream.end()
    assert b"Overloaded" not in sent
    last = stream.error_event({"error": {"message": "x"}})
    assert json.loads(last.removeprefix(b"data: "))["choices"][0]["finish_reason"] == "error"
    stream = stream_of(messages_call())
    fed(stream, [chunk({"content": "a"}), {"error": {"message": "busy", "code": 429}}])
    assert stream.error == {"message": "busy", "code": 429}
    assert frames(stream.error_event({"error": {"message": "x"}}))[0]["type"] == "error"
    answer = answer_to(chat_call(), RECORDED["error"])
    assert (answer.has_output, answer.error) == (
        False,
        {"type": "overloaded_error", "message": "Overloaded"},
    )


def test_a_cut_stream_is_not_whole_and_usage_beyond_bounds_is_flagged() -> None:
    stream = stream_of(messages_call())
    fed(stream, [chunk({"content": "a"})])
    assert not stream.end()
    fed(stream, [chunk({}, "stop", usage=CHAT_USAGE)])
    assert stream.end()
    last = [event["type"] for event in frames(stream.last_events({}, None))]
    assert last == ["content_block_stop", "message_delta", "message_stop"]
    reading = stream.reading
    assert reading is not None
    assert reading.usage is not None
    stream.bound_output = 5
    reading = stream.reading
    assert reading is not None
    assert reading.is_flagged


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
def test_nonsense_breaks_either_stream(data: bytes) -> None:
    for call in (chat_call(stream=True), messages_call()):
        with pytest.raises(ValueError, match="an event"):
            stream_of(call).feed(data)
        with pytest.raises(ValueError, match="it "):
            call.parse_answer(data, bound_input=1, bound_output=1)
