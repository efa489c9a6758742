"""The operator's commands on money: what they print, what they return, what they write."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

import db
from cli.money import credits, holds, ledger
from gateway.ledger.lifeline import Lifeline
from gateway.ledger.seals import Sealer
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, USD, Books


@pytest.fixture
def books(database: Engine, clock: StoppedClock) -> Iterator[Books]:
    books = Books(database)
    books.open(ALICE)
    yield books
    books.close()


def run(group: click.Group, *words: str) -> Result:
    return CliRunner().invoke(group, words)


def answer(group: click.Group, *words: str, exit_code: int = 0) -> Any:
    result = run(group, *words, "--json")
    assert (result.exit_code, result.stderr) == (exit_code, "")
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def grant(*words: str) -> Result:
    return run(credits, "grant", "--workspace", ALICE, *words, "--json")


def test_a_grant_prints_the_transfer_and_the_balance(books: Books) -> None:
    first = answer(credits, "grant", "--workspace", ALICE, "--usd", "10.00")
    second = answer(credits, "grant", "--workspace", ALICE, "--usd", "0.000000001")
    assert first["balance_usd"] == "10.00"
    assert second["balance_usd"] == "10.000000001"
    ids = [f"tr_{row[0]}" for row in books.rows("SELECT id FROM transfers ORDER BY id")]
    assert [first["transfer_id"], second["transfer_id"]] == ids
    assert set(first) == {"transfer_id", "balance_usd"}
    assert books.wallet() == (10 * USD + 1, 0)
    assert books.violations() == []


def test_a_grant_with_a_note_and_an_expiry_stands_in_the_audit_log(books: Books) -> None:
    granted = grant("--usd", "5", "--note", "sorry", "--expires-at", "2027-01-01T01:00:00+01:00")
    assert granted.exit_code == 0
    expires_at_ms = 1_798_761_600_000
    [(account_expiry,)] = books.rows("SELECT expires_at FROM accounts WHERE kind = 'bonus'")
    assert account_expiry == expires_at_ms
    [(actor, workspace_id, action, touched, after)] = books.rows(
        "SELECT actor, workspace_id, action, object, after FROM audit"
    )
    assert (actor, workspace_id, action) == ("cli", ALICE, "credits.grant")
    [(number,)] = books.rows("SELECT id FROM transfers")
    assert touched == f"tr_{number}"
    assert json.loads(after) == {
        "amount_nusd": 5 * USD, "expires_at": expires_at_ms, "note": "sorry"
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ("--usd", "-1"),
        ("--usd", "0"),
        ("--usd", "1e3"),
        ("--usd", "ten"),
        ("--usd", "0.0000000001"),
        ("--usd", "1000000001"),
        ("--usd", "1", "--expires-at", "tomorrow"),
        ("--usd", "1", "--expires-at", "2027-01-01T00:00:00"),
        ("--usd", "1", "--expires-at", "2020-01-01T00:00:00Z"),
        ("--usd", "1", "--workspace", "wks_nobody"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_exit_2(books: Books, words: tuple[str, ...]) -> None:
    result = grant(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert books.rows("SELECT * FROM audit") == []
    assert books.wallet() == (0, 0)


def test_a_grant_without_its_options_is_exit_2(books: Books) -> None:
    assert run(credits, "grant").exit_code == 2
    assert books.wallet() == (0, 0)


def test_a_database_that_cannot_be_reached_is_exit_1(
    sqlite_database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_PATIENCE_S", 0.05)
    with sqlite_database.connect() as other:
        other.begin()
        result = grant("--usd", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "can't be reached" in result.stderr


def test_sound_books_are_verified_with_exit_0(books: Books) -> None:
    books.grant(USD)
    books.call("gen-1", 50, 40)
    report = answer(ledger, "verify")
    assert report["ok"] is True
    assert report["violations"] == []
    assert report["checked"]["I6"] == 3
    assert report["checked"]["unsealed"] == 2
    spoken = run(ledger, "verify")
    assert (spoken.exit_code, "The books are sound." in spoken.stdout) == (0, True)


def test_broken_books_are_told_with_exit_1(books: Books) -> None:
    books.grant(USD)
    books.sql("UPDATE wallets SET held_nusd = 5")
    report = answer(ledger, "verify", exit_code=1)
    assert report["ok"] is False
    assert report["violations"] == [
        {"invariant": "I3", "detail": f"wallet {ALICE} holds 5 nano-USD, its open holds say 0"}
    ]
    spoken = run(ledger, "verify")
    assert spoken.exit_code == 1
    assert spoken.stdout.startswith(f"I3: wallet {ALICE}")


def test_the_dump_is_json_lines(books: Books) -> None:
    books.grant(USD)
    books.call("gen-1", 50, 40)
    result = run(ledger, "dump")
    kinds = [json.loads(line)["type"] for line in result.stdout.splitlines()]
    assert (result.exit_code, kinds.count("transfer"), kinds.count("hold")) == (0, 2, 1)
    assert kinds == sorted(kinds, key=["account", "transfer", "hold", "generation"].index)


def test_a_receipt_is_proven(books: Books) -> None:
    books.grant(USD)
    books.call("gen-1", 50, 40)
    Sealer(books.writer).run()
    proof = answer(ledger, "prove", "gen-1")
    assert proof["receipt"]["charge"]["amount_nusd"] == 40
    assert proof["newest_seal"]["root"] == proof["chain"]["links"][-1]["root"]
    unknown = run(ledger, "prove", "gen-2", "--json")
    assert (unknown.exit_code, unknown.stdout) == (2, "")


def test_without_a_server_every_hold_on_sqlite_is_a_dead_workers(sqlite_database: Engine) -> None:
    books = Books(sqlite_database)
    books.open(bonus_nusd=USD)
    Lifeline(books.worker_id, books.writer).beat()
    books.hold("gen-1", 50)
    assert answer(holds, "expire") == {"expired": 1}
    assert answer(holds, "expire") == {"expired": 0}
    assert books.wallet() == (USD, 0)
    books.close()


def test_beside_a_server_only_silent_workers_holds_expire(
    books: Books, clock: StoppedClock
) -> None:
    books.grant(USD)
    books.hold("gen-1", 50, worker_id="wrk_silent")
    Lifeline("wrk_silent", books.writer).beat()
    clock.advance(seconds=26)
    Lifeline(books.worker_id, books.writer).beat()
    books.hold("gen-2", 60)
    serving = db.ServingLock(Path(books.engine.url.database or "unused"))
    if db.is_sqlite():
        assert serving.acquire()
    try:
        assert answer(holds, "expire") == {"expired": 1}
    finally:
        serving.release()
    assert books.wallet() == (USD, 60)
    assert books.violations() == []
