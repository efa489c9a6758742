"""Keys: made, changed, stopped and started again; who presents one is `callers`' business.

Every function takes a session and never commits: the key, its spending limit and the audit row
stand in one transaction. A limit counts from when it is set; one whose amount is changed goes on
counting, one whose reset is changed begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

import clock
import ids
from errors import ForbiddenError, InvalidParameterError, NotFoundError
from gateway import audit, key_rules, key_text
from gateway.callers import Caller, CapRef, find, forget
from gateway.key_records import record_of, records
from models import Cap, Key, Member, Workspace

__all__ = [
    "Caller",
    "CapRef",
    "NewKey",
    "create",
    "find",
    "forget",
    "record_of",
    "records",
    "start",
    "stop",
    "update",
]

_COLUMNS = ("name", "kind", "user_id", "rpm", "models", "ips", "platform", "expires_at")
_LIMIT = ("limit_nusd", "limit_reset")
_LISTS = ("models", "ips")
_FIXED = ("kind", "user_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key as it is asked for.

    `limit_reset` is daily, weekly, monthly or None for a limit over the key's whole life; `rpm` 0
    is no limit and None the default; None in a list allows all. Units: ms since 1970.
    """

    workspace_id: str
    name: str
    kind: str = "inference"
    user_id: str | None = None
    limit_nusd: int | None = None
    limit_reset: str | None = None
    rpm: int | None = None
    models: Sequence[str] | None = None
    ips: Sequence[str] | None = None
    platform: str | None = None
    expires_at: int | None = None


def create(
    session: Session, new: NewKey, actor: str, *, maker: Caller | None = None
) -> tuple[Key, str]:
    """Make a key, and return it with its text, which is kept nowhere.

    `maker` is the key that asks: the new one is never wider. Without it the caller has decided.
    Raises: InvalidParameterError, ForbiddenError, NotFoundError for the workspace.
    """
    wanted = key_rules.checked({name: getattr(new, name) for name in (*_COLUMNS, *_LIMIT)})
    key_rules.check_limit(wanted["limit_nusd"], wanted["limit_reset"])
    if session.get(Workspace, new.workspace_id) is None:
        raise NotFoundError(f"There is no workspace {new.workspace_id}.", param="workspace")
    if maker is not None:
        wanted["user_id"] = wanted["user_id"] or maker.user_id
        key_rules.check_not_wider(maker, new.workspace_id, wanted)
        _check_limit_within(session, maker, wanted)
    _check_member(session, new.workspace_id, wanted["user_id"])
    text = key_text.mint(wanted["kind"])
    now_ms = clock.now_ms()
    key = Key(
        id=ids.new_id("key_"),
        workspace_id=new.workspace_id,
        hash=key_text.hash_of(text),
        hint=key_text.hint_of(text),
        state="active",
        created_at=now_ms,
        updated_at=now_ms,
        **_kept({name: wanted[name] for name in _COLUMNS}),
    )
    session.add(key)
    session.flush()
    _set_limit(session, key, wanted["limit_nusd"], wanted["limit_reset"])
    _audit(session, key, actor, "create", after={"hint": key.hint, **wanted})
    return key, text


def update(
    session: Session,
    key_id: str,
    changes: Mapping[str, object],
    actor: str,
    *,
    within: str | None = None,
    maker: Caller | None = None,
) -> Key:
    """Change fields of a key, by the names of `NewKey`; what isn't named stays.

    A key of another workspace than `within` doesn't exist.
    Raises: InvalidParameterError, ForbiddenError, NotFoundError.
    """
    for name in _FIXED:
        if name in changes:
            raise InvalidParameterError(f"{name}: It never changes. Make a new key.", param=name)
    wanted = key_rules.checked(changes)
    key = _locked(session, key_id, within)
    before = _shown(session, key)
    after = {**before, **wanted}
    if "limit_nusd" in wanted and wanted["limit_nusd"] is None and "limit_reset" not in wanted:
        after["limit_reset"] = None
    key_rules.check_limit(after["limit_nusd"], after["limit_reset"])
    if maker is not None:
        key_rules.check_not_wider(maker, key.workspace_id, after)
        _check_limit_within(session, maker, after)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return key
    for name, value in _kept({name: after[name] for name in changed if name in _COLUMNS}).items():
        setattr(key, name, value)
    key.updated_at = clock.now_ms()
    if any(name in changed for name in _LIMIT):
        _set_limit(session, key, after["limit_nusd"], after["limit_reset"])
    _audit(
        session,
        key,
        actor,
        "update",
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return key


def stop(session: Session, key_id: str, actor: str, *, within: str | None = None) -> Key:
    """Stop a key: within two seconds of the commit it is dead everywhere. Twice is once.

    Raises: NotFoundError.
    """
    return _set_state(session, key_id, actor, within, "stopped")


def start(session: Session, key_id: str, actor: str, *, within: str | None = None) -> Key:
    """Let a stopped key be used again. Twice is once.

    Raises: NotFoundError.
    """
    return _set_state(session, key_id, actor, within, "active")


def _set_state(session: Session, key_id: str, actor: str, within: str | None, state: str) -> Key:
    key = _locked(session, key_id, within)
    if key.state == state:
        return key
    before = {"state": key.state}
    key.state = state
    key.updated_at = clock.now_ms()
    key.stopped_at = key.updated_at if state == "stopped" else None
    verb = "stop" if state == "stopped" else "start"
    _audit(session, key, actor, verb, before=before, after={"state": state})
    return key


def _locked(session: Session, key_id: str, within: str | None) -> Key:
    key = session.get(Key, key_id, with_for_update=True, populate_existing=True)
    if key is None or within not in (None, key.workspace_id):
        raise NotFoundError("There is no such key. GET /v1/keys lists yours.", param="id")
    return key


def _set_limit(session: Session, key: Key, limit_nusd: int | None, reset: str | None) -> None:
    period = key_rules.RESETS[reset]
    standing = None
    for cap in _limits(session, key.workspace_id, key.id):
        if limit_nusd is not None and cap.period == period:
            standing = cap
        else:
            session.delete(cap)
    if standing is not None and limit_nusd is not None:
        standing.limit_nusd = limit_nusd
    elif limit_nusd is not None:
        session.add(
            Cap(
                workspace_id=key.workspace_id,
                subject="key",
                subject_id=key.id,
                period=period,
                limit_nusd=limit_nusd,
                created_at=clock.now_ms(),
            )
        )
    session.flush()


def _limits(session: Session, workspace_id: str, key_id: str) -> Sequence[Cap]:
    return session.scalars(
        select(Cap)
        .where(Cap.workspace_id == workspace_id, Cap.subject == "key", Cap.subject_id == key_id)
        .order_by(Cap.id)
    ).all()


def _check_member(session: Session, workspace_id: str, user_id: str | None) -> None:
    if user_id is not None and session.get(Member, (workspace_id, user_id)) is None:
        raise InvalidParameterError(
            "user_id: Nobody in this workspace has this id. Name one of its members.",
            param="user_id",
        )


def _check_limit_within(session: Session, maker: Caller, wanted: Mapping[str, Any]) -> None:
    for cap in _limits(session, maker.workspace_id, maker.key_id):
        limit_nusd = wanted["limit_nusd"]
        is_within = limit_nusd is not None and limit_nusd <= cap.limit_nusd
        if not is_within or key_rules.RESETS[wanted["limit_reset"]] not in (cap.period, "lifetime"):
            raise ForbiddenError(
                "A key that is made with this one can't spend more than its maker. "
                "Set the same limit or a lower one."
            )


def _kept(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(value).decode() if name in _LISTS and value is not None else value
        for name, value in fields.items()
    }


def _shown(session: Session, key: Key) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(key, name) for name in _COLUMNS}
    for name in _LISTS:
        if shown[name] is not None:
            shown[name] = msgspec.json.decode(shown[name])
    caps = _limits(session, key.workspace_id, key.id)
    resets = {period: reset for reset, period in key_rules.RESETS.items()}
    shown["limit_nusd"] = caps[0].limit_nusd if caps else None
    shown["limit_reset"] = resets[caps[0].period] if caps else None
    return shown


def _audit(session: Session, key: Key, actor: str, verb: str, **told: dict[str, Any]) -> None:
    audit.record(
        session,
        actor=actor,
        workspace_id=key.workspace_id,
        action=f"keys.{verb}",
        object_=key.id,
        **told,
    )
