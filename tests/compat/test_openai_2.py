"""OpenAI's SDK of the second line, LangChain and LlamaIndex, which stand on it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat.clients import Client, RaisedError, python_client
from tests.live import Actor

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("compat")]

INPUT, OUTPUT = 2_500, 20_000
"""Nano-USD a token."""

CALL = {"name": "weather", "arguments": '{"city":"Oslo"}'}
REPORT = {"city": "Oslo", "degrees": 7}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    running = python_client("openai_client")
    yield running
    running.close()


def says(actor: Actor, content: str = "one two three") -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    actor.provider_will(content=content, usage=usage)


def calls_then_says(actor: Actor, content: str = "It rains.") -> None:
    actor.upstream.script(actor.space, queue=[{"tool_calls": [CALL]}], default={"content": content})


def last_asked(actor: Actor) -> Any:
    return json.loads(actor.asked()[-1]["body"])


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_a_plain_answer_has_its_text_its_usage_and_its_cost(
    client: Client, alice: Actor, prefix: str
) -> None:
    says(alice)
    told = client.run("chat", alice, prefix=prefix)
    assert told["choices"][0]["message"]["content"] == "one two three"
    assert told["model"] == alice.model
    assert told["usage"]["cost"] == (5 * INPUT + 3 * OUTPUT) / 1e9


def test_a_stream_comes_in_pieces_with_its_usage_at_the_end(client: Client, alice: Actor) -> None:
    says(alice)
    options = {"stream_options": {"include_usage": True}}
    *chunks, last = client.run("chat_stream", alice, fields=options)
    texts = [chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks]
    assert "".join(texts) == "one two three"
    assert len(texts) >= 3
    assert last["choices"] == []
    assert last["usage"]["cost"] == (5 * INPUT + 3 * OUTPUT) / 1e9


def test_a_tool_is_called_and_its_result_goes_back(client: Client, alice: Actor) -> None:
    calls_then_says(alice)
    first, second = client.run("chat_tools", alice)
    [call] = first["choices"][0]["message"]["tool_calls"]
    assert call["function"] == CALL
    assert second["choices"][0]["message"]["content"] == "It rains."
    assert last_asked(alice)["messages"][-1]["tool_call_id"] == call["id"]


@pytest.mark.parametrize(
    "case", ["chat_structured", "responses_structured", "langchain_structured"]
)
def test_a_structured_answer_is_parsed(client: Client, alice: Actor, case: str) -> None:
    says(alice, json.dumps(REPORT))
    assert client.run(case, alice) == REPORT
    schema = last_asked(alice)["response_format"]["json_schema"]
    assert set(schema["schema"]["properties"]) == {"city", "degrees"}


def test_a_response_has_its_text_and_its_usage(client: Client, alice: Actor) -> None:
    says(alice)
    told = client.run("responses", alice)
    assert told["id"].startswith("resp_")
    assert (told["status"], told["output_text"]) == ("completed", "one two three")
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5, 3)


def test_the_events_of_a_streamed_response_are_numbered(client: Client, alice: Actor) -> None:
    says(alice)
    told = client.run("responses_stream", alice)
    kinds, numbers = zip(*told["events"], strict=True)
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert list(numbers) == sorted(set(numbers))
    assert told["text"] == "one two three"


def test_a_response_calls_a_tool_and_takes_its_result(client: Client, alice: Actor) -> None:
    calls_then_says(alice)
    told = client.run("responses_tools", alice)
    [call] = [item for item in told["first"]["output"] if item["type"] == "function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Oslo"})
    assert told["text"] == "It rains."
    asked = last_asked(alice)["messages"]
    assert (asked[-1]["role"], asked[-1]["tool_call_id"]) == ("tool", call["call_id"])


def test_vectors_come_as_numbers(client: Client, alice: Actor) -> None:
    told = client.run("embeddings", alice, model=f"{alice.space}/embed")
    assert [row["index"] for row in told["data"]] == [0, 1]
    assert all(isinstance(number, float) for row in told["data"] for number in row["embedding"])


def test_the_models_are_listed(client: Client, alice: Actor) -> None:
    assert alice.model in client.run("models", alice)


@pytest.mark.parametrize(
    ("case", "fields", "kind"),
    [
        ("chat", {"key": "tp_live_wrong"}, "AuthenticationError"),
        ("chat", {"model": "no/such"}, "NotFoundError"),
        ("chat", {"fields": {"temperature": 9}}, "BadRequestError"),
        ("langchain_invoke", {"key": "tp_live_wrong"}, "AuthenticationError"),
        ("llama_complete", {"model": "no/such"}, "NotFoundError"),
    ],
)
def test_a_failure_is_the_error_that_the_client_has_for_it(
    client: Client, alice: Actor, case: str, fields: dict[str, Any], kind: str
) -> None:
    with pytest.raises(RaisedError) as caught:
        client.run(case, alice, **fields)
    assert kind in caught.value.kinds
    assert alice.asked() == []


@pytest.mark.parametrize("options", [{}, {"use_responses_api": True}])
def test_langchain_invokes(client: Client, alice: Actor, options: dict[str, Any]) -> None:
    says(alice)
    told = client.run("langchain_invoke", alice, options=options)
    assert told["text"] == "one two three"
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5, 3)
    assert told["of"]["model_name"] == alice.model
    assert [message["role"] for message in last_asked(alice)["messages"]] in (
        ["system", "user"],
        ["developer", "user"],
    )


def test_langchain_streams(client: Client, alice: Actor) -> None:
    says(alice)
    told = client.run("langchain_stream", alice)
    assert len(told["texts"]) >= 3
    assert "".join(told["texts"]) == "one two three"
    assert [usage["total_tokens"] for usage in told["usages"]] == [8]


def test_langchain_calls_a_tool(client: Client, alice: Actor) -> None:
    calls_then_says(alice)
    told = client.run("langchain_tools", alice)
    [call] = told["calls"]
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    assert told["text"] == "It rains."
    assert last_asked(alice)["messages"][-1]["content"] == "rain in Oslo"


def test_langchain_puts_a_streamed_tool_call_together(client: Client, alice: Actor) -> None:
    alice.provider_will(tool_calls=[CALL])
    [call] = client.run("langchain_stream_tools", alice)
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})


@pytest.mark.parametrize("case", ["llama_complete", "llama_chat"])
def test_llama_index_completes_and_chats(client: Client, alice: Actor, case: str) -> None:
    says(alice)
    assert client.run(case, alice) == "one two three"


def test_llama_index_streams(client: Client, alice: Actor) -> None:
    says(alice)
    deltas = [delta for delta in client.run("llama_stream", alice) if delta]
    assert len(deltas) >= 3
    assert "".join(deltas) == "one two three"
