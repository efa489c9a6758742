"""What is forgotten after `TURNPIKE_RETENTION_DAYS`: attempts. Money is kept forever."""

from sqlalchemy import delete, select

import clock
import db
from models import Attempt

DAY_MS = 86_400_000
MOST_AT_ONCE = 500


def forget_old(days: int) -> int:
    """Delete the attempts that are older, a few at a time, and return how many.

    Raises: LedgerUnavailableError.
    """
    horizon = clock.now_ms() - days * DAY_MS
    forgotten = 0
    while True:
        with db.transaction() as session:
            old = session.scalars(
                select(Attempt.id).where(Attempt.started_at < horizon).limit(MOST_AT_ONCE)
            ).all()
            session.execute(delete(Attempt).where(Attempt.id.in_(old)))
        forgotten += len(old)
        if len(old) < MOST_AT_ONCE:
            return forgotten
