"""`flask db upgrade`, `flask backup` and `flask restore`."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

import db
import migrations
from cli.output import AS_JSON, Command, Failed, Group, Refused, emit

db_group = Group("db", help="The database's schema.")

FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
MARKS = ("alembic_version", "workspaces", "transfers")
"""Tables that every database of Turnpike's has."""


@db_group.command("upgrade")
@AS_JSON
def upgrade(*, as_json: bool) -> None:
    """Bring the database to the newest schema."""
    with nobody_serves("migrate"):
        was_current = is_current()
        if not was_current:
            migrations.upgrade(db.engine())
    text = "The database has the newest schema already." if was_current else "Migrated."
    emit({"ok": True, "migrated": not was_current}, as_json=as_json, text=text)


@click.command("backup", cls=Command)
@FILE
@AS_JSON
def backup(*, file: Path, as_json: bool) -> None:
    """Write a consistent copy of the database to FILE, also while a server runs."""
    source = _database('pg_dump --format=custom --file=%s "$DATABASE_URL"', file)
    if file.exists() and file.samefile(source):
        raise Refused(f"{file} is the database itself. Name another file.")
    with _drafted(file) as draft:
        _copy(source, draft)
    size = file.stat().st_size
    emit({"ok": True, "file": str(file), "bytes": size}, as_json=as_json, text=f"Wrote {file}.")


@click.command("restore", cls=Command)
@FILE
@AS_JSON
def restore(*, file: Path, as_json: bool) -> None:
    """Put the copy in FILE in the place of the database; no server may be running."""
    target = _database('pg_restore --clean --if-exists --dbname="$DATABASE_URL" %s', file)
    if not file.is_file():
        raise Refused(f"There is no file {file}.")
    if target.exists() and file.samefile(target):
        raise Refused(f"{file} is the database itself. Name a copy.")
    with nobody_serves("restore"):
        with _drafted(target) as draft:
            _copy(file, draft)
            _check(draft, file)
            _empty_log(target)
        was_current = is_current()
    more = "" if was_current else " It has an older schema: run `flask db upgrade`."
    emit(
        {"ok": True, "is_current": was_current},
        as_json=as_json,
        text=f"Restored {file}.{more} Then run `flask ledger verify`.",
    )


def prepare() -> None:
    """Bring a database that isn't there yet, or is an older one, to the newest schema.

    Raises: Refused while a server runs on an older one.
    """
    if not is_current():
        with nobody_serves("migrate"):
            migrations.upgrade(db.engine())


def is_current() -> bool:
    """Whether the database has the newest schema."""
    return migrations.is_current(db.engine())


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


def _database(line_for_postgres: str, file: Path) -> Path:
    if not db.is_sqlite():
        line = line_for_postgres % file
        raise Refused(f"This is for SQLite. On Postgres run: {line}")
    return Path(db.engine().url.database or "")


@contextmanager
def _drafted(file: Path) -> Iterator[Path]:
    """Give a new file beside `file`, its owner's alone, that becomes `file` at the end."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.draft")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        _sync(draft)
        draft.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise Failed(f"{file} can't be written: {error.strerror}.") from error
    finally:
        for rest in ("", "-wal", "-shm", "-journal"):
            draft.with_name(draft.name + rest).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # a copy can be read without being written
    except sqlite3.Error as error:
        raise Failed(f"{source} can't be copied: {error}.") from error


def _check(draft: Path, file: Path) -> None:
    """Refuse what isn't a whole database of Turnpike's."""
    try:
        with closing(sqlite3.connect(draft)) as copy:
            [verdict] = copy.execute("PRAGMA integrity_check(1)").fetchone()
            names = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise Refused(f"{file} is no SQLite database: {error}.") from error
    if verdict != "ok" or not names.issuperset(MARKS):
        reason = "damaged" if verdict != "ok" else "no database of Turnpike's"
        raise Refused(f"{file} is {reason}. Nothing was changed.")


def _empty_log(database: Path) -> None:
    """Fold the old database's log into it, so that none is left beside the new one.

    Raises: Refused while somebody reads it: what is in the log would be lost.
    """
    db.engine().dispose()
    is_busy = 0
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(database)) as old:
        is_busy = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if is_busy:
        raise Refused(f"Another program has {database} open. Close it, then restore.")
    for rest in ("-wal", "-shm"):
        database.with_name(database.name + rest).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
