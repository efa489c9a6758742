"""People and their workspaces."""

import json

import pytest
from sqlalchemy import Engine, select

import db
from errors import ConflictError, InvalidParameterError
from gateway import workspaces
from models import Account, Audit, Member, User, Wallet, Workspace


def create(email: str, **options: object) -> tuple[User, Workspace]:
    with db.transaction() as session:
        return workspaces.create_user(session, email, actor="cli", **options)  # type: ignore[arg-type]


def test_a_user_owns_a_personal_workspace_with_empty_books(database: Engine) -> None:
    user, workspace = create("ada@example.com")
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
        wallet = session.get_one(Wallet, workspace.id)
        account = session.scalars(select(Account).where(Account.workspace_id.is_not(None))).one()
    assert (member.workspace_id, member.user_id, member.role) == (workspace.id, user.id, "owner")
    assert (wallet.posted_nusd, wallet.held_nusd) == (0, 0)
    assert (account.workspace_id, account.kind, account.balance_nusd) == (workspace.id, "cash", 0)
    assert (workspace.kind, workspace.has_every_class, workspace.name) == ("personal", True, "ada")
    assert (user.is_operator, user.password_hash, user.state) == (False, None, "active")


def test_an_address_is_kept_trimmed_and_in_lower_case(database: Engine) -> None:
    user, _ = create("  Ada.Lovelace@Example.COM\n")
    assert user.email == "ada.lovelace@example.com"


def test_an_address_is_taken_once_however_it_is_written(database: Engine) -> None:
    create("ada@example.com")
    with pytest.raises(ConflictError) as refused:
        create(" ADA@example.com ")
    assert refused.value.param == "email"
    with db.reading() as session:
        assert len(session.scalars(select(User)).all()) == 1
        assert len(session.scalars(select(Workspace)).all()) == 1


@pytest.mark.parametrize(
    "email",
    ["", " ", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "a@b\0c", "a@b\nc@d",
     "<ada@example.com>", f"{'a' * 251}@b.c"],
)  # fmt: skip
def test_what_is_no_address_is_refused(sqlite_database: Engine, email: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        create(email)
    assert refused.value.param == "email"


@pytest.mark.parametrize(
    "email", ["a@b", "ada+tag@mail.example.com", "用户@例子.公司", "o'hara@x.ie"]
)
def test_an_odd_address_is_an_address(sqlite_database: Engine, email: str) -> None:
    assert create(email)[0].email == email


def test_the_audit_log_says_who_made_whom_and_no_address_or_password(database: Engine) -> None:
    user, workspace = create("ada@example.com", is_operator=True, password_hash="$argon2id$canary")
    with db.reading() as session:
        rows = session.scalars(select(Audit).order_by(Audit.id)).all()
    assert [(row.actor, row.action, row.object) for row in rows] == [
        ("cli", "users.create", user.id),
        ("cli", "workspaces.create", workspace.id),
    ]
    assert json.loads(rows[0].after or "") == {"is_operator": True, "has_password": True}
    written = "".join((row.before or "") + (row.after or "") for row in rows)
    assert "ada@" not in written
    assert "canary" not in written
