"""`flask db upgrade`, `flask backup`, `flask restore` and `flask secrets rotate`."""

import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, select

import db
import migrations
from app import create_app
from gateway.catalog.store import bound_to
from gateway.ledger.verify import verify
from gateway.secrets import SecretBox
from models import Audit, Provider, User
from settings import Settings

Run = Callable[..., Result]
Answer = Callable[..., Any]
SQLITE_ONLY = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
OLD, NEW = "old-secret-key-of-thirty-two-bytes", "new-secret-key-of-thirty-two-bytes"


def refusal(result: Result, exit_code: int = 2) -> str:
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.count("\n") == 1
    return result.stderr


def file_of(database: Engine) -> Path:
    return Path(database.url.database or "")


def emails() -> list[str]:
    with db.reading() as session:
        return sorted(session.scalars(select(User.email)))


def test_an_upgrade_of_a_current_database_changes_nothing(answer: Answer) -> None:
    assert answer("db", "upgrade") == {"ok": True, "migrated": False}


def test_an_upgrade_brings_an_empty_file_to_the_newest_schema(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/new.db"))
    result = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert migrations.is_current(db.engine())
    db.engine().dispose()


@SQLITE_ONLY
@pytest.mark.parametrize("words", [("db", "upgrade"), ("restore", "copy.db")])
def test_what_needs_the_file_alone_is_refused_while_a_server_has_it(
    database: Engine, run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    shutil.copyfile(file_of(database), tmp_path / "copy.db")
    serving = db.ServingLock(file_of(database))
    assert serving.acquire()
    try:
        words = tuple(str(tmp_path / w) if w.endswith(".db") else w for w in words)
        assert "A server is serving" in refusal(run(*words))
    finally:
        serving.release()
    assert run(*words).exit_code == 0


@SQLITE_ONLY
def test_a_backup_is_restored_as_it_was(
    database: Engine, run: Run, answer: Answer, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    answer("users", "create", "ada@example.com")
    made = answer("backup", str(copy))
    assert made == {"ok": True, "file": str(copy), "bytes": copy.stat().st_size}
    answer("users", "create", "eve@example.com")
    assert emails() == ["ada@example.com", "eve@example.com"]
    assert answer("restore", str(copy)) == {"ok": True, "is_current": True}
    assert emails() == ["ada@example.com"]
    with db.reading() as session:
        assert verify(session).ok
    assert sorted(p.name for p in tmp_path.iterdir() if "draft" in p.name) == []


@SQLITE_ONLY
def test_a_backup_while_others_write_is_whole_and_its_owners_alone(
    database: Engine, run: Run, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with db.transaction() as session:
        session.add(User(id="usr_1", email="half@example.com", created_at=1))
        session.flush()
        assert run("backup", str(copy)).exit_code == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert opened.execute("SELECT COUNT(*) FROM users").fetchone() == (0,)


@SQLITE_ONLY
def test_what_is_no_backup_is_refused_and_changes_nothing(
    database: Engine, run: Run, answer: Answer, tmp_path: Path
) -> None:
    answer("users", "create", "ada@example.com")
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    refusal(run("restore", str(tmp_path / "text.db")), 1)
    assert "no database of Turnpike's" in refusal(run("restore", str(tmp_path / "other.db")))
    assert "There is no file" in refusal(run("restore", str(tmp_path / "missing.db")))
    assert "itself" in refusal(run("restore", str(file_of(database))))
    assert "itself" in refusal(run("backup", str(file_of(database))))
    assert "can't be written" in refusal(run("backup", str(tmp_path / "no" / "where.db")), 1)
    assert emails() == ["ada@example.com"]


@SQLITE_ONLY
def test_a_restore_is_refused_while_somebody_reads_what_it_would_replace(
    database: Engine, run: Run, answer: Answer, tmp_path: Path
) -> None:
    answer("backup", str(tmp_path / "copy.db"))
    with closing(sqlite3.connect(file_of(database), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM users").fetchone()
        answer("users", "create", "ada@example.com")
        assert "open" in refusal(run("restore", str(tmp_path / "copy.db")))
    assert emails() == ["ada@example.com"]


@SQLITE_ONLY
def test_a_copy_can_be_read_where_nothing_may_be_written(
    database: Engine, answer: Answer, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    answer("backup", str(copy))
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as opened:
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_on_postgres_the_line_to_run_is_named(run: Run, tmp_path: Path) -> None:
    assert "pg_dump --format=custom" in refusal(run("backup", str(tmp_path / "copy")))
    assert "pg_restore" in refusal(run("restore", str(tmp_path / "copy")))
    assert list(tmp_path.glob("copy*")) == []


def test_a_rotation_seals_with_the_newest_key(app: Flask, answer: Answer) -> None:
    app.config["TURNPIKE"] = Settings(secret_keys=(NEW, OLD))
    old, both, new = SecretBox((OLD,)), SecretBox((NEW, OLD)), SecretBox((NEW,))
    with db.transaction() as session:
        for slug, box in (("one", old), ("two", new)):
            secret = box.seal('["sk-canary"]', bound_to(slug))
            row = Provider(slug=slug, kind="openai", config="{}", secrets=secret, source="file")
            row.created_at = row.updated_at = 1
            session.add(row)
    assert answer("secrets", "rotate") == {"rotated": 1, "unchanged": 1}
    assert answer("secrets", "rotate") == {"rotated": 0, "unchanged": 2}
    with db.reading() as session:
        rows = session.scalars(select(Provider)).all()
        told = session.scalars(select(Audit)).one()
    assert all(both.is_newest(row.secrets or "") for row in rows)
    assert {new.open_sealed(row.secrets or "", bound_to(row.slug)) for row in rows} == {
        '["sk-canary"]'
    }
    assert (told.action, told.object) == ("secrets.rotate", "providers:one")


def test_a_rotation_without_the_old_key_changes_nothing(app: Flask, run: Run) -> None:
    app.config["TURNPIKE"] = Settings(secret_keys=(NEW,))
    sealed = SecretBox((OLD,)).seal('["sk-canary"]', bound_to("one"))
    with db.transaction() as session:
        row = Provider(slug="one", kind="openai", config="{}", secrets=sealed, source="file")
        row.created_at = row.updated_at = 1
        session.add(row)
    assert "TURNPIKE_SECRET_KEYS" in refusal(run("secrets", "rotate"))
    with db.reading() as session:
        assert session.scalars(select(Provider.secrets)).one() == sealed
