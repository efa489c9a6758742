"""The chain of seals: whole, appended by one of many, and recomputed by a stranger."""

import hashlib
import random
import threading

import pytest
from sqlalchemy import text

import db
from errors import NotFoundError
from gateway.ledger import seals
from gateway.ledger.proofs import prove
from gateway.ledger.seals import Sealer
from gateway.ledger.writer import Writer
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, USD, Books


def sha256(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def places(books: Books) -> list[tuple[int, ...]]:
    return books.rows("SELECT seal_seq, position, transfer_id FROM seal_entries ORDER BY 1, 2")


def test_nothing_is_sealed_where_nothing_moved(books: Books) -> None:
    assert Sealer(books.writer).run() == 0
    assert books.rows("SELECT * FROM seals") == []


def test_each_transfer_is_sealed_once_in_the_order_of_the_ids(books: Books) -> None:
    sealer = Sealer(books.writer)
    books.open(bonus_nusd=USD)
    books.call("gen-1", 5, 5)
    assert sealer.run() == 2
    assert sealer.run() == 0
    books.call("gen-2", 5, 5)
    assert sealer.run() == 1
    ids = [row[0] for row in books.rows("SELECT id FROM transfers ORDER BY id")]
    assert places(books) == [(1, 0, ids[0]), (1, 1, ids[1]), (2, 0, ids[2])]
    assert books.rows("SELECT seq, transfer_count FROM seals ORDER BY seq") == [(1, 2), (2, 1)]
    roots = dict(books.rows("SELECT seq, root FROM seals"))
    previous = dict(books.rows("SELECT seq, previous_root FROM seals"))
    assert previous == {1: "0" * 64, 2: roots[1]}
    assert books.violations() == []


def test_a_backlog_is_sealed_in_chunks(books: Books) -> None:
    books.open(bonus_nusd=USD)
    for _ in range(600):
        books.pay_in(1)
    assert Sealer(books.writer).run() == 601
    counts = [row[0] for row in books.rows("SELECT transfer_count FROM seals ORDER BY seq")]
    assert counts == [256, 256, 89]
    report = books.verify()
    assert report.ok
    assert report.checked["unsealed"] == 0


def test_the_unsealed_tail_is_told_and_no_fault(books: Books) -> None:
    books.open(bonus_nusd=USD)
    Sealer(books.writer).run()
    books.call("gen-1", 5, 5)
    report = books.verify()
    assert report.ok
    assert report.checked["unsealed"] == 1


def test_sealers_that_race_leave_one_chain(books: Books) -> None:
    books.open(bonus_nusd=USD)
    writers = [Writer(is_synced=False) for _ in range(4)]
    is_over = threading.Event()

    def run(sealer: Sealer) -> None:
        while not is_over.is_set():
            sealer.run()

    threads = [threading.Thread(target=run, args=(Sealer(writer),)) for writer in writers]
    for thread in threads:
        thread.start()
    for number in range(40):
        books.call(f"gen-{number}", 5, 5)
    is_over.set()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    Sealer(books.writer).run()
    assert len(places(books)) == 41
    assert books.violations() == []


@pytest.mark.postgres
def test_a_transfer_that_is_committed_late_is_sealed_late(
    postgres_books: Books, clock: StoppedClock
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    sealer = Sealer(books.writer)
    insert = (
        "INSERT INTO transfers (debit_account_id, credit_account_id, amount_nusd, kind,"
        " idempotency_key, created_at, hash) SELECT 1, 2, 5, 'late', 'late', 0, 'ff'"
    )
    with books.engine.connect() as slow:
        slow.execute(text(insert))
        books.call("gen-1", 5, 5)
        assert sealer.run() == 2
        clock.advance(seconds=3)
        slow.commit()
    assert sealer.run() == 1
    assert [row[2] for row in places(books)] == [1, 3, 2]


@pytest.mark.postgres
def test_a_transfer_that_was_late_when_the_server_stopped_is_sealed_at_the_next_start(
    postgres_books: Books, clock: StoppedClock
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    Sealer(books.writer).run()
    clock.advance(minutes=30)
    with books.engine.connect() as slow:
        slow.execute(
            text(
                "INSERT INTO transfers (debit_account_id, credit_account_id, amount_nusd, kind,"
                " idempotency_key, created_at, hash) SELECT 1, 2, 5, 'late', 'late', 0, 'ff'"
            )
        )
        for number in range(3):
            books.call(f"gen-{number}", 5, 5)
            Sealer(books.writer).run()
            clock.advance(seconds=6)
        slow.commit()
    clock.advance(days=3)
    assert Sealer(books.writer).run() == 1


def test_the_tree_of_any_size_leads_from_each_leaf_to_its_root() -> None:
    chance = random.Random(7)  # noqa: S311 - numbers for a test
    for count in [*range(1, 20), 64, 65, 255, 256]:
        leaves = [chance.randbytes(32) for _ in range(count)]
        root = seals.merkle(leaves)
        for position in range(count):
            assert climb(leaves[position].hex(), seals.path(leaves, position)) == root.hex()


def test_a_leaf_never_passes_for_an_inner_node() -> None:
    left, right = seals.leaf(1, "aa", None, None), seals.leaf(2, "bb", None, None)
    assert seals.merkle([left, right]) != hashlib.sha256(left + right).digest()
    assert seals.merkle([left, right, left]) != seals.merkle([left, right, left, left])


def climb(node: str, path: list[dict[str, str]]) -> str:
    """From a leaf to the root, as a stranger does it."""
    for step in path:
        pair = (step["hash"] + node) if step["side"] == "left" else (node + step["hash"])
        node = sha256(b"\x01" + bytes.fromhex(pair))
    return node


def test_a_stranger_recomputes_a_receipt_up_to_the_newest_root(
    books: Books, clock: StoppedClock
) -> None:
    books.open(bonus_nusd=30)
    books.grant(USD)
    sealer = Sealer(books.writer)
    for number in range(9):
        books.call(f"gen-{number}", 50, 40)
        if number % 4 == 3:
            clock.advance(seconds=1)
            sealer.run()
    sealer.run()
    with db.reading() as session:
        proof = prove(session, "gen-0")

    links = {link["seq"]: link for link in proof["chain"]["links"]}
    assert [transfer["amount_nusd"] for transfer in proof["transfers"]] == [30, 10]
    for transfer in proof["transfers"]:
        fields = ("debit_account_id", "credit_account_id", "amount_nusd", "kind",
                  "idempotency_key", "workspace_id", "generation_id", "created_at")  # fmt: skip
        row_hash = sha256("|".join(str(transfer[field]) for field in fields))
        assert row_hash == transfer["hash"] == transfer["hash_recomputed"]
        number = transfer["id"].removeprefix("tr_")
        leaf = sha256(f"\x00{number}|{row_hash}||{proof['receipt']['receipt_sha256']}")
        assert leaf == transfer["leaf"]
        seal = transfer["seal"]
        assert climb(leaf, seal["path"]) == links[seal["seq"]]["merkle_root"]
    previous_root = "0" * 64
    for seq, link in sorted(links.items()):
        assert link["previous_root"] == previous_root
        previous_root = sha256(
            f"{previous_root}|{link['merkle_root']}|{seq}|{link['transfer_count']}"
            f"|{link['created_at']}"
        )
        assert link["root"] == previous_root
    assert proof["newest_seal"] == {"seq": 3, "root": previous_root}
    assert proof["chain"]["is_complete"]
    assert proof["is_sealed"]
    assert proof["unsealed_transfers"] == 0
    assert proof["receipt"]["seal"] == {"seq": 1, "root": links[1]["root"]}


def test_a_proof_says_when_the_call_is_not_sealed_yet(books: Books) -> None:
    books.open(bonus_nusd=USD)
    Sealer(books.writer).run()
    books.call("gen-1", 50, 40)
    with db.reading() as session:
        proof = prove(session, "gen-1")
    assert not proof["is_sealed"]
    assert proof["transfers"][0]["seal"] is None
    assert proof["unsealed_transfers"] == 1
    assert proof["chain"] == {"links": [], "is_complete": False}
    assert proof["receipt"]["seal"] is None


def test_a_call_that_moved_no_money_has_nothing_to_prove(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.call("gen-1", 50, 0)
    with db.reading() as session:
        proof = prove(session, "gen-1")
    assert proof["transfers"] == []
    assert not proof["is_sealed"]
    assert proof["newest_seal"] is None


def test_a_long_chain_is_cut_and_says_so(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.proofs.MOST_LINKS", 2)
    books.open(bonus_nusd=USD)
    for number in range(4):
        books.call(f"gen-{number}", 50, 40)
        Sealer(books.writer).run()
    with db.reading() as session:
        chain = prove(session, "gen-1")["chain"]
    assert [link["seq"] for link in chain["links"]] == [2, 3]
    assert not chain["is_complete"]


def test_another_workspaces_call_is_not_there(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.call("gen-1", 50, 40)
    with db.reading() as session:
        assert prove(session, "gen-1", ALICE)["generation_id"] == "gen-1"
        for workspace_id, generation_id in (("wks_bob", "gen-1"), (None, "gen-2")):
            with pytest.raises(NotFoundError):
                prove(session, generation_id, workspace_id)


def test_a_patched_file_gives_itself_away(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.call("gen-1", 50, 40)
    Sealer(books.writer).run()
    [(debit, credit, at)] = books.rows(
        "SELECT debit_account_id, credit_account_id, created_at FROM transfers WHERE kind = 'usage'"
    )
    patched = sha256(f"{debit}|{credit}|39|usage|gen-1:settle:1|{ALICE}|gen-1|{at}")
    books.tamper(
        f"UPDATE transfers SET amount_nusd = 39, hash = '{patched}' WHERE kind = 'usage'",  # noqa: S608
        "UPDATE generations SET charge_nusd = 39",
        "UPDATE usage_days SET charge_nusd = 39",
        "UPDATE wallets SET posted_nusd = posted_nusd + 1",
        "UPDATE accounts SET balance_nusd = balance_nusd + 1 WHERE kind = 'bonus'",
    )
    told = books.violations()
    assert any("seal 1 doesn't recompute" in line for line in told)
    assert {line[:3] for line in told} == {"I13"}
