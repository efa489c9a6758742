"""Which routes a call may take: fall-back models and the caller's wishes, on the live server."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.live import Actor

pytestmark = [pytest.mark.live]

NewActor = Callable[..., Actor]


def test_a_refusal_of_the_input_moves_on_to_the_next_model_that_the_caller_names(
    alice: Actor,
) -> None:
    error = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    answer = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "short"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 2, "output_tokens": 1},
    }
    alice.upstream.script(
        alice.space, queue=[{"status": 400, "body": error}], default={"body": answer}
    )
    told = [alice.model, f"{alice.space}/claude"]
    status, headers, body = alice.chat("hi", models=told, max_tokens=20)
    assert headers["x-turnpike-fallback"] == "true"
    assert headers["x-turnpike-tier"] == "fallback-1"
    assert [record["path"].rsplit("/", 1)[-1] for record in alice.asked()] == [
        "completions",
        "messages",
    ]
    assert (status, body["model"]) == (200, f"{alice.space}/claude")
    row = alice.generation(body["id"])
    assert [each["outcome"] for each in row["provider_responses"]] == [
        "context_length_exceeded",
        "ok",
    ]


def test_without_other_models_a_refusal_of_the_input_is_final(alice: Actor) -> None:
    alice.provider_will(status=400, body={"error": {"message": "no", "code": "bad"}})
    assert alice.chat()[0] == 400
    assert len(alice.asked()) == 1


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"only": ["nobody"]}, 503),
        ({"ignore": ["own"]}, 503),
        ({"only": ["own"]}, 200),
        ({"order": ["nobody", "own"]}, 200),
        ({"max_price": {"prompt": 1}}, 503),
        ({"max_price": {"prompt": "2.5", "completion": 20}}, 200),
        ({"sort": "price"}, 200),
        ({"sort": {"by": "price"}}, 200),
        ({"sort": "beauty"}, 400),
        ({"only": "own"}, 400),
        ({"max_price": 3}, 400),
        ({"data_collection": "deny"}, 400),
        ({"zdr": True}, 400),
        ({"allow_fallbacks": "no"}, 400),
    ],
)
def test_a_wish_is_kept_or_refused_and_never_ignored(
    alice: Actor, wish: dict[str, Any], status: int
) -> None:
    own = "p" + alice.space.removeprefix("s")
    wish = {
        name: [own if each == "own" else each for each in value]
        if isinstance(value, list)
        else value
        for name, value in wish.items()
    }
    assert alice.chat(provider=wish)[0] == status
    assert len(alice.asked()) == (1 if status == 200 else 0)


def test_a_dry_run_is_refused_rather_than_paid(alice: Actor) -> None:
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    status, _, told = alice.post("/v1/chat/completions", body, **{"X-Turnpike-Dry-Run": "1"})
    assert status == 400
    assert told["error"]["param"] == "X-Turnpike-Dry-Run"
    assert alice.asked() == []
