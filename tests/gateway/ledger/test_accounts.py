"""Grants and other transfers that aren't calls."""

import pytest
from sqlalchemy.exc import DBAPIError

import db
from errors import InvalidParameterError, NotFoundError
from gateway import ledger
from gateway.ledger.accounts import LARGEST_GRANT_NUSD, house_account, transfer
from gateway.ledger.records import Payment
from models import Wallet
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, USD, Books


def test_a_workspace_begins_with_an_empty_wallet(books: Books) -> None:
    books.open()
    assert books.wallet() == (0, 0)
    assert books.violations() == []


def test_a_grant_is_bonus_and_moves_the_wallet_at_once(books: Books) -> None:
    books.open()
    with db.transaction() as session:
        wallet = session.get(Wallet, ALICE)
        assert wallet is not None
        ledger.grant(session, ALICE, USD, note="welcome")
        assert ledger.balance_nusd(session, ALICE) == (USD, 0)
    assert books.rows("SELECT kind, note FROM transfers") == [("grant", "welcome")]
    assert books.rows("SELECT kind, balance_nusd FROM accounts WHERE workspace_id IS NOT NULL"
                      " ORDER BY id") == [("cash", 0), ("bonus", USD)]  # fmt: skip
    assert books.violations() == []


def test_a_workspace_that_was_ever_given_a_grant_has_every_class(books: Books) -> None:
    books.open()
    assert not books.value("SELECT has_every_class FROM workspaces")
    books.grant(1)
    assert books.value("SELECT has_every_class FROM workspaces")


def test_one_idempotency_key_grants_once(books: Books) -> None:
    books.open()
    with db.transaction() as session:
        first = ledger.grant(session, ALICE, 5, idempotency_key="code:1").id
    with db.transaction() as session:
        assert ledger.grant(session, ALICE, 5, idempotency_key="code:1").id == first
    assert books.wallet() == (5, 0)


@pytest.mark.parametrize("amount_nusd", [0, -1, LARGEST_GRANT_NUSD + 1, 2**63])
def test_an_amount_that_makes_no_sense_is_not_granted(books: Books, amount_nusd: int) -> None:
    books.open()
    with (
        pytest.raises(InvalidParameterError) as refused,
        db.transaction() as session,
    ):
        ledger.grant(session, ALICE, amount_nusd)
    assert refused.value.param == "usd"
    assert books.wallet() == (0, 0)


def test_a_balance_never_outgrows_what_64_bits_add_up(books: Books) -> None:
    books.open()
    for _ in range(4):
        books.grant(LARGEST_GRANT_NUSD)
    with pytest.raises(InvalidParameterError):
        books.grant(LARGEST_GRANT_NUSD)
    assert books.wallet() == (4 * LARGEST_GRANT_NUSD, 0)
    assert books.violations() == []


def test_a_grant_that_has_expired_already_is_refused(books: Books, clock: StoppedClock) -> None:
    books.open()
    with pytest.raises(InvalidParameterError), db.transaction() as session:
        ledger.grant(session, ALICE, 5, expires_at_ms=int(clock.read() * 1000))


def test_nobody_grants_to_a_workspace_that_is_not_there(books: Books) -> None:
    with pytest.raises(NotFoundError), db.transaction() as session:
        ledger.grant(session, "wks_nobody", 5)
    with pytest.raises(NotFoundError), db.reading() as session:
        ledger.balance_nusd(session, "wks_nobody")


def test_a_house_account_is_made_once(books: Books) -> None:
    with db.transaction() as session:
        first = house_account(session, "cost_of_goods:sandbox")
        assert house_account(session, "cost_of_goods:sandbox") == first
    assert books.rows("SELECT kind, balance_nusd FROM accounts WHERE name LIKE 'cost%'") == [
        ("cost_of_goods", None)
    ]


def test_a_transfer_that_would_overdraw_is_refused_by_the_database(books: Books) -> None:
    books.open(cash_nusd=5)
    cash = books.value("SELECT id FROM accounts WHERE kind = 'cash'")
    goodwill = books.value("SELECT id FROM accounts WHERE name = 'goodwill'")
    payment = Payment(cash, goodwill, 6, "adjustment", "a:1")
    with pytest.raises(DBAPIError, match="not_negative"), db.transaction() as session:
        transfer(session, payment, ALICE)
    assert books.wallet() == (5, 0)
