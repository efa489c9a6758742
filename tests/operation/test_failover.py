"""Before the first content another endpoint is asked, afterwards never; each try is a row."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.live import Actor, Server
from tests.operation.sites import attempts_of, body_of, only_generation

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("operation-sqlite")]

NewActor = Callable[..., Actor]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a 500": ({"status": 500}, "upstream_error"),
    "a 429": ({"status": 429, "headers": {"retry-after": "7"}}, "provider_overloaded"),
    "a refused key": ({"status": 401}, "upstream_error"),
    "silence": ({"is_silent": True}, "upstream_timeout"),
    "silence after the head": ({"silent_after": 0}, "upstream_timeout"),
    "a reset": ({"hang_up": "rst"}, "upstream_error"),
    "a cut before content": ({"cut_after": 0}, "upstream_error"),
    "an empty answer": ({"content": "", "finish_reason": None}, "upstream_error"),
    "an error in a 200": ({"body": {"error": {"message": "no", "code": 500}}}, "upstream_error"),
    "garbage": ({"body": "no json"}, "upstream_error"),
    "a redirect": (
        {"status": 307, "headers": {"location": "http://127.0.0.1:9/v1"}},
        "upstream_error",
    ),
}


def script(actor: Actor, *behaviors: dict[str, Any]) -> None:
    """Say what the endpoints of `many` do, in their order."""
    for place, behavior in enumerate(behaviors):
        actor.upstream.script(f"{actor.space}-{place}", default=behavior)


def asked(actor: Actor) -> list[int]:
    """How often each endpoint of `many` was asked.

    A connection that was kept, and is closed before any byte of an answer, counts as stale: what
    was sent on it is sent once more, within the same attempt.
    """
    return [len(actor.upstream.requests(f"{actor.space}-{place}")) for place in range(4)]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_endpoint_answers_at_its_own_price(
    on_sqlite: Server, new_actor: NewActor, fault: str, is_streamed: bool
) -> None:
    alice = new_actor(on_sqlite)
    behavior, code = FAULTS[fault]
    good = {"content": "good", "usage": USAGE, "usage_always": True}
    script(alice, behavior, good, good)
    body = body_of(alice, model="many", stream=is_streamed)
    status, headers, raw = on_sqlite.request("POST", "/v1/chat/completions", body, alice.headers)
    assert (status, raw.count(b"good")) == (200, 1), raw
    assert headers["x-turnpike-provider"] == f"f{alice.space[1:]}-1"
    assert headers["x-turnpike-tier"] == "fallback-1"
    assert headers["x-turnpike-fallback"] == "true"
    row = only_generation(alice)
    assert (row.rule, row.provider) == ("b", f"f{alice.space[1:]}-1")
    assert row.charge_nusd == 10 * 2_000 + 5 * 10_000
    tries = attempts_of(row.id)
    assert [each.outcome for each in tries] == [code, "ok"]
    assert [each.number for each in tries] == [1, 2]
    assert tries[0].price_version_id != tries[1].price_version_id == row.price_version_id
    sent = asked(alice)
    assert sent == [2 if fault == "a reset" and sent[0] == 2 else 1, 1, 0, 0]


def test_a_dead_endpoint_is_passed_over(on_sqlite: Server, new_actor: NewActor) -> None:
    alice = new_actor(on_sqlite)
    script(alice, {}, {"content": "good", "usage": USAGE})
    status, headers, told = alice.post("/v1/chat/completions", body_of(alice, model="second"))
    assert (status, headers["x-turnpike-tier"]) == (200, "fallback-1")
    row = only_generation(alice)
    assert row.charge_nusd == 10 * 2_000 + 5 * 10_000
    assert [each.outcome for each in attempts_of(row.id)] == ["upstream_error", "ok"]
    assert told["usage"]["cost"] == row.charge_nusd / 1e9


def test_no_more_than_three_endpoints_are_tried(on_sqlite: Server, new_actor: NewActor) -> None:
    alice = new_actor(on_sqlite)
    script(alice, {"status": 500}, {"status": 429}, {"status": 502}, {"content": "good"})
    status, _, told = alice.post("/v1/chat/completions", body_of(alice, model="many"))
    assert (status, told["error"]["code"]) == (502, "upstream_error")
    assert asked(alice) == [1, 1, 1, 0]
    row = only_generation(alice)
    assert (row.rule, row.charge_nusd, row.attempt_count) == ("f", 0, 3)
    outcomes = [each.outcome for each in attempts_of(row.id)]
    assert outcomes == ["upstream_error", "provider_overloaded", "upstream_error"]


def test_where_all_are_at_their_limit_the_shortest_wait_is_told(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    script(alice, *({"status": 429, "headers": {"retry-after": s}} for s in ("30", "8", "9", "1")))
    status, headers, told = alice.post("/v1/chat/completions", body_of(alice, model="many"))
    assert (status, told["error"]["code"]) == (503, "provider_overloaded")
    assert headers["retry-after"] == "8"


def test_what_the_caller_got_wrong_is_not_tried_elsewhere(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    script(alice, {"status": 400, "body": {"error": {"message": "bad picture"}}}, {})
    status, _, told = alice.post("/v1/chat/completions", body_of(alice, model="many"))
    assert (status, told["error"]["message"]) == (400, "bad picture")
    assert asked(alice) == [1, 0, 0, 0]
    assert only_generation(alice).rule == "e"


@pytest.mark.parametrize(
    "behavior",
    [
        {"words": 9, "cut_after": 4},
        {"words": 9, "rst_after": 4},
        {"words": 9, "silent_after": 4},
        {"words": 9, "error": {"error": {"message": "no", "code": 500}}, "error_after": 4},
        {"words": 9, "end_after": 4, "done": False},
    ],
    ids=["cut", "reset", "silence", "error", "no end"],
)
def test_once_content_has_been_sent_nobody_else_is_asked(
    on_sqlite: Server, new_actor: NewActor, behavior: dict[str, Any]
) -> None:
    alice = new_actor(on_sqlite)
    script(alice, behavior, {"content": "good"})
    body = body_of(alice, model="many", stream=True)
    status, headers, raw = on_sqlite.request("POST", "/v1/chat/completions", body, alice.headers)
    assert (status, headers["x-turnpike-fallback"]) == (200, "false")
    assert raw.count(b'"word "') == 3
    assert b'"error"' in raw
    assert b"[DONE]" not in raw
    assert b"good" not in raw
    assert asked(alice) == [1, 0, 0, 0]
    row = only_generation(alice)
    assert row.rule in ("g", "j")
    assert (row.charge_nusd, row.insured_nusd > 0) == (0, True)
