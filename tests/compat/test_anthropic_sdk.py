"""Anthropic's own SDK, on models whose provider speaks OpenAI's dialect."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.compat.clients import Client, RaisedError, python_client
from tests.live import Actor

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("compat")]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJg"
    "gg=="
)
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def anthropic() -> Iterator[Client]:
    client = python_client("anthropic_client")
    yield client
    client.close()


def create(client: Client, actor: Actor, **fields: Any) -> Any:
    return client.run("create", actor, fields=fields)


def last_asked(actor: Actor) -> Any:
    return json.loads(actor.asked()[-1]["body"])


@pytest.mark.parametrize("bearer", [False, True])
def test_a_plain_message_has_its_text_its_usage_and_its_cost(
    anthropic: Client, alice: Actor, bearer: bool
) -> None:
    alice.provider_will(content="hello back", usage={"prompt_tokens": 5, "completion_tokens": 2})
    told = anthropic.run("create", alice, fields={}, bearer=bearer)
    assert (told["type"], told["role"], told["model"]) == ("message", "assistant", alice.model)
    assert [(block["type"], block["text"]) for block in told["content"]] == [("text", "hello back")]
    assert told["stop_reason"] == "end_turn"
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5, 2)
    assert told["usage"]["cost"] == (5 * 2_500 + 2 * 20_000) / 1e9
    assert alice.generation(told["id"])["amount_nusd"] == 5 * 2_500 + 2 * 20_000


def test_the_system_prompt_reaches_the_provider_first(anthropic: Client, alice: Actor) -> None:
    blocks = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    for system in ("Be brief.", blocks):
        create(anthropic, alice, system=system)
        first, second = last_asked(alice)["messages"]
        assert first["role"] in {"system", "developer"}
        assert "Be brief." in json.dumps(first["content"])
        assert second["role"] == "user"


def test_an_image_reaches_the_provider_as_openai_writes_it(anthropic: Client, alice: Actor) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is this"}]
    create(anthropic, alice, messages=[{"role": "user", "content": content}])
    image, text = last_asked(alice)["messages"][0]["content"]
    assert image["type"] == "image_url"
    assert image["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert text == {"type": "text", "text": "what is this"}


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"), [("length", "max_tokens"), ("content_filter", "refusal")]
)
def test_the_reason_to_stop_is_told_in_anthropics_words(
    anthropic: Client, alice: Actor, finish_reason: str, stop_reason: str
) -> None:
    alice.provider_will(content="cut", finish_reason=finish_reason)
    assert create(anthropic, alice)["stop_reason"] == stop_reason
    streamed = anthropic.run("stream", alice, fields={})
    assert streamed["final"]["stop_reason"] == stop_reason


def test_a_stream_comes_in_pieces_and_ends_with_the_whole_message(
    anthropic: Client, alice: Actor
) -> None:
    alice.provider_will(content="one two three", usage={"prompt_tokens": 5, "completion_tokens": 3})
    told = anthropic.run("stream", alice, fields={})
    assert told["kinds"][0] == "message_start"
    assert told["kinds"][-1] == "message_stop"
    assert len(told["texts"]) >= 3
    assert "".join(told["texts"]) == told["final"]["content"][0]["text"] == "one two three"
    assert told["final"]["stop_reason"] == "end_turn"
    usage = told["final"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (5, 3)
    assert alice.generation(told["final"]["id"])["amount_nusd"] == 5 * 2_500 + 3 * 20_000


def test_a_tool_is_called_and_its_result_goes_back(anthropic: Client, alice: Actor) -> None:
    alice.upstream.script(
        alice.space,
        queue=[{"tool_calls": [{"name": "weather", "arguments": '{"city":"Oslo"}'}]}],
        default={"content": "It rains."},
    )
    first, second = anthropic.run("tool_loop", alice)
    [call] = [block for block in first["content"] if block["type"] == "tool_use"]
    assert (call["name"], call["input"]) == ("weather", {"city": "Oslo"})
    assert (first["stop_reason"], second["stop_reason"]) == ("tool_use", "end_turn")
    assert second["content"][0]["text"] == "It rains."
    asked = last_asked(alice)
    assert asked["tools"][0]["function"]["parameters"]["required"] == ["city"]
    _, called, result = asked["messages"]
    assert called["tool_calls"][0]["id"] == result["tool_call_id"] == call["id"]
    assert (result["role"], result["content"]) == ("tool", "rain")


def test_parallel_tool_calls_are_answered_together(anthropic: Client, alice: Actor) -> None:
    calls = [{"name": "weather", "arguments": f'{{"city":"{c}"}}'} for c in ("Oslo", "Rome")]
    alice.upstream.script(
        alice.space, queue=[{"tool_calls": calls}], default={"content": "Rain and sun."}
    )
    first, second = anthropic.run("tool_loop", alice)
    asked = [block["input"]["city"] for block in first["content"] if block["type"] == "tool_use"]
    assert asked == ["Oslo", "Rome"]
    assert second["content"][0]["text"] == "Rain and sun."
    roles = [message["role"] for message in last_asked(alice)["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


def test_the_input_of_a_streamed_tool_call_comes_in_fragments(
    anthropic: Client, alice: Actor
) -> None:
    head = {"index": 0, "id": "call_7", "type": "function"}
    pieces = ['{"ci', 'ty": "Os', 'lo"}']
    alice.provider_will(
        deltas=[
            {"role": "assistant", "content": None},
            {"tool_calls": [{**head, "function": {"name": "weather", "arguments": ""}}]},
            *({"tool_calls": [{"index": 0, "function": {"arguments": p}}]} for p in pieces),
        ],
        finish_reason="tool_calls",
    )
    told = anthropic.run("stream", alice, fields={"tools": [WEATHER]})
    assert [fragment for fragment in told["fragments"] if fragment] == pieces
    [call] = told["final"]["content"]
    assert (call["type"], call["id"], call["input"]) == ("tool_use", "call_7", {"city": "Oslo"})
    assert told["final"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("anthropics", "openais"),
    [
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        (
            {"type": "tool", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
def test_a_choice_of_tools_is_said_in_the_providers_words(
    anthropic: Client, alice: Actor, anthropics: object, openais: object
) -> None:
    create(anthropic, alice, tools=[WEATHER], tool_choice=anthropics)
    assert last_asked(alice)["tool_choice"] == openais


def test_stop_sequences_and_sampling_reach_the_provider(anthropic: Client, alice: Actor) -> None:
    sampling = {"temperature": 0.5, "top_p": 0.9}  # the SDK's present release has no names for them
    create(anthropic, alice, stop_sequences=["END"], extra_body=sampling)
    asked = last_asked(alice)
    assert (asked["stop"], asked["temperature"], asked["top_p"]) == (["END"], 0.5, 0.9)


def test_tokens_are_counted_without_asking_anybody(anthropic: Client, alice: Actor) -> None:
    assert anthropic.run("count", alice) > 5
    assert alice.asked() == []


def test_a_wrong_key_is_an_authentication_error(anthropic: Client, alice: Actor) -> None:
    with pytest.raises(RaisedError) as caught:
        anthropic.run("create", alice, fields={}, key=f"{alice.key[:-1]}x")
    assert (caught.value.kind, caught.value.status) == ("AuthenticationError", 401)


def test_an_unknown_model_is_a_not_found_error(anthropic: Client, alice: Actor) -> None:
    with pytest.raises(RaisedError) as caught:
        create(anthropic, alice, model="no/such")
    assert (caught.value.kind, caught.value.status) == ("NotFoundError", 404)


def test_too_many_requests_are_a_rate_limit_error(
    anthropic: Client, new_actor: Callable[..., Actor]
) -> None:
    slow = new_actor(rpm=1)
    create(anthropic, slow)
    with pytest.raises(RaisedError) as caught:
        create(anthropic, slow)
    assert (caught.value.kind, caught.value.status) == ("RateLimitError", 429)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": -1},
        {"messages": []},
        {"extra_body": {"temperature": 9}},
        {"tools": [{"name": 1}]},
    ],
)
def test_an_invalid_request_is_a_bad_request_error(
    anthropic: Client, alice: Actor, fields: dict[str, Any]
) -> None:
    with pytest.raises(RaisedError) as caught:
        create(anthropic, alice, **fields)
    assert (caught.value.kind, caught.value.status) == ("BadRequestError", 400)
    assert alice.asked() == []


@pytest.mark.parametrize(("told", "status"), [(500, 502), (429, 503)])
def test_a_failing_provider_is_a_server_error(
    anthropic: Client, alice: Actor, told: int, status: int
) -> None:
    alice.provider_will(status=told)
    with pytest.raises(RaisedError) as caught:
        create(anthropic, alice)
    assert caught.value.status == status
    assert caught.value.kind in {"InternalServerError", "ServiceUnavailableError"}


def test_a_stream_that_breaks_off_raises_an_error(anthropic: Client, alice: Actor) -> None:
    alice.provider_will(words=20, rst_after=6)
    with pytest.raises(RaisedError) as caught:
        anthropic.run("stream", alice, fields={})
    assert caught.value.kind in {"APIStatusError", "InternalServerError"}
