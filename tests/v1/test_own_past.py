"""What a key may read of its own past, and that it reads nothing of anybody else's."""

import json
import re
from collections.abc import Callable

import pytest

from tests.live import Actor
from tests.upstream import Upstream

pytestmark = [pytest.mark.live]

E_13 = {
    "id", "model", "created_at", "tokens_prompt", "tokens_completion", "total_cost", "latency_ms",
    "provider", "status",
}  # fmt: skip
OPENROUTER = {
    "upstream_id", "request_id", "session_id", "api_type", "provider_name", "provider_responses",
    "streamed", "cancelled", "finish_reason", "native_finish_reason", "latency", "generation_time",
    "native_tokens_prompt", "native_tokens_completion", "native_tokens_reasoning",
    "native_tokens_cached", "usage", "is_byok", "workspace_id",
}  # fmt: skip
PATHS = (
    "/v1/generation?id={}",
    "/api/v1/generation?id={}",
    "/v1/receipts/{}",
    "/api/v1/receipts/{}",
)
MISSING_ID = "gen-0000000000000000X"


def one_call(alice: Actor, **fields: object) -> str:
    """A call that costs something; returns its id."""
    status, _, told = alice.chat("hello there", **fields)
    assert status == 200
    generation_id: str = told["id"]
    return generation_id


def test_a_generation_has_the_fields_of_e_13_and_of_openrouter(alice: Actor) -> None:
    generation_id = one_call(alice, session_id="session-1", max_tokens=50)
    status, _, told = alice.get(f"/v1/generation?id={generation_id}")
    assert status == 200
    row = told["data"]
    assert set(row) >= E_13 | OPENROUTER
    assert (row["id"], row["model"], row["status"]) == (generation_id, alice.model, "ok")
    assert (row["tokens_prompt"], row["tokens_completion"]) == (2, 2)
    assert row["total_cost"] == row["usage"] == 0.000045
    assert row["amount_nusd"] == 45_000
    assert row["session_id"] == "session-1"
    assert row["provider"] == row["provider_name"] == f"p{alice.space[1:]}"
    assert (row["streamed"], row["cancelled"], row["finish_reason"]) == (False, False, "stop")
    assert row["api_type"] == "completions"
    assert row["upstream_id"] == "chatcmpl-fake"
    assert isinstance(row["latency_ms"], int)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["created_at"])
    (attempt,) = row["provider_responses"]
    assert (attempt["outcome"], attempt["status"]) == ("ok", 200)


def test_a_generation_is_found_under_each_dialects_prefix_and_each_base(alice: Actor) -> None:
    generation_id = one_call(alice)
    bare = generation_id.removeprefix("gen-")
    for path in PATHS:
        rows = [alice.get(path.format(f"{prefix}{bare}")) for prefix in ("gen-", "resp_", "msg_")]
        assert [status for status, _, _ in rows] == [200, 200, 200]
        assert {row["data"]["id"] for _, _, row in rows} == {generation_id}


def test_a_receipt_adds_up_to_the_nano_dollar(alice: Actor) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 7,
        "total_tokens": 1007,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    alice.provider_will(usage=usage)
    _, headers, told = alice.chat("x" * 5000)
    receipt = alice.get(f"/v1/receipts/{told['id']}")[2]["data"]
    due = 400 * 2_500 + 600 * 250 + 7 * 20_000
    assert receipt["charge"]["amount_nusd"] == due
    assert sum(transfer["amount_nusd"] for transfer in receipt["transfers"]) == due
    assert sum(int(line["exact_nusd"]) for line in receipt["lines"]) == due
    assert headers["x-turnpike-cost-usd"] == receipt["charge"]["amount_usd"] == "0.00129"
    row = alice.generation(told["id"])
    assert (row["amount_nusd"], row["native_tokens_cached"]) == (due, 600)
    assert row["receipt_sha256"] == receipt["receipt_sha256"]


def test_credits_are_e_14s_three_numbers(alice: Actor) -> None:
    one_call(alice)
    for path in ("/v1/credits", "/api/v1/credits"):
        status, _, told = alice.get(path)
        assert status == 200
        data = told["data"]
        assert (data["total_credits"], data["total_usage"]) == (5.0, 0.000045)
        assert data["remaining"] == 4.999955
        assert data["remaining_nusd"] == 4_999_955_000
        assert all(isinstance(data[name], float) for name in ("total_usage", "remaining"))


def test_a_key_reads_its_own_record_and_never_its_secret(new_actor: Callable[..., Actor]) -> None:
    capped = new_actor(cap_nusd=2_000_000_000, rpm=120)
    one_call(capped)
    for path in ("/v1/key", "/api/v1/key"):
        status, headers, told = capped.get(path)
        assert status == 200
        record = told["data"]
        assert record["hash"] == capped.key_id
        assert record["limit"] == 2.0
        assert record["usage"] == 0.000045
        assert record["limit_remaining"] == 2.0 - 0.000045
        assert record["is_management_key"] is False
        assert headers["x-ratelimit-limit"] == "120"
        assert capped.key not in json.dumps(told)
        assert record["label"].endswith(capped.key[-4:])


def test_what_is_somebody_elses_is_as_if_it_werent_there(
    alice: Actor, new_actor: Callable[..., Actor]
) -> None:
    generation_id = one_call(alice)
    stranger = new_actor()
    sibling = new_actor(workspace_id=alice.workspace_id)
    foreign_manager = new_actor(kind="management")
    for caller in (stranger, sibling, foreign_manager):
        for path in PATHS:
            theirs = caller.get(path.format(generation_id))
            missing = caller.get(path.format(MISSING_ID))
            assert theirs[0] == missing[0] == 404
            assert theirs[2] == missing[2]
            assert set(theirs[1]) == set(missing[1])


def test_a_management_key_sees_its_workspace_and_calls_nobody(
    alice: Actor, new_actor: Callable[..., Actor]
) -> None:
    generation_id = one_call(alice)
    manager = new_actor(kind="management", workspace_id=alice.workspace_id)
    for path in PATHS:
        status, _, told = manager.get(path.format(generation_id))
        assert (status, told["data"]["id"]) == (200, generation_id)
    assert manager.credits() == alice.credits()
    assert manager.get("/v1/key")[2]["data"]["is_management_key"] is True
    status, _, told = manager.chat("hi")
    assert (status, told["error"]["code"]) == (401, "wrong_credential")


@pytest.mark.parametrize(
    "odd",
    [
        "gen-%00",
        "gen-%27%20OR%201=1--",
        "%ff",
        "x" * 5000,
        "gen-%0d%0aX-Forged:%201",
        "..",
        "%F0%9F%98%80",
    ],
)
def test_an_id_that_is_none_is_a_404_without_a_trace(alice: Actor, odd: str) -> None:
    for path in PATHS:
        status, headers, told = alice.get(path.format(odd))
        assert status == 404
        assert "x-forged" not in headers
        assert odd not in json.dumps(told)


def test_a_generation_needs_an_id(alice: Actor) -> None:
    status, _, told = alice.get("/v1/generation")
    assert (status, told["error"]["param"]) == (400, "id")


def test_a_failed_call_is_in_the_past_too(alice: Actor, upstream: Upstream) -> None:
    alice.provider_will(status=500)
    status, headers, _ = alice.chat("hi")
    assert status == 502
    assert "x-generation-id" not in headers or headers["x-generation-id"].startswith("gen-")
    assert alice.credits()["total_usage"] == 0
    assert len(upstream.requests(alice.space)) == 1
