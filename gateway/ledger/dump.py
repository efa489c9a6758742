"""The books as JSON lines, for whoever wants to add them up without this program."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.ledger.verify import on_one_snapshot
from models import Account, Base, Generation, Hold, Transfer

TABLES: dict[str, type[Base]] = {
    "account": Account,
    "transfer": Transfer,
    "hold": Hold,
    "generation": Generation,
}
EMBEDDED = {"cap_windows", "context", "checkpoint", "units"}
"""Columns that are JSON themselves."""


def dump(session: Session) -> Iterator[str]:
    """Yield one line for each account, transfer, hold and generation, in the order of their ids.

    The columns keep their names; a session that hasn't read yet sees one snapshot.
    """
    on_one_snapshot(session)
    for name, model in TABLES.items():
        columns = model.__table__.c
        query = select(*columns).order_by(columns.id).execution_options(yield_per=1000)
        with session.execute(query) as rows:
            for row in rows.mappings():
                facts = {column: _embedded(column, value) for column, value in row.items()}
                yield msgspec.json.encode({"type": name, **facts}).decode()


def _embedded(column: str, value: Any) -> Any:
    return msgspec.Raw(value.encode()) if column in EMBEDDED and value else value
