"""The first start, and the one set-up that makes the first operator.

What stands between a stranger and an operator's rights is the row `setup` of the options. It keeps
the hash of a one-time code; it is made once and closed once, each time by a guarded statement, so
that of any number of racers one wins.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

import clock
import db
from errors import ConflictError, InvalidParameterError, NotFoundError
from gateway import audit, keys, ledger, passwords, workspaces
from gateway.catalog import Catalog, ModelEntry
from models import Option, User
from money import USD
from settings import Settings

ROW = "setup"
ACTOR = "setup"
TRIAL_NUSD = 5 * USD
CODE_BYTES = 24
SANDBOX_MODEL = "sandbox/echo"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - only compared
"""Addresses to listen on that nobody can be sent to, and where this machine answers instead."""

DONE = "This server has been set up already. Ask its operator for an account."
WRONG_CODE = (
    "The set-up code is wrong or was replaced. Open the newest link that the server printed, or "
    "make a new one with: .venv/bin/flask setup-code"
)
NO_MODEL = (
    "No model can be called yet. Set a provider's key, such as OPENAI_API_KEY, or "
    "TURNPIKE_SANDBOX=on, and start again."
)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What is shown once, at the first start."""

    key: str
    code: str
    workspace_id: str


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    code_sha256: str = ""
    workspace_id: str | None = None
    is_closed: bool = False


def first_run() -> FirstRun | None:
    """Prepare a new database: a workspace with trial credit, a first key and a set-up code.

    None on one that was prepared before or has users; several processes may try at once.
    Raises: LedgerUnavailableError.
    """
    code = secrets.token_urlsafe(CODE_BYTES)
    with db.transaction() as session:
        if session.scalar(select(User.id).limit(1)) is not None or not _insert_row(session):
            return None
        workspace = workspaces.open_workspace(session, "First workspace", actor=ACTOR)
        ledger.grant(session, workspace.id, TRIAL_NUSD, note="trial credit")
        new = keys.NewKey(workspace_id=workspace.id, name="first key")
        _, key = keys.create(session, new, ACTOR)
        row = _Row(code_sha256=_hash(code), workspace_id=workspace.id)
        _replace_row(session, _Row(), row)
    return FirstRun(key, code, workspace.id)


def new_code() -> str:
    """Return a new one-time code, which takes the place of the one before.

    Raises: ConflictError once there is an operator; LedgerUnavailableError.
    """
    code = secrets.token_urlsafe(CODE_BYTES)
    with db.transaction() as session:
        _insert_row(session)
        row = _row(session)
        new = msgspec.structs.replace(row, code_sha256=_hash(code))
        if _is_done(session, row) or not _replace_row(session, row, new):
            raise ConflictError(DONE)
    return code


def check_open() -> None:
    """Pass while this server has no operator yet.

    Raises: NotFoundError, LedgerUnavailableError.
    """
    with db.reading() as session:
        if _is_done(session, _row(session)):
            raise NotFoundError(DONE)


def claim(code: str, email: str, password: str) -> tuple[User, str]:
    """Make the first operator, and close set-up for good.

    Return them, and the first workspace, which is theirs now.

    Raises: NotFoundError when it is closed; InvalidParameterError, its `param` code, email or
    password; ConflictError for an address that is taken; LedgerUnavailableError.
    """
    with db.reading() as session:
        row = _row(session)
        if _is_done(session, row):
            raise NotFoundError(DONE)
    if not row.code_sha256 or not hmac.compare_digest(row.code_sha256, _hash(code)):
        raise InvalidParameterError(WRONG_CODE, param="code")
    workspaces.check_email(email)
    password_hash = passwords.hash_password(password)
    with db.transaction() as session:
        closed = _Row(workspace_id=row.workspace_id, is_closed=True)
        if not _replace_row(session, row, closed) or _is_done(session, _Row()):
            raise NotFoundError(DONE)
        user = workspaces.add_user(
            session, email, is_operator=True, password_hash=password_hash, actor=ACTOR
        )
        workspace_id = (
            row.workspace_id
            or workspaces.open_workspace(session, workspaces.name_for(user), actor=ACTOR).id
        )
        workspaces.join(session, workspace_id, user.id, "owner")
        audit.record(
            session, actor=user.id, workspace_id=workspace_id, action="setup.claim", object_=user.id
        )
    return user, workspace_id


def close(session: Session) -> None:
    """Close set-up for good: an operator was made in another way."""
    _insert_row(session)
    row = _row(session)
    _replace_row(session, row, msgspec.structs.replace(row, code_sha256="", is_closed=True))


def welcome(settings: Settings, first: FirstRun | None, catalog: Catalog) -> str:
    """Return what a start prints: the address, and on a new database how to begin."""
    base = base_url(settings)
    lines = [f"Turnpike is at {base}"]
    if first is not None:
        model = callable_model(catalog)
        lines += [
            "",
            "Set it up (this link works once):",
            f"  {base}/setup?code={first.code}",
            "",
            f"The first key, with $5.00 of trial credit, in workspace {first.workspace_id}:",
            f"  {first.key}",
            "",
            "Try it:" if model else NO_MODEL,
            *([f"  {curl_line(base, first.key, model)}"] if model else []),
            "",
            "Key and link are shown this once.",
        ]
    return "\n".join(lines)


def base_url(settings: Settings) -> str:
    """Return where people reach this server, as far as the settings say."""
    if settings.public_url:
        return settings.public_url
    host = ANYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{settings.port}"


def curl_line(base: str, key: str, model: str) -> str:
    """Return a chat call that works as it is pasted into a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    return (
        f'curl {base}/v1/chat/completions -H "Authorization: Bearer {key}"'
        f" -H \"Content-Type: application/json\" -d '{body}'"
    )


def callable_model(catalog: Catalog) -> str | None:
    """Return a chat model to try: the sandbox's while it is on, else the cheapest with a price."""
    sandbox = catalog.models.get(SANDBOX_MODEL)
    if sandbox is not None and sandbox.routes:
        return sandbox.id
    priced = [
        (price, entry.id)
        for entry in catalog.models.values()
        if _is_chat(entry) and (price := _price(entry)) is not None
    ]
    return min(priced)[1] if priced else None


def _is_chat(entry: ModelEntry) -> bool:
    return "text" in entry.config.output and any("chat" in route.apis for route in entry.routes)


def _price(entry: ModelEntry) -> int | None:
    price = entry.describe()
    if price is None or price.input is None or price.output is None:
        return None
    return price.input + price.output


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _is_done(session: Session, row: _Row) -> bool:
    an_operator = select(User.id).where(User.is_operator).limit(1)
    return row.is_closed or session.scalar(an_operator) is not None


def _row(session: Session) -> _Row:
    value = session.scalar(select(Option.value).where(Option.name == ROW))
    return _Row() if value is None else msgspec.json.decode(value, type=_Row)


def _insert_row(session: Session) -> bool:
    """Make the row; False where it is there already. Another process that makes it is awaited."""
    insert = sqlite.insert if db.is_sqlite() else postgresql.insert
    values = {"name": ROW, "value": _json(_Row()), "source": ACTOR, "updated_at": clock.now_ms()}
    made = session.execute(
        insert(Option).values(**values).on_conflict_do_nothing().returning(Option.name)
    )
    return made.first() is not None


def _replace_row(session: Session, old: _Row, new: _Row) -> bool:
    """Write the row unless somebody else has changed it: of many with the same `old`, one may."""
    changed = session.execute(
        update(Option)
        .where(Option.name == ROW, Option.value == _json(old))
        .values(value=_json(new), updated_at=clock.now_ms())
        .returning(Option.name)
    )
    return changed.first() is not None


def _json(row: _Row) -> str:
    return msgspec.json.encode(row).decode()
