"""People and their workspaces.

Every function takes a session and never commits, so that whoever makes a user, a workspace and a
key makes all of them or none.
"""

import re

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import clock
import ids
from errors import ConflictError, InvalidParameterError
from gateway import audit, ledger
from models import Member, User, Workspace

LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"/?#\x00-\x1f\x7f]+")


def create_user(
    session: Session,
    email: str,
    *,
    is_operator: bool = False,
    password_hash: str | None = None,
    actor: str,
) -> tuple[User, Workspace]:
    """Make a user and the personal workspace that comes with it, both by somebody's hand.

    Such a workspace may call models of every class.
    Raises: InvalidParameterError, ConflictError when the address is taken.
    """
    user = add_user(
        session, email, is_operator=is_operator, password_hash=password_hash, actor=actor
    )
    workspace = open_workspace(session, name_for(user), actor=actor)
    join(session, workspace.id, user.id, "owner")
    return user, workspace


def add_user(
    session: Session,
    email: str,
    *,
    is_operator: bool = False,
    password_hash: str | None = None,
    actor: str,
) -> User:
    """Make a user who is in no workspace yet.

    Raises: InvalidParameterError, ConflictError when the address is taken.
    """
    address = check_email(email)
    user = User(
        id=ids.new_id("usr_"),
        email=address,
        name="",
        password_hash=password_hash,
        is_operator=is_operator,
        state="active",
        token_version=0,
        created_at=clock.now_ms(),
    )
    taken = f"{address} is taken. Use another address, or the user that has it."
    if session.scalar(select(User.id).where(User.email == address)) is not None:
        raise ConflictError(taken, param="email")
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(taken, param="email") from error
    audit.record(
        session,
        actor=actor,
        workspace_id=None,
        action="users.create",
        object_=user.id,
        after={"is_operator": is_operator, "has_password": password_hash is not None},
    )
    return user


def open_workspace(session: Session, name: str, *, actor: str) -> Workspace:
    """Make a workspace with empty books and nobody in it; it may call models of every class."""
    workspace = Workspace(
        id=ids.new_id("wks_"),
        name=name,
        kind="personal",
        state="active",
        time_zone="UTC",
        has_every_class=True,
        unlocked_classes="[]",
        created_at=clock.now_ms(),
    )
    session.add(workspace)
    session.flush()
    ledger.open_books(session, workspace.id)
    audit.record(
        session,
        actor=actor,
        workspace_id=workspace.id,
        action="workspaces.create",
        object_=workspace.id,
        after={"kind": workspace.kind},
    )
    return workspace


def name_for(user: User) -> str:
    """Return what a user's personal workspace is called at first."""
    return user.email.partition("@")[0]


def join(session: Session, workspace_id: str, user_id: str, role: str) -> None:
    """Give a user a place in a workspace: owner, manager or member."""
    session.add(
        Member(workspace_id=workspace_id, user_id=user_id, role=role, created_at=clock.now_ms())
    )
    session.flush()


def check_email(text: str) -> str:
    """Return an address as it is kept: trimmed and in lower case.

    Raises: InvalidParameterError.
    """
    address = text.strip().lower()
    if len(address) > LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        raise InvalidParameterError(
            "That isn't an e-mail address. Write one such as ada@example.com.", param="email"
        )
    return address
