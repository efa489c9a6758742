"""OpenAI's Responses on the live server, before a provider that speaks only chat."""

from collections.abc import Iterator

import pytest
from openai import BadRequestError, OpenAI

from tests.live import Actor

pytestmark = [pytest.mark.live]


@pytest.fixture
def sdk(alice: Actor) -> Iterator[OpenAI]:
    url = f"{alice.server.base_url}/v1"
    with OpenAI(base_url=url, api_key=alice.key, max_retries=0) as client:
        yield client


def test_a_response_is_answered_by_a_provider_that_speaks_chat(alice: Actor, sdk: OpenAI) -> None:
    alice.provider_will(content="hello back", usage={"prompt_tokens": 5, "completion_tokens": 2})
    answer = sdk.responses.create(model=alice.model, input="hello", instructions="be brief")
    assert answer.output_text == "hello back"
    assert answer.status == "completed"
    assert answer.model == alice.model
    assert answer.id.startswith("resp_")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 2)
    row = alice.generation(answer.id)
    assert row["amount_nusd"] == 5 * 2_500 + 2 * 20_000


def test_a_streamed_response_has_the_whole_sequence_of_events(alice: Actor, sdk: OpenAI) -> None:
    alice.provider_will(content="one two three")
    with sdk.responses.stream(model=alice.model, input="count") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert final.output_text == "one two three"
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(set(numbers))


def test_a_function_call_and_its_output_go_there_and_back(alice: Actor, sdk: OpenAI) -> None:
    alice.provider_will(
        tool_calls=[{"name": "weather", "arguments": '{"city": "Oslo"}'}],
        finish_reason="tool_calls",
    )
    tool = {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    first = sdk.responses.create(model=alice.model, input="weather?", tools=[tool])  # type: ignore[list-item]
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, call.arguments) == ("weather", '{"city": "Oslo"}')
    alice.provider_will(content="It rains.")
    second = sdk.responses.create(
        model=alice.model,
        input=[
            {"role": "user", "content": "weather?"},
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": "weather",
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        ],
    )
    assert second.output_text == "It rains."


def test_what_only_a_stateful_provider_could_resolve_is_refused(alice: Actor, sdk: OpenAI) -> None:
    with pytest.raises(BadRequestError):
        sdk.responses.create(model=alice.model, input="go on", previous_response_id="resp_1")
    assert alice.asked() == []


def test_a_stream_that_breaks_ends_in_an_error_and_not_in_silence(alice: Actor) -> None:
    alice.provider_will(words=20, rst_after=6)
    body = {"model": alice.model, "input": "go", "stream": True}
    _, _, raw = alice.server.request("POST", "/v1/responses", body, alice.headers)
    names = [line for line in raw.decode().splitlines() if line.startswith("event: ")]
    assert names[-1] in ("event: error", "event: response.failed")
