"""Spending limits: guarded in the hold's own statement, from their first use on."""

import threading

import pytest

from gateway.ledger import Refusal
from tests.gateway.ledger.books import ALICE, DAY, USD, Books

NEXT_DAY = "2026-03-11"


def window(books: Books, cap_id: int, day: str = DAY) -> tuple[int, ...]:
    """(used, held, ceiling)"""
    rows = books.rows(
        "SELECT cap_id, starts_on, used_nusd, held_nusd, ceiling_nusd FROM cap_windows"
    )
    return {row[:2]: row[2:] for row in rows}.get((cap_id, day), ())


def test_a_hold_weighs_on_its_cap_and_the_charge_uses_it(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    assert window(books, cap) == (0, 60, 100)
    books.settle("gen-1", 45, windows=((cap, DAY),))
    assert window(books, cap) == (45, 0, 100)
    assert books.violations() == []


def test_a_cap_that_would_be_passed_refuses_and_names_itself(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    books.settle("gen-1", 45, windows=((cap, DAY),))
    with pytest.raises(Refusal) as refused:
        books.hold("gen-2", 56, ((cap, DAY),))
    assert (refused.value.reason, refused.value.cap_id) == ("cap", cap)
    assert refused.value.affordable_nusd == 55
    assert books.wallet() == (USD - 45, 0)
    assert window(books, cap) == (45, 0, 100)


def test_a_cap_that_calls_in_flight_fill_asks_to_wait(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    with pytest.raises(Refusal) as refused:
        books.hold("gen-2", 50, ((cap, DAY),))
    assert (refused.value.reason, refused.value.cap_id) == ("in_flight", cap)
    assert refused.value.affordable_nusd == 40


def test_too_little_money_comes_before_the_cap(books: Books) -> None:
    books.open(bonus_nusd=50)
    cap = books.cap(40)
    with pytest.raises(Refusal) as refused:
        books.hold("gen-1", 60, ((cap, DAY),))
    assert refused.value.reason == "credits"
    assert refused.value.affordable_nusd == 40


def test_of_nested_caps_the_tightest_decides_and_none_is_touched(books: Books) -> None:
    books.open(bonus_nusd=USD)
    caps = [books.cap(limit, subject) for subject, limit in
            (("key", 500), ("member", 100), ("workspace", 300))]  # fmt: skip
    windows = tuple((cap, DAY) for cap in caps)
    books.hold("gen-1", 80, windows)
    with pytest.raises(Refusal) as refused:
        books.hold("gen-2", 150, windows)
    assert (refused.value.reason, refused.value.cap_id) == ("cap", caps[1])
    assert refused.value.affordable_nusd == 20
    assert [window(books, cap)[:2] for cap in caps] == [(0, 80)] * 3
    assert books.wallet() == (USD, 80)
    assert books.violations() == []


def test_a_day_that_begins_has_the_whole_limit_again(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 100, ((cap, DAY),))
    books.hold("gen-2", 100, ((cap, NEXT_DAY),))
    books.settle("gen-1", 100, windows=((cap, DAY),))
    assert window(books, cap) == (100, 0, 100)
    assert window(books, cap, NEXT_DAY) == (0, 100, 100)


def test_a_settlement_extends_the_hold_only_within_the_cap(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    settled = books.settle("gen-1", 130, windows=((cap, DAY),))
    assert (settled.charge_nusd, settled.overrun_nusd) == (100, 30)
    assert window(books, cap) == (100, 0, 100)
    assert books.violations() == []


def test_an_extension_is_guarded_by_the_cap(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    books.extend("gen-1", 40, ((cap, DAY),))
    with pytest.raises(Refusal) as refused:
        books.extend("gen-1", 1, ((cap, DAY),))
    assert refused.value.cap_id == cap
    assert window(books, cap) == (0, 100, 100)
    assert books.violations() == []


def test_a_limit_that_was_lowered_lets_running_calls_end(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 80, ((cap, DAY),))
    books.sql("UPDATE caps SET limit_nusd = 50")
    books.settle("gen-1", 80, windows=((cap, DAY),))
    assert window(books, cap) == (80, 0, 100)
    with pytest.raises(Refusal) as refused:
        books.hold("gen-2", 1, ((cap, DAY),))
    assert (refused.value.reason, refused.value.affordable_nusd) == ("cap", 0)
    assert books.violations() == []


def test_a_limit_that_was_raised_is_in_force_at_once(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 100, ((cap, DAY),))
    books.sql("UPDATE caps SET limit_nusd = 150")
    books.hold("gen-2", 50, ((cap, DAY),))
    assert window(books, cap) == (0, 150, 150)


def test_a_limit_of_zero_lets_free_calls_through(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(0)
    books.hold("gen-1", 0, ((cap, DAY),))
    books.settle("gen-1", 0, windows=((cap, DAY),))
    assert books.violations() == []


def test_a_call_ends_well_when_its_cap_was_removed_meanwhile(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    books.sql("DELETE FROM caps")
    assert books.settle("gen-1", 45, windows=((cap, DAY),)).charge_nusd == 45
    assert books.wallet() == (USD - 45, 0)
    assert books.violations() == []


def test_a_call_ends_well_when_its_cap_was_set_anew_meanwhile(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),))
    books.sql("DELETE FROM caps")
    again = books.cap(500)
    books.hold("gen-2", 5, ((again, DAY),))
    assert books.settle("gen-1", 45, windows=((cap, DAY),)).charge_nusd == 45
    assert books.settle("gen-2", 5, windows=((again, DAY),)).charge_nusd == 5
    assert books.wallet() == (USD - 50, 0)
    assert window(books, again) == (5, 0, 500)


def test_the_first_use_of_a_cap_by_twenty_at_once_never_passes_it(books: Books) -> None:
    books.open(bonus_nusd=1000 * USD)
    cap = books.cap(USD // 100)
    outcomes: list[str] = []
    barrier = threading.Barrier(20)

    def race(number: int) -> None:
        barrier.wait()
        try:
            books.hold(f"gen-{number}", USD // 500, ((cap, DAY),))
            outcomes.append("held")
        except Refusal as refusal:
            outcomes.append(refusal.reason)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] * 5 + ["in_flight"] * 15
    assert window(books, cap) == (0, USD // 100, USD // 100)
    assert books.wallet(ALICE) == (1000 * USD, USD // 100)
    assert books.violations() == []
