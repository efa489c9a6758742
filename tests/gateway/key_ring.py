"""A workspace and its keys, for tests of the gateway; each verb is a transaction of its own."""

from collections.abc import Mapping
from typing import Any

import clock
import db
from gateway import keys, ledger
from gateway.callers import Caller
from models import Audit, Cap, CapWindow, Key, Member, User, Workspace

WORKSPACE = "wks_alice"
ANYWHERE = "203.0.113.9"


def open_workspace(workspace_id: str = WORKSPACE, **fields: Any) -> str:
    with db.transaction() as session:
        session.add(Workspace(id=workspace_id, name="w", created_at=1, **fields))
        session.flush()
        ledger.open_books(session, workspace_id)
    return workspace_id


def add_member(user_id: str, workspace_id: str = WORKSPACE) -> str:
    with db.transaction() as session:
        session.add(User(id=user_id, email=f"{user_id}@example.com", created_at=1))
        session.flush()
        session.add(Member(workspace_id=workspace_id, user_id=user_id, role="member", created_at=1))
    return user_id


def make(
    workspace_id: str = WORKSPACE, maker: Caller | None = None, **fields: Any
) -> tuple[str, str]:
    """A new key's id and its text."""
    new = keys.NewKey(workspace_id=workspace_id, **{"name": "test", **fields})
    with db.transaction() as session:
        key, text = keys.create(session, new, "usr_alice", maker=maker)
        return key.id, text


def change(key_id: str, changes: Mapping[str, object], **options: Any) -> Key:
    with db.transaction() as session:
        return keys.update(session, key_id, changes, "usr_alice", **options)


def stop(key_id: str) -> Key:
    with db.transaction() as session:
        return keys.stop(session, key_id, "usr_alice")


def start(key_id: str) -> Key:
    with db.transaction() as session:
        return keys.start(session, key_id, "usr_alice")


def write(row: object) -> None:
    with db.transaction() as session:
        session.add(row)


def record(key_id: str) -> dict[str, Any]:
    with db.reading() as session:
        return keys.record_of(session, key_id)


def caps(key_id: str) -> list[tuple[str, int]]:
    with db.reading() as session:
        rows = session.query(Cap).filter_by(subject="key", subject_id=key_id).all()
        return [(row.period, row.limit_nusd) for row in rows]


def add_cap(period: str, limit_nusd: int, subject: str, subject_id: str) -> None:
    write(
        Cap(
            workspace_id=WORKSPACE,
            subject=subject,
            subject_id=subject_id,
            period=period,
            limit_nusd=limit_nusd,
            created_at=clock.now_ms(),
        )
    )


def use_window(key_id: str, starts_on: str, used_nusd: int, held_nusd: int) -> None:
    """Write down what a key's limit has used and holds in a period."""
    with db.transaction() as session:
        cap = session.query(Cap).filter_by(subject="key", subject_id=key_id).one()
        session.add(
            CapWindow(
                cap_id=cap.id,
                starts_on=starts_on,
                used_nusd=used_nusd,
                held_nusd=held_nusd,
                ceiling_nusd=cap.limit_nusd,
            )
        )


def audited() -> list[tuple[str, str, str | None, str | None]]:
    with db.reading() as session:
        rows = session.query(Audit).order_by(Audit.id).all()
        return [(row.action, row.object, row.before, row.after) for row in rows]
