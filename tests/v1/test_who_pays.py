"""The who-pays table, one test a row, on the live server."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

import clock
import db
from gateway.ledger.verify import verify
from models import Generation, InsuranceDay
from tests.live import Actor, text_of

pytestmark = [pytest.mark.live]

INPUT, OUTPUT = 2_500, 20_000
"""Nano-USD a token."""


def charge_of(alice: Actor, generation_id: str) -> dict[str, Any]:
    return alice.generation(generation_id)


def only_generation(alice: Actor) -> dict[str, Any]:
    """The one call of this key, found without its id."""
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        with db.reading() as session:
            rows = session.query(Generation).filter_by(key_id=alice.key_id).all()
            if rows:
                assert len(rows) == 1
                return alice.generation(rows[0].id)
        time.sleep(0.05)
    raise AssertionError("no generation")


def balance(alice: Actor) -> int:
    left: int = alice.credits()["remaining_nusd"]
    assert alice.credits()["held_nusd"] == 0
    return left


def test_a_our_own_refusals_cost_nothing_and_reach_no_provider(
    new_actor: Callable[..., Actor],
) -> None:
    poor = new_actor(balance_nusd=1000)
    assert poor.chat(max_tokens=-1)[0] == 400
    assert poor.chat(max_tokens=1000)[0] == 402
    assert poor.post("/v1/chat/completions", {"model": "no/such", "messages": []})[0] in (400, 404)
    assert poor.asked() == []
    assert balance(poor) == 1000


def test_b_a_good_answer_costs_what_was_used(alice: Actor) -> None:
    usage = {"prompt_tokens": 25, "completion_tokens": 150, "total_tokens": 175}
    alice.provider_will(usage=usage)
    status, headers, told = alice.chat("x" * 100)
    assert status == 200
    assert headers["x-turnpike-cost-usd"] == "0.0030625"
    assert told["usage"]["cost"] == 0.0030625
    assert balance(alice) == 5_000_000_000 - 3_062_500
    assert charge_of(alice, told["id"])["rule"] == "b"


def test_c_missing_usage_is_counted_by_us_and_marked(alice: Actor) -> None:
    alice.provider_will(usage="absent", content="five words are said here")
    _, _, told = alice.chat("hello there")
    row = charge_of(alice, told["id"])
    assert (row["rule"], row["basis"]) == ("c", "estimated")
    assert told["usage"]["estimated"] is True
    assert 0 < row["amount_nusd"] <= row["hold_nusd"]
    assert told["usage"]["cost"] == row["amount_nusd"] / 1e9


@pytest.mark.parametrize("count", [-5, 10**18, 1.5, "7", None, True])
def test_d_absurd_usage_is_counted_by_us_and_flagged(alice: Actor, count: object) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 10}
    alice.provider_will(usage=usage, content="fine")
    _, _, told = alice.chat("hello")
    row = charge_of(alice, told["id"])
    assert row["basis"] == "estimated"
    assert row["rule"] in ("c", "d")
    assert 0 < row["amount_nusd"] < 1_000_000


def test_e_a_refusal_of_the_callers_input_costs_nothing(alice: Actor) -> None:
    alice.provider_will(status=400, body={"error": {"message": "bad picture", "code": "bad"}})
    status, _, told = alice.chat()
    assert status == 400
    assert "bad picture" in told["error"]["message"]
    assert only_generation(alice)["rule"] == "e"
    assert balance(alice) == 5_000_000_000


@pytest.mark.parametrize("status", [429, 500, 502, 503, 401, 402, 403])
def test_f_a_provider_that_fails_before_the_first_byte_costs_nothing(
    alice: Actor, status: int
) -> None:
    alice.provider_will(status=status, body={"error": {"message": "no"}})
    answered, headers, told = alice.chat()
    assert answered == (503 if status in (429, 503) else 502)
    assert "retry-after" in headers or answered == 502
    assert "sk-upstream" not in json.dumps(told)
    assert only_generation(alice)["rule"] == "f"
    assert balance(alice) == 5_000_000_000


@pytest.mark.parametrize("hang_up", ["fin", "rst"])
def test_f_a_provider_that_hangs_up_costs_nothing(alice: Actor, hang_up: str) -> None:
    alice.provider_will(hang_up=hang_up)
    assert alice.chat()[0] == 502
    assert balance(alice) == 5_000_000_000


def test_g_an_empty_answer_without_finish_reason_costs_nothing(alice: Actor) -> None:
    alice.provider_will(content="", finish_reason=None)
    assert alice.chat()[0] == 502
    assert only_generation(alice)["rule"] == "g"
    assert balance(alice) == 5_000_000_000


def test_g_a_stream_without_its_end_is_borne_by_the_house(alice: Actor) -> None:
    alice.provider_will(end_after=3, content="one two three four five", done=False)
    events = alice.open_stream().events()
    assert events[-1] != "[DONE]"
    assert events[-1]["error"]["code"] == "upstream_error"
    row = only_generation(alice)
    assert row["rule"] in ("g", "j")
    assert balance(alice) == 5_000_000_000


def test_g_beyond_the_days_insurance_what_was_delivered_is_paid(
    new_actor: Callable[..., Actor],
) -> None:
    rich = new_actor(balance_nusd=50_000_000_000)

    with db.transaction() as session:
        day = clock.now().date().isoformat()
        session.add(InsuranceDay(workspace_id=rich.workspace_id, day=day, used_nusd=1_000_000_000))
    rich.provider_will(end_after=3, content="one two three four five", done=False)
    rich.open_stream().events()
    row = only_generation(rich)
    assert row["amount_nusd"] > 0
    assert balance(rich) == 50_000_000_000 - row["amount_nusd"]


def test_h_a_client_that_leaves_before_the_first_token_pays_the_input(alice: Actor) -> None:
    alice.provider_will(first_gap_s=3, content="late")

    body = json.dumps(
        {
            "model": alice.model,
            "messages": [{"role": "user", "content": "hello there you"}],
            "stream": True,
        }
    )
    with socket.create_connection(("127.0.0.1", alice.server.port)) as client:
        head = "\r\n".join(f"{name}: {value}" for name, value in alice.headers.items())
        client.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{head}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        alice.upstream.wait_for(alice.space, lambda records: len(records) == 1)
        time.sleep(0.3)
    left_at = time.monotonic()
    records = alice.upstream.wait_for(
        alice.space, lambda records: records[0]["aborted_at"] is not None
    )
    assert records[0]["aborted_at"] - left_at < 2
    row = only_generation(alice)
    assert row["rule"] == "h"
    assert row["status"] == "cancelled"
    assert row["tokens_completion"] == 0
    assert 0 < row["amount_nusd"] < 200_000


def test_i_a_client_that_leaves_midway_pays_what_came(alice: Actor) -> None:
    alice.provider_will(words=200, gap_s=0.05)
    stream = alice.open_stream("count")
    lines = stream.lines()
    for _ in range(10):
        next(lines)
    stream.close()
    left_at = time.monotonic()
    records = alice.upstream.wait_for(
        alice.space, lambda records: records[0]["aborted_at"] is not None
    )
    assert records[0]["aborted_at"] - left_at < 2
    row = charge_of(alice, stream.generation_id)
    assert (row["rule"], row["cancelled"]) == ("i", True)
    assert 5 <= row["tokens_completion"] <= 60
    assert balance(alice) == 5_000_000_000 - row["amount_nusd"]


def test_j_a_provider_that_dies_midway_ends_the_stream_with_an_error(alice: Actor) -> None:
    alice.provider_will(words=20, rst_after=6)
    events = alice.open_stream().events()
    assert events[-1] != "[DONE]"
    assert "error" in events[-1]
    row = only_generation(alice)
    assert row["rule"] == "j"
    assert balance(alice) == 5_000_000_000
    assert len(alice.asked()) == 1


def test_s_a_stream_that_outgrows_the_wallet_is_ended_with_the_402(
    new_actor: Callable[..., Actor],
) -> None:
    poor = new_actor(balance_nusd=30_000_000)
    poor.provider_will(words=4000, gap_s=0, burst=20)
    events = poor.open_stream("go").events()
    assert events[-1] != "[DONE]"
    assert events[-1]["error"]["code"] in ("insufficient_credits", "in_flight_budget")
    row = only_generation(poor)
    assert row["rule"] == "s"
    assert 0 < row["amount_nusd"] <= row["hold_nusd"] <= 30_000_000
    assert balance(poor) == 30_000_000 - row["amount_nusd"]


def test_a_stream_that_outgrows_its_first_hold_goes_on_as_long_as_the_wallet_allows(
    alice: Actor,
) -> None:
    alice.provider_will(words=5000, gap_s=0, burst=20)
    events = alice.open_stream("go", stream_options={"include_usage": True}).events()
    assert events[-1] == "[DONE]"
    assert len(text_of(events).split()) == 5000
    row = only_generation(alice)
    assert row["rule"] == "b"
    assert row["tokens_completion"] == 5000
    assert balance(alice) == 5_000_000_000 - row["amount_nusd"]


def test_the_books_are_whole_after_all_of_it(alice: Actor) -> None:

    with db.reading() as session:
        report = verify(session)
    assert report.ok, report.violations
