"""Each invariant is broken on purpose, past every guard, and found."""

import pytest

import db
from gateway.ledger.seals import Sealer
from tests.gateway.ledger.books import ALICE, DAY, USD, Books

BROKEN = [
    ("I1", "UPDATE accounts SET balance_nusd = balance_nusd + 1 WHERE kind = 'bonus'"),
    ("I2", "UPDATE wallets SET posted_nusd = posted_nusd + 1"),
    ("I2", "UPDATE accounts SET balance_nusd = balance_nusd + 1 WHERE kind = 'bonus'"),
    ("I2", "UPDATE transfers SET amount_nusd = amount_nusd - 1 WHERE kind = 'grant'"),
    ("I3", "UPDATE wallets SET held_nusd = held_nusd + 1"),
    ("I3", "DELETE FROM holds WHERE state = 'open'"),
    ("I4", "UPDATE wallets SET held_nusd = posted_nusd + 1"),
    ("I4", "UPDATE accounts SET balance_nusd = -1 WHERE kind = 'cash'"),
    ("I5", "UPDATE attempts SET generation_id = 'gen-no' || number WHERE generation_id = 'gen-1'"),
    ("I5", "DELETE FROM generations"),
    ("I5", "DELETE FROM holds WHERE state = 'settled'"),
    ("I5", "UPDATE holds SET state = 'released' WHERE state = 'settled'"),
    ("I5", "UPDATE holds SET amount_nusd = amount_nusd + 1 WHERE state = 'settled'"),
    ("I6", "UPDATE generations SET charge_nusd = charge_nusd - 1"),
    ("I6", "UPDATE generations SET insured_nusd = 1"),
    ("I6", "DELETE FROM transfers WHERE kind = 'usage'"),
    ("I6", "UPDATE transfers SET generation_id = 'gen-nobody' WHERE kind = 'usage'"),
    ("I6", "UPDATE transfers SET workspace_id = 'wks_bob' WHERE kind = 'usage'"),
    ("I7", "UPDATE generations SET charge_nusd = hold_nusd + 1"),
    ("I8", "UPDATE holds SET created_at = created_at - 961000 WHERE state = 'open'"),
    ("I9", "UPDATE cap_windows SET used_nusd = ceiling_nusd + 1"),
    ("I9", "UPDATE cap_windows SET used_nusd = used_nusd - 1"),
    ("I9", "UPDATE cap_windows SET held_nusd = held_nusd - 1"),
    (
        "I12",
        "UPDATE transfers SET credit_account_id = (SELECT id FROM accounts WHERE name = 'suspense')"
        " WHERE kind = 'usage'",
    ),
    ("I13", "UPDATE transfers SET hash = '00' WHERE kind = 'usage'"),
    ("I13", "UPDATE transfers SET created_at = created_at + 1 WHERE kind = 'usage'"),
    ("I13", "UPDATE transfers SET corrects_id = 1 WHERE kind = 'usage'"),
    ("I13", "UPDATE generations SET output_tokens = 7"),
    ("I13", "UPDATE generations SET receipt_sha256 = '00'"),
    ("I13", "UPDATE seals SET root = '00'"),
    ("I13", "UPDATE seals SET previous_root = '00'"),
    ("I13", "UPDATE seals SET created_at = created_at + 1"),
    ("I13", "UPDATE seals SET transfer_count = transfer_count + 1"),
    ("I13", "DELETE FROM seals WHERE seq = 1"),
    ("I13", "DELETE FROM seal_entries WHERE position = 0"),
    ("I14", "UPDATE usage_days SET charge_nusd = charge_nusd + 1"),
    ("I14", "UPDATE usage_days SET calls = calls + 1"),
    ("I14", "DELETE FROM usage_days"),
    ("I14", "UPDATE generations SET latency_ms = latency_ms + 1"),
]


@pytest.fixture
def busy(books: Books) -> Books:
    """Books with one settled call, one open hold and two seals."""
    books.open(ALICE, bonus_nusd=10 * USD)
    books.open("wks_bob", bonus_nusd=USD)
    windows = ((books.cap(USD), DAY),)
    books.hold("gen-1", 5_000_000, windows)
    books.settle("gen-1", 3_062_500, windows=windows)
    Sealer(books.writer).run()
    books.hold("gen-2", 5_000_000, windows)
    books.call("gen-3", 5_000_000, 1)
    Sealer(books.writer).run()
    return books


def test_sound_books_are_clean_and_say_what_was_checked(busy: Books) -> None:
    report = busy.verify()
    assert report.violations == []
    assert report.ok
    assert report.checked == {
        "I1": 14, "I2": 16, "I3": 2, "I4": 16, "I5": 7, "I6": 6, "I7": 2, "I8": 3, "I9": 3,
        "I12": 14, "I13": 8, "I14": 1, "unsealed": 0,
    }  # fmt: skip
    assert busy.quick().ok


@pytest.mark.parametrize(("invariant", "statement"), BROKEN, ids=str)
def test_a_broken_invariant_is_found(busy: Books, invariant: str, statement: str) -> None:
    busy.tamper(statement)
    report = busy.verify()
    assert not report.ok
    assert invariant in {violation.invariant for violation in report.violations}
    assert all(violation.detail for violation in report.violations)


@pytest.mark.parametrize(
    ("invariant", "statement"),
    [row for row in BROKEN if row[0] in ("I2", "I3", "I4") and "accounts" not in row[1]],
    ids=str,
)
def test_the_check_of_every_minute_finds_what_the_caches_show(
    busy: Books, invariant: str, statement: str
) -> None:
    busy.tamper(statement)
    found = {violation.invariant for violation in busy.quick().violations}
    assert (invariant in found) == ("transfers" not in statement)


def test_two_transfers_that_trade_their_places_are_found(busy: Books) -> None:
    assert busy.violations() == []
    busy.tamper("UPDATE seal_entries SET position = 5 - position WHERE seal_seq = 1")
    assert any("seal 1 doesn't recompute" in line for line in busy.violations())


def test_an_old_hold_of_a_worker_that_beats_is_no_fault(busy: Books) -> None:
    busy.tamper(
        "UPDATE holds SET created_at = created_at - 961000 WHERE state = 'open'",
        "INSERT INTO workers (id, host, pid, started_at, heartbeat_at)"
        " SELECT worker_id, 'h', 1, 0, created_at + 961000 FROM holds WHERE state = 'open'",
    )
    assert busy.violations() == []


def test_at_most_a_hundred_violations_of_a_kind_are_told(sqlite_books: Books) -> None:
    for number in range(120):
        sqlite_books.open(f"wks_{number}")
    sqlite_books.tamper("UPDATE wallets SET posted_nusd = 1")
    told = [v for v in sqlite_books.verify().violations if v.invariant == "I2"]
    assert len(told) == 100


@pytest.mark.postgres
def test_a_verification_beside_a_running_server_sees_one_instant(postgres_books: Books) -> None:
    from gateway.ledger.verify import on_one_snapshot, verify  # noqa: PLC0415

    postgres_books.open(bonus_nusd=USD)
    with db.reading() as session:
        on_one_snapshot(session)
        assert session.connection().get_isolation_level() == "REPEATABLE READ"
        assert verify(session).checked["I6"] == 1
        postgres_books.call("gen-1", 5, 5)
        assert verify(session).checked["I6"] == 1
