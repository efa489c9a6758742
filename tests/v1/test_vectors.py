"""Embeddings, moderations and rerank on the live server."""

import pytest
from openai import BadRequestError, OpenAI

from tests.live import Actor

pytestmark = [pytest.mark.live]


@pytest.fixture
def sdk(alice: Actor) -> OpenAI:
    return OpenAI(base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0)


def test_the_sdk_gets_vectors_in_its_own_encoding(sdk: OpenAI) -> None:
    answer = sdk.embeddings.create(model="sandbox/embed", input=["one", "two"], dimensions=8)
    assert [len(row.embedding) for row in answer.data] == [8, 8]
    plain = sdk.embeddings.create(
        model="sandbox/embed", input="one", dimensions=8, encoding_format="float"
    )
    assert plain.data[0].embedding == pytest.approx(answer.data[0].embedding, abs=1e-6)


def test_tokens_and_lists_of_tokens_are_taken(sdk: OpenAI) -> None:
    assert len(sdk.embeddings.create(model="sandbox/embed", input=[1, 2, 3]).data) == 1
    assert len(sdk.embeddings.create(model="sandbox/embed", input=[[1, 2], [3]]).data) == 2


def test_embeddings_are_charged_by_their_input(alice: Actor) -> None:
    body = {"model": f"{alice.space}/embed", "input": "some words to place"}
    alice.provider_will(usage={"prompt_tokens": 4, "total_tokens": 4})
    status, headers, told = alice.post("/v1/embeddings", body)
    assert status == 200
    assert told["model"] == f"{alice.space}/embed"
    assert told["usage"]["cost"] == 4 * 100 / 1e9
    row = alice.generation(headers["x-generation-id"])
    assert (row["rule"], row["tokens_prompt"], row["amount_nusd"]) == ("b", 4, 400)


def test_a_chat_model_is_refused_with_the_models_that_can(alice: Actor) -> None:
    status, _, told = alice.post("/v1/embeddings", {"model": alice.model, "input": "x"})
    assert status == 400
    assert "embed" in told["error"]["message"]


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": 5}])
def test_an_empty_input_is_refused(sdk: OpenAI, body: dict[str, object]) -> None:
    with pytest.raises(BadRequestError) as refused:
        sdk.post(
            "/embeddings",
            body={"model": "sandbox/embed", **body},
            cast_to=object,
        )
    assert refused.value.param == "input"
