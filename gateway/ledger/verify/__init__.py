"""The proof that the books add up: every invariant of the ledger, derived anew from the rows.

`verify` reads everything; `quick` is the cheap subset for every minute, which trusts the balances
that accounts cache and so reads no transfer. Both look at one snapshot and work beside a running
server.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.orm import Session

import clock
from gateway.ledger.verify import chain, checks

MOST_VIOLATIONS = 100
"""The most that is told of each check; a broken book breaks in many rows."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One row that breaks an invariant."""

    invariant: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, by invariant and in rows, and what was found wrong.

    `checked["unsealed"]` is the tail of transfers that no seal covers yet: a figure, not a fault.
    """

    ok: bool
    checked: dict[str, int]
    violations: list[Violation]


def verify(session: Session) -> Report:
    """Check all that today's tables can show; a session that hasn't read yet sees one snapshot.

    I10 and I11 (orders and bonuses) have no tables to be checked against yet, and are left out.
    """
    on_one_snapshot(session)
    checked: Counter[str] = Counter()
    violations = _run(session, checks.ALL, checked)
    for invariant, detail in chain.broken(session, checked):
        violations.append(Violation(invariant, detail))
    return _report(checked, violations)


def quick(session: Session) -> Report:
    """Check I1 to I4 and I9 without reading the transfers or the past calls."""
    on_one_snapshot(session)
    checked: Counter[str] = Counter()
    return _report(checked, _run(session, checks.QUICK, checked))


def on_one_snapshot(session: Session) -> None:
    """Let a session that hasn't begun yet see the database as of one instant."""
    if not session.in_transaction() and session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def _run(session: Session, table: Iterable[checks.Check], checked: Counter[str]) -> list[Violation]:
    dialect = session.get_bind().dialect.name
    values = {"now": clock.now_ms(), "most": MOST_VIOLATIONS}
    violations = []
    for check in table:
        counting = text(f"SELECT COUNT(*) FROM {check.counted}")  # noqa: S608 - a name of ours
        checked[check.invariant] += session.scalar(counting) or 0
        query = text(f"{checks.for_dialect(check.broken, dialect)} LIMIT :most")
        for row in session.execute(query, values).mappings():
            facts = {name: _plain(value) for name, value in row.items()}
            violations.append(Violation(check.invariant, check.sentence.format(**facts)))
    return violations


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Decimal) else value


def _report(checked: Counter[str], violations: list[Violation]) -> Report:
    return Report(not violations, dict(checked), violations)
