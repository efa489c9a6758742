"""Pictures on the live server."""

import base64

import pytest
from openai import OpenAI

from tests.live import Actor

pytestmark = [pytest.mark.live]

PICTURE = base64.b64encode(b"\x89PNG and so on").decode()


def ask(alice: Actor, **fields: object) -> tuple[int, dict[str, str], dict[str, object]]:
    body = {"model": f"{alice.space}/image", "prompt": "a bridge", **fields}
    return alice.post("/v1/images/generations", body)


def test_the_sdk_gets_a_picture_from_the_sandbox(alice: Actor) -> None:
    sdk = OpenAI(base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0)
    answer = sdk.images.generate(
        model="sandbox/image", prompt="a bridge", size="1024x1024", response_format="b64_json"
    )
    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(b"\x89PNG")


def test_pictures_are_charged_by_size_and_quality_and_only_those_that_came(alice: Actor) -> None:
    data = [{"b64_json": PICTURE}, {"b64_json": PICTURE}, {"b64_json": ""}]
    alice.provider_will(body={"created": 1, "data": data})
    status, headers, _ = ask(alice, n=3, size="1024x1024", quality="high")
    assert status == 200
    assert headers["x-turnpike-cost-usd"] == "0.34"
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] == 340_000_000
    assert row["hold_nusd"] == 510_000_000


def test_a_size_that_may_be_any_is_held_at_the_dearest_and_settled_by_the_answer(
    alice: Actor,
) -> None:
    alice.provider_will(
        body={"created": 1, "size": "512x512", "quality": "low", "data": [{"b64_json": PICTURE}]}
    )
    _, headers, _ = ask(alice, size="auto")
    row = alice.generation(headers["x-generation-id"])
    assert row["hold_nusd"] == 170_000_000
    assert row["amount_nusd"] == 40_000_000


def test_too_many_pictures_are_refused(alice: Actor) -> None:
    status, _, _ = ask(alice, n=11)
    assert status == 400
    assert alice.asked() == []


@pytest.mark.parametrize("usage", [{"input_tokens": -1}, "much", {"output_tokens": 10**15}])
def test_pictures_with_absurd_usage_are_counted_by_us_and_not_given_away(
    alice: Actor, usage: object
) -> None:
    data = [{"b64_json": PICTURE}, {"b64_json": PICTURE}]
    alice.provider_will(body={"created": 1, "data": data, "usage": usage})
    _, headers, _ = ask(alice, n=2, size="1024x1024", quality="high")
    row = alice.generation(headers["x-generation-id"])
    assert (row["rule"], row["basis"], row["amount_nusd"]) == ("d", "estimated", 340_000_000)


def test_an_answer_without_a_whole_picture_is_free(alice: Actor) -> None:
    alice.provider_will(body={"created": 1, "data": [{"b64_json": ""}]})
    _, headers, _ = ask(alice, size="1024x1024", quality="high")
    assert alice.generation(headers["x-generation-id"])["amount_nusd"] == 0
