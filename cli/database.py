"""`flask db upgrade`, `flask backup` and `flask restore`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import db
import migrations
from cli.output import AS_JSON, Group, Refused, emit

db_group = Group("db", help="The database's schema.")


@db_group.command("upgrade")
@AS_JSON
def upgrade(*, as_json: bool) -> None:
    """Bring the database to the newest schema."""
    with nobody_serves("migrate"):
        was_current = migrations.is_current(db.engine())
        if not was_current:
            migrations.upgrade(db.engine())
    text = "The database has the newest schema already." if was_current else "Migrated."
    emit({"ok": True, "migrated": not was_current}, as_json=as_json, text=text)


@contextmanager
def nobody_serves(verb: str) -> Iterator[None]:
    """Keep servers off a SQLite file meanwhile.

    Raises: Refused while one serves it.
    """
    path = db.engine().url.database
    lock = db.ServingLock(Path(path)) if db.is_sqlite() and path else None
    if lock is not None and not lock.acquire():
        raise Refused(f"A server is serving {path}. Stop it, then {verb}.")
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
