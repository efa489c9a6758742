"""Any order of the verbs: the books equal a simple model of integers, and verify finds nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

import clock
import db
from gateway.ledger import Refusal
from gateway.ledger.lifeline import expire_of
from gateway.ledger.seals import Sealer
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import DAY, Books

CAP_NUSD = 400
WALLETS = ("wks_alice", "wks_bob")


@dataclass
class Model:
    """What the ledger must come to, reckoned with nothing but integers."""

    balance: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WALLETS, 0))
    holds: dict[str, tuple[str, int]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    used: int = 0
    house: int = 0

    def available(self, wallet: str) -> int:
        return self.balance[wallet] - self.held(wallet)

    def held(self, wallet: str) -> int:
        return sum(amount for owner, amount in self.holds.values() if owner == wallet)

    def affordable(self, wallet: str) -> int:
        """Only Alice's key has a cap."""
        if wallet != WALLETS[0]:
            return self.available(wallet)
        return min(self.available(wallet), CAP_NUSD - self.used - self.held(wallet))

    def resolve(self, name: str, cost: int) -> int:
        """The charge of a hold that ends at this cost."""
        wallet, amount = self.holds[name]
        stretched = amount + max(min(cost - amount, self.affordable(wallet)), 0)
        charge = min(cost, stretched)
        del self.holds[name]
        self.points.pop(name, None)
        self.balance[wallet] -= charge
        self.used += charge if wallet == WALLETS[0] else 0
        self.house += cost - charge
        return charge


amounts = st.integers(min_value=0, max_value=150)
wallets = st.sampled_from(WALLETS)
numbers = st.integers(min_value=0, max_value=11)
steps = st.one_of(
    st.tuples(st.just("grant"), wallets, st.integers(min_value=1, max_value=300)),
    st.tuples(st.just("hold"), wallets, amounts),
    st.tuples(st.just("hold"), wallets, amounts),
    st.tuples(st.just("extend"), numbers, amounts),
    st.tuples(st.just("checkpoint"), numbers, amounts),
    st.tuples(st.just("settle"), numbers, amounts),
    st.tuples(st.just("settle"), numbers, amounts),
    st.tuples(st.just("expire"), numbers, st.just(0)),
    st.tuples(st.just("seal"), numbers, st.just(0)),
)


class Run:
    """One sequence of steps, on the ledger and on the model."""

    def __init__(self, books: Books) -> None:
        self.books, self.model, self.names = books, Model(), list[str]()
        for wallet in WALLETS:
            books.open(wallet)
        self.windows = {WALLETS[0]: ((books.cap(CAP_NUSD), DAY),), WALLETS[1]: ()}

    def step(self, verb: str, subject: str | int, amount: int) -> None:
        getattr(self, f"_{verb}")(subject, amount)

    def compare(self) -> None:
        for wallet in WALLETS:
            expected = (self.model.balance[wallet], self.model.held(wallet))
            assert self.books.wallet(wallet) == expected
            assert self.model.available(wallet) >= 0
        used = self.books.rows("SELECT used_nusd, held_nusd FROM cap_windows")
        assert (used or [(0, 0)]) == [(self.model.used, self.model.held(WALLETS[0]))]
        overrun = self.books.value("SELECT COALESCE(SUM(overrun_nusd), 0) FROM generations")
        assert overrun == self.model.house
        assert self.books.violations() == []
        assert self.books.quick().ok

    def _grant(self, wallet: str, amount: int) -> None:
        self.books.grant(amount, wallet)
        self.model.balance[wallet] += amount

    def _hold(self, wallet: str, amount: int) -> None:
        name = f"gen-{len(self.names)}"
        is_granted = amount <= self.model.affordable(wallet)
        if not is_granted:
            with pytest.raises(Refusal) as refused:
                self.books.hold(name, amount, self.windows[wallet], wallet, worker_id=name)
            assert refused.value.affordable_nusd == self.model.affordable(wallet)
            return
        self.books.hold(name, amount, self.windows[wallet], wallet, worker_id=name)
        self.names.append(name)
        self.model.holds[name] = (wallet, amount)

    def _extend(self, number: int, amount: int) -> None:
        name, wallet = self._pick(number)
        is_granted = name in self.model.holds and amount <= self.model.affordable(wallet)
        if not is_granted:
            with pytest.raises(Refusal):
                self.books.extend(name, amount, self.windows[wallet], wallet)
            return
        self.books.extend(name, amount, self.windows[wallet], wallet)
        self.model.holds[name] = (wallet, self.model.holds[name][1] + amount)

    def _checkpoint(self, number: int, amount: int) -> None:
        name, wallet = self._pick(number)
        self.books.checkpoint(name, amount, wallet)
        if name in self.model.holds:
            self.model.points[name] = amount

    def _settle(self, number: int, cost: int) -> None:
        name, wallet = self._pick(number)
        settled = self.books.settle(name, cost, windows=self.windows[wallet], workspace_id=wallet)
        assert settled.is_lost == (name not in self.model.holds)
        if not settled.is_lost:
            assert settled.charge_nusd == self.model.resolve(name, cost)

    def _expire(self, number: int, _: int) -> None:
        name, _wallet = self._pick(number)
        ended = expire_of(self.books.writer, name)
        assert ended == (name in self.model.holds)
        if ended:
            cost = min(self.model.points.get(name, 0), self.model.holds[name][1])
            self.model.resolve(name, cost)

    def _seal(self, _number: int, _: int) -> None:
        Sealer(self.books.writer).run()

    def _pick(self, number: int) -> tuple[str, str]:
        if not self.names:
            return "gen-none", WALLETS[0]
        name = self.names[number % len(self.names)]
        with_wallet = self.books.rows("SELECT generation_id, workspace_id FROM holds")
        return name, str(dict(with_wallet)[name])


@pytest.fixture(scope="module")
def template(sqlite_template: Path) -> Path:
    return sqlite_template


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(plan=st.lists(steps, min_size=5, max_size=30))
def test_any_order_of_the_verbs_keeps_the_books(
    template: Path, plan: list[tuple[str, str | int, int]]
) -> None:
    stopped = StoppedClock()
    clock.set_source(stopped.read)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "turnpike.db"
        copyfile(template, path)
        engine = create_engine(f"sqlite:///{path}", **db.engine_options("sqlite://"))
        db.use(engine)
        books = Books(engine)
        try:
            run = Run(books)
            for step in plan:
                run.step(*step)
                stopped.advance(seconds=1)
            run.compare()
        finally:
            books.close()
            engine.dispose()
            clock.set_source(None)
