"""The audit log: in the transaction of the change, unalterable, and without a secret."""

import json

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

import db
from gateway import audit, key_text
from models import Audit, Workspace
from tests.clocks import StoppedClock
from tests.gateway.key_ring import audited


def record(**fields: object) -> None:
    row = {"actor": "cli", "workspace_id": None, "action": "keys.stop", "object_": "key_1"}
    with db.transaction() as session:
        audit.record(session, **{**row, **fields})  # type: ignore[arg-type]


def record_and_then(statement: str) -> None:
    with db.transaction() as session:
        audit.record(session, actor="cli", workspace_id=None, action="a", object_="b")
        session.execute(text(statement))


def open_and_record(after: dict[str, object]) -> None:
    with db.transaction() as session:
        session.add(Workspace(id="wks_1", name="w", created_at=1))
        audit.record(session, actor="cli", workspace_id=None, action="a", object_="b", after=after)


def test_a_row_says_who_did_what_to_what_and_when(database: Engine, clock: StoppedClock) -> None:
    record(workspace_id="wks_1", before={"state": "active"}, after={"state": "stopped"})
    with db.reading() as session:
        row = session.query(Audit).one()
    assert (row.actor, row.workspace_id, row.action) == ("cli", "wks_1", "keys.stop")
    assert (row.object, row.created_at) == ("key_1", int(clock.read() * 1000))
    assert json.loads(row.before or "") == {"state": "active"}
    assert json.loads(row.after or "") == {"state": "stopped"}


def test_what_was_not_before_is_null_and_not_empty(database: Engine) -> None:
    record(after={"name": "a"})
    assert audited() == [("keys.stop", "key_1", None, '{"name":"a"}')]


def test_a_change_that_fails_leaves_no_row(database: Engine) -> None:
    with pytest.raises(DatabaseError):
        record_and_then("INSERT INTO keys (id) VALUES ('key_1')")
    assert audited() == []


def test_a_change_fails_when_its_row_cannot_be_written(database: Engine) -> None:
    with pytest.raises(TypeError):
        open_and_record({"now": object()})
    with db.reading() as session:
        assert session.get(Workspace, "wks_1") is None


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_no_statement_alters_a_row(database: Engine, statement: str) -> None:
    record()
    with pytest.raises(DatabaseError), database.begin() as connection:
        connection.execute(text(statement))
    assert len(audited()) == 1


@pytest.mark.parametrize("name", sorted(audit.SECRET_NAMES))
def test_a_field_for_a_secret_is_a_defect(database: Engine, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        record(after={name: "x"})
    assert audited() == []


def test_a_key_in_a_name_is_cut_down_to_its_hint(database: Engine) -> None:
    key = key_text.mint("inference")
    record(after={"name": f"mine is {key}"})
    assert key not in str(audited())
    assert key_text.hint_of(key) in str(audited())
