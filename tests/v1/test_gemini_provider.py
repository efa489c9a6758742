"""A provider that speaks Gemini's dialect, and the legacy completions, on the live server."""

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.live import Actor, text_of

pytestmark = [pytest.mark.live]

USAGE = {
    "promptTokenCount": 105,
    "cachedContentTokenCount": 100,
    "candidatesTokenCount": 2,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 117,
}
COST_NUSD = 5 * 2_500 + 100 * 250 + 12 * 20_000


def answer_of(text: str, **fields: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"content": content, "index": 0, **fields}],
        "modelVersion": "gemini-3-pro",
        "responseId": "r1",
    }


def ask(alice: Actor, **fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "hello there, this is a longer greeting" * 10}]
    return {"model": f"{alice.space}/gemini", "max_tokens": 50, "messages": messages, **fields}


def test_a_chat_client_is_answered(alice: Actor) -> None:
    alice.provider_will(
        body={**answer_of("hello back", finishReason="STOP"), "usageMetadata": USAGE}
    )
    status, headers, told = alice.post("/v1/chat/completions", ask(alice))
    assert status == 200
    assert told["choices"][0]["message"]["content"] == "hello back"
    assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] == 10
    row = alice.generation(headers["x-generation-id"])
    assert (row["rule"], row["amount_nusd"]) == ("b", COST_NUSD)
    asked = alice.asked()[0]
    assert asked["path"].endswith("/models/gemini-3-pro:generateContent")
    assert asked["headers"]["x-goog-api-key"].startswith("AIza")
    assert json.loads(asked["body"])["generationConfig"]["maxOutputTokens"] == 50


def test_a_messages_client_is_answered(alice: Actor) -> None:
    alice.provider_will(
        body={**answer_of("hello back", finishReason="MAX_TOKENS"), "usageMetadata": USAGE}
    )
    status, _, told = alice.post("/v1/messages", ask(alice))
    assert status == 200
    assert told["content"][0] == {"type": "text", "text": "hello back"}
    assert told["stop_reason"] == "max_tokens"


def test_a_stream_comes_as_chunks(alice: Actor) -> None:
    last = {**answer_of("two", finishReason="STOP"), "usageMetadata": USAGE}
    events = [f"data: {json.dumps(event)}\r\n\r\n" for event in (answer_of("one "), last)]
    alice.provider_will(raw_events=events, headers={"content-type": "text/event-stream"})
    body = ask(alice, stream=True, stream_options={"include_usage": True})
    status, _, raw = alice.server.request("POST", "/v1/chat/completions", body, alice.headers)
    assert status == 200
    data = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(text) for text in data[:-1]]
    assert text_of(chunks) == "one two"
    assert chunks[-1]["usage"]["cost"] == COST_NUSD / 1e9


def test_its_refusals_are_told_in_the_clients_words(alice: Actor) -> None:
    error = {"error": {"code": 400, "message": "bad schema", "status": "INVALID_ARGUMENT"}}
    alice.provider_will(status=400, body=error)
    status, _, told = alice.post("/v1/chat/completions", ask(alice))
    assert status == 400
    assert "bad schema" in told["error"]["message"]


def test_a_legacy_completion_is_passed_through(alice: Actor) -> None:
    alice.provider_will(
        body={
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "fake-model",
            "choices": [{"text": " there", "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    )
    url = f"{alice.server.base_url}/v1"
    with OpenAI(base_url=url, api_key=alice.key, max_retries=0) as sdk:
        told = sdk.completions.create(model=alice.model, prompt="hello", max_tokens=5)
    assert told.choices[0].text == " there"
    assert told.model == alice.model
    assert alice.generation(told.id)["amount_nusd"] == 2_500 + 20_000
