"""Who changed what: one row for each change, in the transaction of the change itself.

A change whose row can't be written doesn't happen either. No statement can alter a row later
(`migrations/guards.py`), so nothing may stand in one that has to be deleted some day.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.orm import Session

import clock
from gateway import key_text
from models import Audit

SECRET_NAMES = frozenset({"hash", "key", "password", "password_hash", "secret", "secrets", "token"})
"""Fields whose value is never shown to anybody, so it isn't written down either."""


def record(
    session: Session,
    *,
    actor: str,
    workspace_id: str | None,
    action: str,
    object_: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an action such as "keys.create" on an object, by its id.

    `actor` is a user's or a key's id, or "cli". Of an update, `before` and `after` hold only what
    differs. A field for a secret is a defect: ValueError, and the change fails with it. A key that
    somebody has written into a name is cut down to its hint.
    """
    session.add(
        Audit(
            created_at=clock.now_ms(),
            actor=actor,
            workspace_id=workspace_id,
            action=action,
            object=object_,
            before=_written(before),
            after=_written(after),
        )
    )
    session.flush()


def _written(values: Mapping[str, Any] | None) -> str | None:
    if values is None:
        return None
    told = SECRET_NAMES & values.keys()
    if told:
        raise ValueError(f"a secret doesn't belong in the audit log: {', '.join(sorted(told))}")
    return key_text.redacted(msgspec.json.encode(values).decode())
