"""The dump: every row of the books as a line, enough to add them up without this program."""

import json
from collections import defaultdict
from typing import Any

import db
from gateway.ledger.dump import dump
from tests.gateway.ledger.books import ALICE, DAY, USD, Books


def dumped(books: Books) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    with db.reading() as session:
        for line in dump(session):
            assert "\n" not in line
            row = json.loads(line)
            found[row.pop("type")].append(row)
    return found


def test_the_dump_adds_up_to_the_wallet(books: Books) -> None:
    books.open(bonus_nusd=USD, cash_nusd=5)
    for number in range(5):
        books.call(f"gen-{number}", 100, 7)
    books.hold("gen-9", 100)
    found = dumped(books)
    own = {a["id"] for a in found["account"] if a["workspace_id"] == ALICE}
    balance = sum(t["amount_nusd"] for t in found["transfer"] if t["credit_account_id"] in own)
    balance -= sum(t["amount_nusd"] for t in found["transfer"] if t["debit_account_id"] in own)
    held = sum(hold["amount_nusd"] for hold in found["hold"] if hold["state"] == "open")
    assert (balance, held) == books.wallet()
    assert sum(g["charge_nusd"] for g in found["generation"]) == 35
    assert {a["balance_nusd"] for a in found["account"] if a["workspace_id"] is None} == {None}


def test_what_is_json_in_a_column_is_json_in_the_dump(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(USD)
    books.hold("gen-1", 100, ((cap, DAY),))
    books.checkpoint("gen-1", 5)
    [hold] = dumped(books)["hold"]
    assert hold["cap_windows"] == [[cap, DAY]]
    assert hold["context"]["id"] == "gen-1"
    assert hold["checkpoint"]["cost_nusd"] == 5


def test_the_dump_is_a_stream(books: Books) -> None:
    books.open(bonus_nusd=USD)
    with db.reading() as session:
        lines = dump(session)
        assert json.loads(next(lines))["type"] == "account"
        lines.close()  # type: ignore[attr-defined]
