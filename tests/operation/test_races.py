"""Under concurrency no wallet and no cap is ever overdrawn, and nobody is locked out."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.live import Actor, Server
from tests.operation.sites import (
    INPUT,
    OUTPUT,
    USD,
    all_at_once,
    body_of,
    generations_of,
    wallet_of,
)

pytestmark = [pytest.mark.live]

CENT = USD // 100
ANSWERED, REFUSED = 200, 402
NewActor = Callable[..., Actor]


def used(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


class Watch:
    """Looks at a wallet all the while, and keeps the least that was available."""

    def __init__(self, actor: Actor) -> None:
        self.least_nusd, self.most_held_nusd = 10**18, 0
        self._actor = actor
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.01):
            posted, held = wallet_of(self._actor)
            self.least_nusd = min(self.least_nusd, posted - held)
            self.most_held_nusd = max(self.most_held_nusd, held)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_hundred_racers_on_one_cent_spend_one_cent_at_the_most(
    server: Server, new_actor: NewActor, is_streamed: bool
) -> None:
    alice = new_actor(server, balance_nusd=CENT)
    alice.provider_will(delay_s=0.4, content="yes", usage=used(18, 22), usage_always=True)
    body = body_of(alice, max_tokens=22, stream=is_streamed)
    with Watch(alice) as watch:
        told = all_at_once(
            100, lambda _: alice.server.request("POST", "/v1/chat/completions", body, alice.headers)
        )
    charges = [row.charge_nusd for row in generations_of(alice)]
    posted, held = wallet_of(alice)
    assert sum(charges) == CENT - posted <= CENT
    assert held == 0
    assert watch.least_nusd >= 0
    assert watch.most_held_nusd > 0
    statuses = [status for status, _, _ in told]
    assert set(statuses) == {ANSWERED, REFUSED}
    assert len(alice.asked()) == statuses.count(ANSWERED) == len(charges) >= 10
    for status, headers, _ in told:
        assert status == ANSWERED or headers["retry-after"] == "1"


def test_a_rich_wallet_doesnt_let_a_hundred_racers_pass_the_cap_of_their_key(
    server: Server, new_actor: NewActor
) -> None:
    rich = new_actor(server, balance_nusd=1000 * USD, cap_nusd=CENT)
    rich.provider_will(delay_s=0.4, content="yes", usage=used(18, 22))
    told = all_at_once(100, lambda _: rich.chat(max_tokens=22))
    spent = sum(row.charge_nusd for row in generations_of(rich))
    assert 0 < spent <= CENT
    assert wallet_of(rich) == (1000 * USD - spent, 0)
    assert len(rich.asked()) == sum(status == ANSWERED for status, _, _ in told)


def test_the_first_use_of_a_cap_by_twenty_at_once_holds_it(
    server: Server, new_actor: NewActor
) -> None:
    rich = new_actor(server, balance_nusd=1000 * USD, cap_nusd=CENT, cap_period="month")
    rich.provider_will(delay_s=0.4, content="yes", usage=used(18, 200))
    told = all_at_once(20, lambda _: rich.chat(max_tokens=200))
    answered = [status for status, _, _ in told if status == ANSWERED]
    assert 1 <= len(answered) == len(rich.asked()) <= 2
    assert sum(row.charge_nusd for row in generations_of(rich)) <= CENT


def test_a_hundred_honest_callers_who_obey_retry_after_all_succeed(
    server: Server, new_actor: NewActor
) -> None:
    each_nusd = 18 * INPUT + 100 * OUTPUT
    alice = new_actor(server, balance_nusd=each_nusd * 100 * 10 // 9)
    alice.provider_will(delay_s=0.1, content="yes", usage=used(18, 100))
    started_at = time.monotonic()

    def call(_: int) -> list[str]:
        refusals: list[str] = []
        while True:
            status, headers, told = alice.chat(max_tokens=200)
            if status == ANSWERED:
                return refusals
            assert status == REFUSED, told
            refusals.append(told["error"]["code"])
            time.sleep(float(headers["retry-after"]))

    refusals = [code for codes in all_at_once(100, call) for code in codes]
    assert time.monotonic() - started_at < 30
    assert set(refusals) <= {"in_flight_budget"}
    assert len(alice.asked()) == len(generations_of(alice)) == 100
    assert wallet_of(alice)[0] == each_nusd * 100 // 9


def test_a_call_worth_fifty_times_the_balance_is_refused_and_never_sent(
    server: Server, new_actor: NewActor
) -> None:
    poor = new_actor(server, balance_nusd=CENT // 10)
    status, headers, told = poor.chat(max_tokens=2500)
    assert (status, told["error"]["code"]) == (REFUSED, "insufficient_credits")
    assert "retry-after" not in headers
    assert poor.asked() == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_megabyte_of_prompt_is_refused_where_its_input_cant_be_paid(
    server: Server, new_actor: NewActor, is_streamed: bool
) -> None:
    poor = new_actor(server, balance_nusd=CENT)
    status, _, told = poor.chat("lorem " * 175_000, stream=is_streamed)
    assert (status, told["error"]["code"]) == (REFUSED, "insufficient_credits")
    assert poor.asked() == []


def test_ten_cents_last_for_fifty_short_answers_of_a_model_that_may_write_long_ones(
    server: Server, new_actor: NewActor
) -> None:
    alice = new_actor(server, balance_nusd=10 * CENT)
    alice.provider_will(words=200, burst=300)
    answered, status = -1, ANSWERED
    while status == ANSWERED:
        answered += 1
        body = body_of(alice, "go", model="long", stream=answered % 2 == 1)
        status, _, _ = server.request("POST", "/v1/chat/completions", body, alice.headers)
    assert answered >= 50
    assert status == REFUSED
    each_nusd = 200 * 5_000 + 1_000
    assert answered >= 10 * CENT // each_nusd - 3, "what is left would have paid for more"


def test_the_two_refusals_differ_and_the_passing_one_passes(
    server: Server, new_actor: NewActor
) -> None:
    alice = new_actor(server, balance_nusd=CENT)
    alice.provider_will(hold_before=-1, content="yes", usage=used(18, 10))
    told: list[Any] = []
    first = threading.Thread(target=lambda: told.append(alice.chat(max_tokens=400)))
    first.start()
    alice.upstream.wait_for(alice.space, lambda records: len(records) == 1)
    status, headers, refused = alice.chat(max_tokens=400)
    assert (status, refused["error"]["code"]) == (REFUSED, "in_flight_budget")
    assert headers["retry-after"] == "1"
    alice.upstream.release(alice.space)
    first.join()
    assert told[0][0] == ANSWERED
    alice.provider_will(content="yes", usage=used(18, 10))
    assert alice.chat(max_tokens=400)[0] == ANSWERED
    status, headers, refused = alice.chat(max_tokens=600)
    assert (status, refused["error"]["code"]) == (REFUSED, "insufficient_credits")
    assert "retry-after" not in headers
