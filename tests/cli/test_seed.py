"""`flask seed`: thirty days that the books can prove."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import func, select

import clock
import db
from cli import demo
from gateway import callers, key_text, setup
from gateway.ledger.verify import verify
from models import Attempt, Generation, Transfer, UsageDay, Wallet

Run = Callable[..., Result]
Answer = Callable[..., Any]


@pytest.mark.slow
def test_a_seeded_workspace_has_thirty_days_that_verify(answer: Answer, run: Run) -> None:
    made = answer("seed")
    assert (made["made"], made["calls"]) == (demo.CALLS, demo.CALLS)
    with db.reading() as session:
        report = verify(session)
        assert (report.ok, report.violations) == (True, [])
        days = session.scalar(select(func.count(UsageDay.day.distinct())))
        rules = set(session.scalars(select(Generation.rule).distinct()))
        charged = session.scalar(select(func.sum(Generation.charge_nusd)))
        spent = session.scalar(
            select(func.sum(Transfer.amount_nusd)).where(Transfer.kind == "usage")
        )
        attempts = session.scalar(select(func.count()).select_from(Attempt))
        oldest, newest = session.execute(
            select(func.min(Transfer.created_at), func.max(Transfer.created_at))
        ).one()
        wallet = session.get_one(Wallet, demo.WORKSPACE)
        caller = callers.load(session, key_text.hash_of(made["key"]))
    assert days in (demo.DAYS, demo.DAYS + 1)
    assert rules == {"b", "c", "i", "e", "f", "g"}
    assert charged == spent
    assert attempts is not None
    assert attempts > demo.CALLS
    assert wallet.posted_nusd == demo.CREDIT_NUSD - (spent or 0)
    assert wallet.posted_nusd > 0
    assert newest - oldest > (demo.DAYS - 2) * demo.DAY_MS
    assert newest <= clock.now_ms()
    assert caller is not None
    assert caller.workspace_id == demo.WORKSPACE
    again = answer("seed")
    assert (again["made"], again["key"]) == (0, None)
    assert "nothing was added" in run("seed").stdout


def test_a_seed_that_was_interrupted_goes_on_where_it_was(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "CALLS", 20)
    plan = list(demo.plan(0))
    monkeypatch.setattr(demo, "plan", lambda begins_ms: iter(_moved(plan[:8], begins_ms)))
    assert answer("seed")["made"] == 8
    monkeypatch.setattr(demo, "plan", lambda begins_ms: iter(_moved(plan, begins_ms)))
    assert answer("seed")["made"] == 12
    with db.reading() as session:
        assert verify(session).ok
        assert session.scalar(select(func.count()).select_from(Generation)) == 20


def _moved(calls: list[demo.PlannedCall], begins_ms: int) -> list[demo.PlannedCall]:
    return [dataclasses.replace(call, at_ms=call.at_ms + begins_ms) for call in calls]


def test_a_seeded_database_is_still_a_new_one(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "CALLS", 3)
    answer("seed")
    assert setup.first_run() is not None
