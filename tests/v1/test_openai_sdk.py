"""OpenAI's own SDK against the live server: two parameters change, and everything else stays."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.live import Actor
from tests.v1.remedies import has_remedy

pytestmark = [pytest.mark.live]

INPUT, OUTPUT = 2_500, 20_000
"""Nano-USD a token."""

PREFIXES = ["/v1", "/api/v1"]
BALANCE = 5_000_000_000
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
        "f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
    )
).decode()
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def sdk(actor: Actor, prefix: str = "/v1", **options: Any) -> OpenAI:
    """The SDK as this actor sets it up; without retries unless a test wants them."""
    fields = {"api_key": actor.key, "max_retries": 0, "timeout": 30, **options}
    return OpenAI(base_url=f"{actor.server.base_url}{prefix}", **fields)


def hello(text: str = "hello there") -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def spent(actor: Actor) -> int:
    told = actor.credits()
    assert told["held_nusd"] == 0
    left: int = told["remaining_nusd"]
    return BALANCE - left


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_plain_answer_has_its_text_its_usage_and_its_cost(alice: Actor, prefix: str) -> None:
    with sdk(alice, prefix) as client:
        told = client.chat.completions.create(model=alice.model, messages=hello())
    assert told.id.startswith("gen-")
    assert (told.object, told.model) == ("chat.completion", alice.model)
    assert told.choices[0].message.content == "hello there"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (2, 2)
    assert told.usage.model_dump()["cost"] == (2 * INPUT + 2 * OUTPUT) / 1e9
    assert spent(alice) == 2 * INPUT + 2 * OUTPUT


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_stream_comes_in_pieces_and_keeps_its_usage_to_itself(alice: Actor, prefix: str) -> None:
    alice.provider_will(words=5)
    with sdk(alice, prefix) as client:
        stream = client.chat.completions.create(model=alice.model, messages=hello(), stream=True)
        chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {chunk.model for chunk in chunks} == {alice.model}
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "word " * 5
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert alice.generation(chunks[0].id)["amount_nusd"] == 2 * INPUT + 5 * OUTPUT


def test_a_stream_tells_its_usage_and_cost_in_the_last_chunk_when_asked(alice: Actor) -> None:
    alice.provider_will(words=5)
    with sdk(alice) as client:
        chunks = list(
            client.chat.completions.create(
                model=alice.model,
                messages=hello(),
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert [bool(chunk.usage) for chunk in chunks].count(True) == 1
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (2, 5)
    assert last.usage.model_dump()["cost"] == (2 * INPUT + 5 * OUTPUT) / 1e9


def test_the_sdks_own_stream_helper_accumulates_the_answer(alice: Actor) -> None:
    with (
        sdk(alice) as client,
        client.chat.completions.stream(model=alice.model, messages=hello()) as stream,
    ):
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "hello there"


def test_a_tool_is_called_and_its_result_is_sent_back(alice: Actor) -> None:
    alice.upstream.script(
        alice.space,
        queue=[{"tool_calls": [{"name": "weather", "arguments": '{"city":"Oslo"}'}]}],
        default={"content": "It rains in Oslo."},
    )
    messages = hello("How is the weather in Oslo?")
    with sdk(alice) as client:
        first = client.chat.completions.create(
            model=alice.model, messages=messages, tools=[WEATHER], tool_choice="auto"
        )
        assert first.choices[0].finish_reason == "tool_calls"
        calls = first.choices[0].message.tool_calls or []
        assert calls[0].type == "function"
        assert (calls[0].function.name, calls[0].function.arguments) == (
            "weather",
            '{"city":"Oslo"}',
        )
        answered: list[Any] = [
            *messages,
            first.choices[0].message,
            {"role": "tool", "tool_call_id": calls[0].id, "content": '{"sky":"rain"}'},
        ]
        second = client.chat.completions.create(
            model=alice.model, messages=answered, tools=[WEATHER]
        )
    assert second.choices[0].message.content == "It rains in Oslo."
    sent = [json.loads(record["body"]) for record in alice.asked()]
    assert sent[0]["tools"] == [WEATHER]
    assert sent[1]["messages"][1]["tool_calls"][0]["id"] == calls[0].id
    assert sent[1]["messages"][2] == answered[2]


def test_the_arguments_of_a_streamed_tool_call_come_in_fragments(alice: Actor) -> None:
    pieces = ['{"ci', 'ty": "Os', 'lo"}']
    head = {"index": 0, "id": "call_7", "type": "function"}
    alice.provider_will(
        deltas=[
            {"role": "assistant", "content": None},
            {"tool_calls": [{**head, "function": {"name": "weather", "arguments": ""}}]},
            *({"tool_calls": [{"index": 0, "function": {"arguments": p}}]} for p in pieces),
        ],
        finish_reason="tool_calls",
    )
    with sdk(alice) as client:
        chunks = list(
            client.chat.completions.create(
                model=alice.model, messages=hello(), tools=[WEATHER], stream=True
            )
        )
    calls = [call for c in chunks for call in c.choices[0].delta.tool_calls or []]
    assert (calls[0].id, calls[0].function and calls[0].function.name) == ("call_7", "weather")
    fragments = [call.function.arguments for call in calls[1:] if call.function]
    assert fragments == pieces
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_an_inline_image_reaches_the_provider_as_it_was_sent(alice: Actor) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    with sdk(alice) as client:
        told = client.chat.completions.create(
            model=alice.model, messages=[{"role": "user", "content": parts}]
        )
    assert told.choices[0].message.content == "what is this"
    assert json.loads(alice.asked()[0]["body"])["messages"][0]["content"] == parts


def test_json_mode_answers_with_json(alice: Actor) -> None:
    with sdk(alice) as client:
        told = client.chat.completions.create(
            model=alice.model, messages=hello(), response_format={"type": "json_object"}
        )
    assert json.loads(told.choices[0].message.content or "") == {"said": "hello there"}


def test_the_raw_response_carries_the_headers_that_tell_how_it_went(alice: Actor) -> None:
    with sdk(alice) as client:
        raw = client.chat.completions.with_raw_response.create(model=alice.model, messages=hello())
        headers, told = raw.headers, raw.parse()
    assert headers["x-generation-id"] == told.id
    assert told._request_id == headers["x-request-id"]
    assert headers["x-turnpike-routed-to"] == alice.model
    assert headers["x-turnpike-provider"] == f"p{alice.space[1:]}"
    assert headers["x-turnpike-tier"] == "primary"
    assert headers["x-turnpike-fallback"] == "false"
    assert headers["x-turnpike-cost-usd"] == "0.000045"
    assert int(headers["x-ratelimit-limit"]) >= int(headers["x-ratelimit-remaining"])
    assert "server" not in headers or headers["server"] == "turnpike"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_wrong_key_is_an_authentication_error(alice: Actor, prefix: str) -> None:
    with (
        sdk(alice, prefix, api_key=f"{alice.key[:-1]}x") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model=alice.model, messages=hello())
    assert caught.value.status_code == 401
    assert has_remedy(caught.value.message)
    assert alice.key[:-1] not in str(caught.value)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_empty_wallet_is_a_402_that_says_how_to_fill_it(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    poor = new_actor(balance_nusd=1000)
    with sdk(poor, prefix) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=poor.model, messages=hello(), max_tokens=1000)
    assert caught.value.status_code == 402
    assert has_remedy(caught.value.message)
    assert "Top up" in caught.value.message
    assert caught.value.code == ("insufficient_credits" if prefix == "/v1" else "402")
    assert poor.asked() == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_unknown_model_is_a_not_found_error(alice: Actor, prefix: str) -> None:
    with sdk(alice, prefix) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="no/such", messages=hello())
        with pytest.raises(openai.NotFoundError) as missing:
            client.models.retrieve("no/such")
    assert (caught.value.param, missing.value.param) == ("model", "model")
    assert has_remedy(caught.value.message)


def test_an_unknown_endpoint_is_a_not_found_error(alice: Actor) -> None:
    with sdk(alice) as client, pytest.raises(openai.NotFoundError) as caught:
        client.post("/fine_tuning/jobs", body={}, cast_to=object)
    assert caught.value.code == "not_found"
    assert has_remedy(caught.value.message)


def test_too_many_requests_are_a_rate_limit_error(new_actor: Callable[..., Actor]) -> None:
    slow = new_actor(rpm=1)
    with sdk(slow) as client:
        client.chat.completions.create(model=slow.model, messages=hello())
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=slow.model, messages=hello())
    assert caught.value.code == "rate_limit_exceeded"
    assert has_remedy(caught.value.message)
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61
    assert len(slow.asked()) == 1


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_bad_parameter_is_a_bad_request_that_names_it(alice: Actor, prefix: str) -> None:
    with sdk(alice, prefix) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=alice.model, messages=hello(), temperature=9)
    assert caught.value.param == "temperature"
    assert has_remedy(caught.value.message)
    assert alice.asked() == []


@pytest.mark.parametrize(("told", "status"), [(500, 502), (401, 502), (429, 503), (503, 503)])
def test_a_failing_provider_is_a_server_error_that_costs_nothing(
    alice: Actor, told: int, status: int
) -> None:
    alice.provider_will(status=told)
    with sdk(alice) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=alice.model, messages=hello())
    assert caught.value.status_code == status
    assert has_remedy(caught.value.message)
    assert ("retry-after" in caught.value.response.headers) == (status == 503)
    assert spent(alice) == 0


def test_a_stream_that_breaks_off_raises_an_error_in_the_sdk(alice: Actor) -> None:
    alice.provider_will(words=20, rst_after=6)
    with sdk(alice) as client, pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model=alice.model, messages=hello(), stream=True))
    assert has_remedy(caught.value.message)


def test_the_sdks_retries_are_charged_once(alice: Actor) -> None:
    alice.upstream.script(alice.space, queue=[{"status": 500}, {"status": 500}], default={})
    with sdk(alice, max_retries=2) as client:
        told = client.chat.completions.create(model=alice.model, messages=hello())
    assert told.choices[0].message.content == "hello there"
    assert len(alice.asked()) == 3
    assert spent(alice) == 2 * INPUT + 2 * OUTPUT


def test_the_sdk_waits_as_long_as_the_rate_limit_says(new_actor: Callable[..., Actor]) -> None:
    brisk = new_actor(rpm=60)
    with sdk(brisk, max_retries=2) as client:
        for _ in range(60):
            brisk.get("/v1/credits")
        told = client.chat.completions.create(model=brisk.model, messages=hello())
    assert told.choices[0].message.content == "hello there"
    assert len(brisk.asked()) == 1


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_models_are_listed_and_retrieved(alice: Actor, prefix: str) -> None:
    with sdk(alice, prefix) as client:
        listed = {model.id: model for model in client.models.list()}
        one = client.models.retrieve(alice.model)
    assert alice.model in listed
    assert (one.id, one.object, one.owned_by) == (alice.model, "model", alice.space)
    assert one.created == listed[alice.model].created


def test_the_async_client_works_too(alice: Actor) -> None:
    async def talk() -> tuple[str, list[str]]:
        async with AsyncOpenAI(
            base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0
        ) as client:
            plain, stream = await asyncio.gather(
                client.chat.completions.create(model=alice.model, messages=hello()),
                client.chat.completions.create(
                    model=alice.model, messages=hello("one two three"), stream=True
                ),
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        return plain.choices[0].message.content or "", pieces

    plain, pieces = asyncio.run(talk())
    assert plain == "hello there"
    assert "".join(pieces) == "one two three"
