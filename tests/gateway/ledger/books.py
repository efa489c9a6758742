"""A bookkeeper for tests: the ledger's verbs, with what a test doesn't care about filled in."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, text

import clock
import db
from gateway import ledger
from gateway.ledger import verbs
from gateway.ledger.accounts import house_account, transfer
from gateway.ledger.records import Payment
from gateway.ledger.verify import Report, quick, verify
from gateway.ledger.writer import Writer
from models import Account, Cap, Workspace

DAY = "2026-03-10"
USD = 1_000_000_000
ALICE = "wks_alice"


class Books:
    """The ledger of one database, with the writer of one process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writer = Writer(is_synced=False)
        self.worker_id = "wrk_here"
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self.writer.close()

    def open(self, workspace_id: str = ALICE, *, bonus_nusd: int = 0, cash_nusd: int = 0) -> str:
        """A workspace with that much money."""
        with db.transaction() as session:
            session.add(Workspace(id=workspace_id, name=workspace_id, created_at=clock.now_ms()))
            session.flush()
            ledger.open_books(session, workspace_id)
            if bonus_nusd:
                ledger.grant(session, workspace_id, bonus_nusd)
        if cash_nusd:
            self.pay_in(cash_nusd, workspace_id)
        return workspace_id

    def pay_in(self, amount_nusd: int, workspace_id: str = ALICE) -> None:
        """Paid money, as a top-up books it."""
        with db.transaction() as session:
            cash = session.query(Account).filter_by(workspace_id=workspace_id, kind="cash").one()
            clearing = house_account(session, "payment_clearing")
            key = f"pay:{next(self._numbers)}"
            transfer(session, Payment(clearing, cash.id, amount_nusd, "top_up", key), workspace_id)

    def grant(
        self, amount_nusd: int, workspace_id: str = ALICE, expires_at_ms: int | None = None
    ) -> None:
        with db.transaction() as session:
            ledger.grant(session, workspace_id, amount_nusd, expires_at_ms=expires_at_ms)

    def cap(
        self, limit_nusd: int, subject: str = "key", period: str = "day", workspace_id: str = ALICE
    ) -> int:
        """The number of a new cap."""
        with db.transaction() as session:
            cap = Cap(
                workspace_id=workspace_id,
                subject=subject,
                subject_id=f"{subject}_1",
                period=period,
                limit_nusd=limit_nusd,
                created_at=clock.now_ms(),
            )
            session.add(cap)
            session.flush()
            return cap.id

    def record(self, generation_id: str, workspace_id: str = ALICE) -> ledger.GenerationRecord:
        return ledger.GenerationRecord(
            id=generation_id,
            workspace_id=workspace_id,
            key_id="key_1",
            user_id=None,
            created_at=clock.now_ms(),
            day=DAY,
            api="chat",
            requested_model="small",
        )

    def hold(
        self,
        generation_id: str,
        amount_nusd: int,
        windows: verbs.Windows = (),
        workspace_id: str = ALICE,
        worker_id: str | None = None,
    ) -> None:
        order = ledger.HoldOrder(
            hold_id=f"hld_{generation_id}",
            record=self.record(generation_id, workspace_id),
            worker_id=worker_id or self.worker_id,
            amount_nusd=amount_nusd,
            windows=windows,
        )
        self.writer.submit(lambda pen: verbs.hold(pen, order), workspace_id)

    def extend(
        self,
        generation_id: str,
        amount_nusd: int,
        windows: verbs.Windows = (),
        workspace_id: str = ALICE,
    ) -> None:
        self.writer.submit(
            lambda pen: verbs.extend(pen, generation_id, workspace_id, amount_nusd, windows),
            workspace_id,
        )

    def settlement(
        self,
        generation_id: str,
        cost_nusd: int,
        windows: verbs.Windows = (),
        workspace_id: str = ALICE,
        insurance_limit_nusd: int | None = None,
        **columns: Any,
    ) -> ledger.Settlement:
        record = self.record(generation_id, workspace_id)
        columns = {"status": "ok", "rule": "b", "basis": "provider", "attempt_count": 1, **columns}
        columns = {"model": "small", "provider": "sandbox", **columns}
        for name, value in columns.items():
            setattr(record, name, value)
        attempt = ledger.AttemptRecord(
            id=f"att_{generation_id}",
            generation_id=generation_id,
            number=1,
            model="small",
            provider="sandbox",
            endpoint_id=None,
            upstream_model="small-1",
            price_version_id=record.price_version_id,
            outcome="answered",
            started_at=clock.now_ms(),
        )
        return ledger.Settlement(
            record=record,
            attempts=[attempt],
            cost_nusd=cost_nusd,
            windows=windows,
            insurance_limit_nusd=insurance_limit_nusd,
        )

    def settle(self, generation_id: str, cost_nusd: int, **more: Any) -> ledger.Settled:
        settlement = self.settlement(generation_id, cost_nusd, **more)
        return self.writer.submit(
            lambda pen: verbs.settle(pen, settlement), settlement.record.workspace_id
        )

    def call(self, generation_id: str, amount_nusd: int, cost_nusd: int) -> ledger.Settled:
        """A hold and its settlement."""
        self.hold(generation_id, amount_nusd)
        return self.settle(generation_id, cost_nusd)

    def checkpoint(self, generation_id: str, cost_nusd: int, workspace_id: str = ALICE) -> None:
        settlement = self.settlement(generation_id, cost_nusd, workspace_id=workspace_id)
        settlement.record.rule, settlement.record.status = "m", "lost"
        point = ledger.Checkpoint(
            generation=settlement.record, attempts=settlement.attempts, cost_nusd=cost_nusd
        )
        self.writer.submit(lambda pen: verbs.checkpoint(pen, point), workspace_id)

    def freeze(self, workspace_id: str = ALICE) -> None:
        self.sql(
            f"UPDATE wallets SET is_frozen = {self.true}"  # noqa: S608 - ours
            f" WHERE workspace_id = '{workspace_id}'"
        )

    @property
    def true(self) -> str:
        return "true" if self.engine.dialect.name == "postgresql" else "1"

    def sql(self, statement: str) -> None:
        """Somebody's own SQL, past every verb."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with db.reading() as session:
            return [tuple(row) for row in session.execute(text(query))]

    def value(self, query: str) -> Any:
        [(value,)] = self.rows(query)
        return value

    def wallet(self, workspace_id: str = ALICE) -> tuple[int, int]:
        """What it has posted, and what it holds."""
        with db.reading() as session:
            return ledger.balance_nusd(session, workspace_id)

    def verify(self) -> Report:
        with db.reading() as session:
            return verify(session)

    def quick(self) -> Report:
        with db.reading() as session:
            return quick(session)

    def violations(self) -> list[str]:
        """What breaks, as sentences with the invariant in front."""
        return [f"{v.invariant}: {v.detail}" for v in self.verify().violations]

    @contextmanager
    def without_guards(self) -> Iterator[None]:
        """What an intruder can do who owns the database: no trigger, no CHECK, no foreign key."""
        if self.engine.dialect.name == "postgresql":
            with self.engine.begin() as connection:
                for (table,) in connection.execute(
                    text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                ).all():
                    connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
                for table, name in connection.execute(
                    text(
                        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
                        " WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace"
                    )
                ).all():
                    connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
            yield
            return
        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            triggers = raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in triggers.fetchall():
                raw.execute(f"DROP TRIGGER {name}")
            connection.rollback()
        yield

    def tamper(self, *statements: str) -> None:
        """Run statements as such an intruder."""
        with self.without_guards():
            if self.engine.dialect.name == "postgresql":
                for statement in statements:
                    self.sql(statement)
                return
            with self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert raw is not None
                connection.rollback()
                raw.execute("PRAGMA foreign_keys=OFF")
                raw.execute("PRAGMA ignore_check_constraints=ON")
                for statement in statements:
                    raw.execute(statement)
                raw.execute("PRAGMA ignore_check_constraints=OFF")
                raw.execute("PRAGMA foreign_keys=ON")
