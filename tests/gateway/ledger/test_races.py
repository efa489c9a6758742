"""A hundred at once, in one process and in two: never overdrawn, and nobody refused for nothing."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import db
from gateway.ledger import Refusal
from gateway.ledger.writer import Writer
from tests.gateway.ledger.books import DAY, Books

ROOT = Path(__file__).parents[3]

RACER = """
import sys
from sqlalchemy import create_engine
import db
from tests.gateway.ledger.books import ALICE, DAY, Books
from tests.gateway.ledger.test_races import race
url, name, cap = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = create_engine(url, **db.engine_options(url))
db.use(engine)
books = Books(engine)
print("ready", flush=True)
sys.stdin.readline()
import json
print(json.dumps(race(books, name, 100, 7, ((cap, DAY),))), flush=True)
books.close()
engine.dispose()
"""


def race(
    books: Books, name: str, count: int, amount_nusd: int, windows: tuple[tuple[int, str], ...]
) -> dict[str, int]:
    """So many holds at once; every second one is settled at once, for one nano-dollar less."""
    outcomes: list[str] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            books.hold(f"gen-{name}-{number}", amount_nusd, windows)
        except Refusal as refusal:
            outcomes.append(refusal.reason)
            return
        outcomes.append("held")
        if number % 2:
            books.settle(f"gen-{name}-{number}", amount_nusd - 1, windows=windows)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}


def test_a_hundred_at_once_spend_the_whole_balance_and_not_a_nano_dollar_more(
    books: Books,
) -> None:
    books.open(bonus_nusd=300)
    outcomes = race(books, "a", 100, 7, ())
    posted, held = books.wallet()
    assert posted - held >= 0
    assert outcomes["held"] >= 300 // 7
    assert sum(outcomes.values()) == 100
    assert books.violations() == []


def test_a_hundred_at_once_never_pass_a_cap(books: Books) -> None:
    books.open(bonus_nusd=1_000_000)
    cap = books.cap(300)
    outcomes = race(books, "a", 100, 7, ((cap, DAY),))
    [(used, held)] = books.rows("SELECT used_nusd, held_nusd FROM cap_windows")
    assert used + held <= 300
    assert outcomes["held"] >= 300 // 7
    assert books.violations() == []


@pytest.mark.parametrize(("balance_nusd", "limit_nusd"), [(300, 1_000_000), (1_000_000, 300)])
@pytest.mark.postgres
def test_two_processes_share_one_wallet_and_one_cap(
    postgres_books: Books, balance_nusd: int, limit_nusd: int
) -> None:
    books = postgres_books
    books.open(bonus_nusd=balance_nusd)
    cap = books.cap(limit_nusd)
    url = books.engine.url.render_as_string(hide_password=False)
    racers = [
        subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-c", RACER, url, name, str(cap)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0] for racer in racers]
    held = sum(json.loads(answer).get("held", 0) for answer in answers)
    assert held >= 300 // 7
    posted_nusd, held_nusd = books.wallet()
    assert posted_nusd - held_nusd >= 0
    [(used, in_flight)] = books.rows("SELECT used_nusd, held_nusd FROM cap_windows")
    assert used + in_flight <= min(limit_nusd, balance_nusd)
    assert books.violations() == []


def test_two_writers_beside_each_other_on_one_file(sqlite_books: Books) -> None:
    sqlite_books.open(bonus_nusd=300)
    other = Books(sqlite_books.engine)
    results: list[dict[str, int]] = []
    threads = [
        threading.Thread(target=lambda b=b, n=n: results.append(race(b, n, 50, 7, ())))
        for b, n in ((sqlite_books, "a"), (other, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    posted_nusd, held_nusd = sqlite_books.wallet()
    assert posted_nusd - held_nusd >= 0
    assert sum(result.get("held", 0) for result in results) >= 300 // 7
    assert sqlite_books.violations() == []


@pytest.mark.postgres
def test_a_batch_of_many_workspaces_never_waits_in_a_circle(postgres_books: Books) -> None:
    books = postgres_books
    names = [f"wks_{number}" for number in range(8)]
    for name in names:
        books.open(name, bonus_nusd=10_000)
    writers = [Writer(is_synced=False) for _ in range(3)]
    errors: list[Exception] = []

    def run(writer: Writer, number: int) -> None:
        actor = Books(books.engine)
        actor.writer = writer
        try:
            for turn in range(5):
                wallet = names[(number * 5 + turn * 3) % len(names)]
                name = f"gen-{id(writer)}-{number}-{turn}"
                actor.hold(name, 5, workspace_id=wallet)
                actor.settle(name, 4, workspace_id=wallet)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(writer, number))
        for writer in writers
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    assert errors == []
    assert books.violations() == []
    assert not db.is_sqlite()
