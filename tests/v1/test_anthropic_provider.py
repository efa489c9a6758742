"""A provider that speaks Anthropic's dialect, asked in each client dialect on the live server."""

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.live import Actor, text_of

pytestmark = [pytest.mark.live]

ANSWER = {
    "id": "msg_upstream",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "hello back"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 2,
    },
}
COST_NUSD = 5 * 2_500 + 100 * 250 + 20 * 3_750 + 2 * 20_000


def stream_of(*words: str) -> list[str]:
    """Anthropic's events for an answer of these words."""

    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    message = {**ANSWER, "content": [], "stop_reason": None}
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
            for word in words
        ),
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 2},
        ),
        event("message_stop"),
    ]


def ask(alice: Actor, **fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "hello there, this is a longer greeting" * 10}]
    return {"model": f"{alice.space}/claude", "max_tokens": 50, "messages": messages, **fields}


def test_a_chat_client_is_answered(alice: Actor) -> None:
    alice.provider_will(body=ANSWER)
    status, headers, told = alice.post("/v1/chat/completions", ask(alice))
    assert status == 200
    assert told["choices"][0]["message"]["content"] == "hello back"
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["usage"]["prompt_tokens"] == 125
    assert told["usage"]["prompt_tokens_details"]["cached_tokens"] == 100
    row = alice.generation(headers["x-generation-id"])
    assert (row["rule"], row["amount_nusd"]) == ("b", COST_NUSD)
    asked = alice.asked()[0]
    assert asked["path"].endswith("/messages")
    assert asked["headers"]["x-api-key"].startswith("sk-ant-")
    assert "authorization" not in asked["headers"]


def test_a_messages_client_is_passed_through(alice: Actor) -> None:
    alice.provider_will(body=ANSWER)
    body = ask(
        alice, system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    )
    status, _, told = alice.post("/v1/messages", body)
    assert status == 200
    assert told["usage"]["cache_read_input_tokens"] == 100
    assert told["usage"]["cost"] == COST_NUSD / 1e9
    sent = json.loads(alice.asked()[0]["body"])
    assert sent == {**body, "model": "claude-sonnet-4-5"}


def test_a_chat_clients_stream_comes_as_chunks(alice: Actor) -> None:
    alice.provider_will(
        raw_events=stream_of("one ", "two"), headers={"content-type": "text/event-stream"}
    )
    body = ask(alice, stream=True, stream_options={"include_usage": True})
    status, headers, raw = alice.server.request("POST", "/v1/chat/completions", body, alice.headers)
    assert status == 200
    data = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    events = [json.loads(text) for text in data[:-1]]
    assert text_of(events) == "one two"
    assert events[-1]["usage"]["cost"] == COST_NUSD / 1e9
    assert alice.generation(headers["x-generation-id"])["amount_nusd"] == COST_NUSD


def test_a_responses_client_is_answered(alice: Actor) -> None:
    alice.provider_will(body=ANSWER)
    url = f"{alice.server.base_url}/v1"
    with OpenAI(base_url=url, api_key=alice.key, max_retries=0) as sdk:
        answer = sdk.responses.create(
            model=f"{alice.space}/claude", input="hello there " * 30, max_output_tokens=50
        )
    assert answer.output_text == "hello back"
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.cached_tokens == 100


def test_the_providers_overload_is_told_as_ours(alice: Actor) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    alice.provider_will(status=529, body=error)
    status, _, told = alice.post("/v1/chat/completions", ask(alice))
    assert (status, told["error"]["code"]) == (503, "provider_overloaded")
