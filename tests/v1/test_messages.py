"""Anthropic's dialect on the live server, before a provider of OpenAI's."""

import json

import pytest

from tests.live import Actor

pytestmark = [pytest.mark.live]


def body_of(alice: Actor, **fields: object) -> dict[str, object]:
    return {
        "model": alice.model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello there"}],
        **fields,
    }


def test_a_message_is_answered_by_a_provider_of_the_other_family(alice: Actor) -> None:
    alice.provider_will(content="hello back", usage={"prompt_tokens": 5, "completion_tokens": 2})
    status, headers, told = alice.post("/v1/messages", body_of(alice, system="be brief"))
    assert status == 200
    assert told["type"] == "message"
    assert told["id"] == "msg_" + headers["x-generation-id"].removeprefix("gen-")
    assert told["content"] == [{"type": "text", "text": "hello back"}]
    assert told["stop_reason"] == "end_turn"
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5, 2)
    assert told["usage"]["cost"] == (5 * 2_500 + 2 * 20_000) / 1e9
    asked = json.loads(alice.asked()[0]["body"])
    assert [message["role"] for message in asked["messages"]] in (
        ["system", "user"],
        ["developer", "user"],
    )
    assert alice.generation(told["id"])["id"] == headers["x-generation-id"]


def test_a_streamed_message_has_anthropics_events(alice: Actor) -> None:
    alice.provider_will(content="one two three")
    status, headers, raw = alice.server.request(
        "POST", "/v1/messages", body_of(alice, stream=True), alice.headers
    )
    assert status == 200
    names = [
        line.removeprefix("event: ") for line in raw.decode().splitlines() if "event: " in line
    ]
    assert names[0] == "message_start"
    assert names[-1] == "message_stop"
    assert names.count("content_block_delta") >= 3
    data = [json.loads(x[6:]) for x in raw.decode().splitlines() if x.startswith("data: ")]
    text = "".join(x["delta"].get("text", "") for x in data if x["type"] == "content_block_delta")
    assert text == "one two three"
    row = alice.generation(headers["x-generation-id"])
    assert (row["rule"], row["status"]) == ("b", "ok")


def test_the_key_may_come_as_anthropics_clients_send_it(alice: Actor) -> None:
    headers = {"x-api-key": alice.key, "Content-Type": "application/json"}
    assert alice.server.request("POST", "/v1/messages", body_of(alice), headers)[0] == 200
    assert alice.server.request("POST", "/v1/chat/completions", {}, headers)[0] == 401


def test_errors_have_anthropics_shape(alice: Actor) -> None:
    status, headers, told = alice.post("/v1/messages", body_of(alice, model="no/such"))
    assert status == 404
    assert told["type"] == "error"
    assert told["error"]["type"] == "not_found_error"
    assert told["request_id"] == headers["x-request-id"]


def test_a_stream_that_breaks_ends_in_an_error_event(alice: Actor) -> None:
    alice.provider_will(words=20, rst_after=6)
    _, _, raw = alice.server.request(
        "POST", "/v1/messages", body_of(alice, stream=True), alice.headers
    )
    assert raw.decode().rstrip().splitlines()[-2] == "event: error"


def test_tokens_are_counted_for_free_and_nobody_is_asked(alice: Actor) -> None:
    status, _, told = alice.post("/v1/messages/count_tokens", body_of(alice))
    assert status == 200
    assert told["input_tokens"] > 2
    assert alice.asked() == []


def test_a_tool_is_called_and_its_result_goes_back(alice: Actor) -> None:
    tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    alice.provider_will(
        tool_calls=[{"name": "weather", "arguments": '{"city": "Oslo"}'}],
        finish_reason="tool_calls",
    )
    _, _, told = alice.post("/v1/messages", body_of(alice, tools=tools))
    call = next(block for block in told["content"] if block["type"] == "tool_use")
    assert (call["name"], call["input"]) == ("weather", {"city": "Oslo"})
    assert told["stop_reason"] == "tool_use"
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [call]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}],
        },
    ]
    alice.provider_will(content="It rains.")
    status, _, told = alice.post("/v1/messages", body_of(alice, tools=tools, messages=messages))
    assert status == 200
    asked = json.loads(alice.asked()[-1]["body"])["messages"]
    assert asked[-1]["role"] == "tool"
    assert asked[-1]["tool_call_id"] == call["id"]
