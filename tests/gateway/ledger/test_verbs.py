"""Hold, extend, settle, checkpoint: rule by rule, on both databases."""

import pytest

from gateway import pricing
from gateway.ledger import Refusal
from gateway.pricing import Price
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, USD, Books
from wire.usage import Usage

DAY_MS = 86_400_000


def transfers(books: Books, generation_id: str) -> list[tuple[str, int, str, str]]:
    """(debit account's kind, amount, kind, key) of a call's transfers, in their order."""
    rows = books.rows(
        "SELECT t.generation_id, a.kind, t.amount_nusd, t.kind, t.idempotency_key FROM transfers t"
        " JOIN accounts a ON a.id = t.debit_account_id ORDER BY t.id"
    )
    return [(row[1], row[2], row[3], row[4]) for row in rows if row[0] == generation_id]


def state(books: Books, generation_id: str) -> str:
    return str(dict(books.rows("SELECT generation_id, state FROM holds"))[generation_id])


def test_a_hold_sets_money_aside_and_moves_none(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    assert books.wallet() == (100, 60)
    assert transfers(books, "gen-1") == []
    assert state(books, "gen-1") == "open"
    assert books.violations() == []


def test_a_settlement_charges_the_cost_and_frees_the_rest(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    settled = books.settle("gen-1", 45)
    assert (settled.charge_nusd, settled.hold_nusd, settled.overrun_nusd) == (45, 60, 0)
    assert not settled.is_lost
    assert books.wallet() == (55, 0)
    assert transfers(books, "gen-1") == [("bonus", 45, "usage", "gen-1:settle:1")]
    assert state(books, "gen-1") == "settled"
    assert books.violations() == []


def test_the_published_example_costs_3_062_500_nano_usd_to_the_last(books: Books) -> None:
    price = Price(input=2_500_000_000, output=20_000_000_000)
    cost_nusd = pricing.cost(Usage(input_tokens=25, output_tokens=150), price)
    assert cost_nusd == 3_062_500
    books.open(bonus_nusd=USD)
    books.call("gen-1", 5_000_000, cost_nusd)
    assert books.wallet() == (USD - 3_062_500, 0)


def test_ten_thousand_calls_of_one_token_at_a_third_of_a_cent_sum_exactly(
    sqlite_books: Books,
) -> None:
    cost_nusd = pricing.cost(Usage(input_tokens=1), Price(input=3_000_000))
    assert cost_nusd == 3
    books = sqlite_books
    books.open(bonus_nusd=50_000)
    from gateway.ledger import verbs  # noqa: PLC0415

    def many(first: int) -> None:
        def work(pen: verbs.Pen) -> None:
            for number in range(first, first + 500):
                record = books.record(f"gen-{number}")
                verbs.hold(
                    pen,
                    verbs.HoldOrder(
                        hold_id=f"hld_{number}",
                        record=record,
                        worker_id="wrk_here",
                        amount_nusd=4,
                        windows=(),
                    ),
                )
                verbs.settle(
                    pen,
                    verbs.Settlement(record=record, attempts=[], cost_nusd=cost_nusd, windows=()),
                )

        books.writer.submit(work, ALICE)

    for first in range(0, 10_000, 500):
        many(first)
    assert books.wallet() == (50_000 - 30_000, 0)
    assert books.value("SELECT SUM(charge_nusd) FROM usage_days") == 30_000
    assert books.value("SELECT SUM(calls) FROM usage_days") == 10_000
    assert books.violations() == []


def test_a_refused_hold_leaves_nothing_behind(books: Books) -> None:
    books.open(bonus_nusd=100)
    with pytest.raises(Refusal) as refused:
        books.hold("gen-1", 101)
    assert (refused.value.reason, refused.value.affordable_nusd) == ("credits", 100)
    assert refused.value.balance_nusd == 100
    assert books.wallet() == (100, 0)
    assert books.rows("SELECT id FROM holds") == []


def test_money_that_calls_in_flight_hold_is_another_refusal_than_too_little(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 70)
    with pytest.raises(Refusal) as refused:
        books.hold("gen-2", 31)
    assert (refused.value.reason, refused.value.affordable_nusd) == ("in_flight", 30)
    assert refused.value.balance_nusd == 100
    books.hold("gen-2", 30)
    assert books.wallet() == (100, 100)


def test_a_workspace_without_a_wallet_has_no_credits(books: Books) -> None:
    with pytest.raises(Refusal) as refused:
        books.hold("gen-1", 1, workspace_id="wks_nobody")
    assert (refused.value.reason, refused.value.affordable_nusd) == ("credits", 0)


def test_a_frozen_wallet_grants_nothing_not_even_a_free_call(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.freeze()
    for amount_nusd in (0, 1):
        with pytest.raises(Refusal) as refused:
            books.hold("gen-1", amount_nusd)
        assert (refused.value.reason, refused.value.affordable_nusd) == ("frozen", 0)
    assert books.wallet() == (100, 0)


def test_a_call_that_was_running_when_the_wallet_froze_is_charged_within_its_hold(
    books: Books,
) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 40)
    books.freeze()
    with pytest.raises(Refusal) as refused:
        books.extend("gen-1", 1)
    assert refused.value.reason == "frozen"
    settled = books.settle("gen-1", 55)
    assert (settled.charge_nusd, settled.overrun_nusd) == (40, 15)
    assert books.wallet() == (60, 0)
    assert books.violations() == []


def test_a_free_call_is_held_with_an_empty_wallet(books: Books) -> None:
    books.open()
    books.hold("gen-1", 0)
    assert not books.settle("gen-1", 0).is_lost
    assert state(books, "gen-1") == "released"
    assert books.violations() == []


def test_a_charge_of_zero_is_a_release_without_a_transfer(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    assert books.settle("gen-1", 0).charge_nusd == 0
    assert state(books, "gen-1") == "released"
    assert transfers(books, "gen-1") == []
    assert books.wallet() == (100, 0)
    assert books.violations() == []


def test_the_second_settlement_is_lost_and_moves_nothing(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    books.settle("gen-1", 45)
    again = books.settle("gen-1", 60)
    assert again.is_lost
    assert books.wallet() == (55, 0)
    assert books.value("SELECT charge_nusd FROM generations") == 45
    assert books.violations() == []


def test_a_settlement_without_a_hold_is_lost(books: Books) -> None:
    books.open(bonus_nusd=100)
    assert books.settle("gen-1", 5).is_lost
    assert books.rows("SELECT id FROM generations") == []


def test_a_second_hold_of_one_generation_is_refused_by_the_database(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 10)
    with pytest.raises(Exception, match=r"(?i)unique"):
        books.hold("gen-1", 10)
    assert books.wallet() == (100, 10)


def test_an_extension_adds_to_the_hold_under_the_same_guards(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    books.extend("gen-1", 40)
    assert books.wallet() == (100, 100)
    with pytest.raises(Refusal) as refused:
        books.extend("gen-1", 1)
    assert (refused.value.reason, refused.value.affordable_nusd) == ("in_flight", 0)
    assert books.settle("gen-1", 100).hold_nusd == 100
    assert books.wallet() == (0, 0)
    assert books.violations() == []


def test_a_resolved_hold_is_not_extended(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.call("gen-1", 60, 10)
    with pytest.raises(Refusal) as refused:
        books.extend("gen-1", 1)
    assert refused.value.reason == "resolved"
    assert books.wallet() == (90, 0)


def test_a_settlement_extends_its_hold_by_what_the_wallet_allows(books: Books) -> None:
    books.open(bonus_nusd=100)
    settled = books.call("gen-1", 60, 80)
    assert (settled.charge_nusd, settled.hold_nusd, settled.overrun_nusd) == (80, 80, 0)
    assert books.wallet() == (20, 0)
    assert books.violations() == []


def test_what_the_wallet_cannot_cover_is_the_houses(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-2", 15)
    settled = books.call("gen-1", 60, 130)
    assert (settled.charge_nusd, settled.hold_nusd, settled.overrun_nusd) == (85, 85, 45)
    assert books.wallet() == (15, 15)
    assert transfers(books, "gen-1") == [
        ("bonus", 85, "usage", "gen-1:settle:1"),
        ("overrun_expense", 45, "overrun", "gen-1:overrun"),
    ]
    assert books.violations() == []


def test_bonus_is_spent_soonest_expiring_first_and_cash_last(
    books: Books, clock: StoppedClock
) -> None:
    now_ms = int(clock.read() * 1000)
    books.open(cash_nusd=100)
    books.grant(10)
    books.grant(20, expires_at_ms=now_ms + 2 * DAY_MS)
    books.grant(30, expires_at_ms=now_ms + DAY_MS)
    books.call("gen-1", 70, 65)
    assert transfers(books, "gen-1") == [
        ("bonus", 30, "usage", "gen-1:settle:1"),
        ("bonus", 20, "usage", "gen-1:settle:2"),
        ("bonus", 10, "usage", "gen-1:settle:3"),
        ("cash", 5, "usage", "gen-1:settle:4"),
    ]
    assert books.wallet() == (95, 0)
    assert books.violations() == []


def test_a_broken_answer_is_insured_wholly_or_not_at_all(books: Books) -> None:
    books.open(bonus_nusd=1000)
    for name, cost_nusd, insured_nusd in (("gen-1", 60, 60), ("gen-2", 50, 0), ("gen-3", 40, 40)):
        books.hold(name, 100)
        settled = books.settle(name, cost_nusd, insurance_limit_nusd=100)
        assert settled.insured_nusd == insured_nusd
        assert settled.charge_nusd == cost_nusd - insured_nusd
    assert books.wallet() == (950, 0)
    assert transfers(books, "gen-1") == [("insurance_expense", 60, "insurance", "gen-1:insurance")]
    assert state(books, "gen-1") == "released"
    assert books.value("SELECT used_nusd FROM insurance_days") == 100
    assert books.violations() == []


def test_a_first_broken_answer_beyond_the_limit_is_not_insured(books: Books) -> None:
    books.open(bonus_nusd=1000)
    books.hold("gen-1", 200)
    assert books.settle("gen-1", 101, insurance_limit_nusd=100).charge_nusd == 101
    assert books.rows("SELECT * FROM insurance_days") == []


def test_the_insurance_begins_anew_at_midnight_utc(books: Books, clock: StoppedClock) -> None:
    books.open(bonus_nusd=1000)
    books.hold("gen-1", 100)
    assert books.settle("gen-1", 100, insurance_limit_nusd=100).insured_nusd == 100
    books.hold("gen-2", 100)
    clock.advance(hours=11.99)
    assert books.settle("gen-2", 1, insurance_limit_nusd=100).insured_nusd == 0
    clock.advance(minutes=1)
    books.hold("gen-3", 100)
    assert books.settle("gen-3", 100, insurance_limit_nusd=100).insured_nusd == 100
    days = books.rows("SELECT day, used_nusd FROM insurance_days ORDER BY day")
    assert days == [("2026-03-10", 100), ("2026-03-11", 100)]


def test_a_checkpoint_changes_nothing_but_what_a_dead_workers_call_will_cost(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    books.checkpoint("gen-1", 25)
    assert books.wallet() == (100, 60)
    assert books.settle("gen-1", 30).charge_nusd == 30
    books.checkpoint("gen-1", 50)
    assert books.violations() == []


def test_the_row_of_a_call_carries_what_was_settled_and_its_attempts(books: Books) -> None:
    books.open(bonus_nusd=100)
    books.hold("gen-1", 60)
    books.settle("gen-1", 45, input_tokens=25, output_tokens=150, finish_reason="stop")
    assert books.rows(
        "SELECT charge_nusd, hold_nusd, overrun_nusd, insured_nusd, input_tokens, output_tokens,"
        " cached_input_tokens, status, rule FROM generations"
    ) == [(45, 60, 0, 0, 25, 150, None, "ok", "b")]
    assert books.rows("SELECT generation_id, number, outcome FROM attempts") == [
        ("gen-1", 1, "answered")
    ]
    assert books.rows("SELECT calls, charge_nusd, input_tokens FROM usage_days") == [(1, 45, 25)]


def test_a_day_of_calls_rolls_up_into_one_row(books: Books) -> None:
    books.open(bonus_nusd=100)
    for number in range(3):
        books.call(f"gen-{number}", 10, number)
    books.hold("gen-9", 10)
    books.settle("gen-9", 0, status="error", rule="f")
    assert books.rows("SELECT calls, failed_calls, charge_nusd FROM usage_days") == [(4, 1, 3)]
    assert books.violations() == []
