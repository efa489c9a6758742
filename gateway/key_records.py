"""A key as it is shown: what it may do, what it has used, and what is left of its limit.

`GET /v1/key` and the rows of `GET /v1/keys`, in OpenRouter's fields, each amount with an exact
`_nusd` twin. Days, weeks (from Monday) and months are the workspace's own. Null is not set, and
never zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

import clock
from errors import NotFoundError
from gateway.windows import Calendar, starts_on
from models import Cap, CapWindow, Key, UsageDay, Workspace
from money import usd_number

MOST_ROWS = 100
RESETS = {"day": "daily", "week": "weekly", "month": "monthly", "lifetime": None}
_PERIODS = {"usage": "lifetime", "usage_daily": "day", "usage_weekly": "week"} | {
    "usage_monthly": "month"
}


@dataclass(frozen=True, slots=True)
class _Limit:
    cap: Cap
    remaining_nusd: int


def record_of(session: Session, key_id: str) -> dict[str, Any]:
    """Return one key's record.

    Raises: NotFoundError.
    """
    key = session.get(Key, key_id)
    if key is None:
        raise NotFoundError("There is no such key. GET /v1/keys lists yours.", param="id")
    return _records(session, key.workspace_id, [key])[0]


def records(
    session: Session,
    workspace_id: str,
    *,
    with_stopped: bool = True,
    user_id: str | None = None,
    offset: int = 0,
    limit: int = MOST_ROWS,
) -> list[dict[str, Any]]:
    """Return the records of a workspace's keys, newest first, or of one member's."""
    wanted = select(Key).where(Key.workspace_id == workspace_id)
    if not with_stopped:
        wanted = wanted.where(Key.state == "active")
    if user_id is not None:
        wanted = wanted.where(Key.user_id == user_id)
    page = wanted.order_by(Key.created_at.desc(), Key.id).offset(offset).limit(limit)
    return _records(session, workspace_id, session.scalars(page).all())


def _records(session: Session, workspace_id: str, keys: Sequence[Key]) -> list[dict[str, Any]]:
    if not keys:
        return []
    workspace = session.get_one(Workspace, workspace_id)
    calendar = Calendar(workspace.time_zone, workspace.next_time_zone, workspace.next_zone_on)
    today = calendar.day(clock.now_ms())
    used = _used(session, workspace_id, keys, today)
    limits = _limits(session, workspace_id, keys, today)
    return [
        {
            **_identity(key),
            **_allowed(key),
            **_money_left(limits.get(key.id), calendar, today),
            **_usage(used.get(key.id, {})),
            "is_free_tier": not workspace.has_every_class,
            "rate_limit": {
                "requests": -1,
                "interval": "10s",
                "note": "This field is deprecated and safe to ignore; rpm is the limit.",
            },
            "free_model_daily_requests": None,
        }
        for key in keys
    ]


def _used(
    session: Session, workspace_id: str, keys: Sequence[Key], today: str
) -> dict[str, dict[str, int]]:
    charge = UsageDay.charge_nusd
    sums = [
        func.sum(charge)
        if period == "lifetime"
        else func.sum(case((UsageDay.day >= starts_on(period, today), charge), else_=0))
        for period in _PERIODS.values()
    ]
    rows = session.execute(
        select(UsageDay.key_id, *sums)
        .where(UsageDay.workspace_id == workspace_id, UsageDay.key_id.in_(_ids(keys)))
        .group_by(UsageDay.key_id)
    )
    return {
        row[0]: {name: int(amount) for name, amount in zip(_PERIODS, row[1:], strict=True)}
        for row in rows
    }


def _limits(
    session: Session, workspace_id: str, keys: Sequence[Key], today: str
) -> dict[str, _Limit]:
    """Return the limit of each key that has one; of several, the one with the least left."""
    now = case(
        *[(Cap.period == period, starts_on(period, today)) for period in RESETS], else_=today
    )
    rows = session.execute(
        select(Cap, func.coalesce(CapWindow.used_nusd + CapWindow.held_nusd, 0))
        .outerjoin(CapWindow, and_(CapWindow.cap_id == Cap.id, CapWindow.starts_on == now))
        .where(
            Cap.workspace_id == workspace_id, Cap.subject == "key", Cap.subject_id.in_(_ids(keys))
        )
        .order_by(Cap.id)
    )
    found: dict[str, _Limit] = {}
    for cap, taken_nusd in rows:
        limit = _Limit(cap, max(cap.limit_nusd - taken_nusd, 0))
        known = found.get(cap.subject_id)
        if known is None or limit.remaining_nusd < known.remaining_nusd:
            found[cap.subject_id] = limit
    return found


def _ids(keys: Sequence[Key]) -> list[str]:
    return [key.id for key in keys]


def _identity(key: Key) -> dict[str, Any]:
    is_management = key.kind == "management"
    return {
        "hash": key.id,
        "name": key.name,
        "label": key.hint,
        "hint": key.hint,
        "workspace_id": key.workspace_id,
        "creator_user_id": key.user_id,
        "is_management_key": is_management,
        "is_provisioning_key": is_management,
        "disabled": key.state != "active",
        "created_at": clock.iso(key.created_at),
        "updated_at": clock.iso(key.updated_at),
        "stopped_at": _instant(key.stopped_at),
        "expires_at": _instant(key.expires_at),
    }


def _allowed(key: Key) -> dict[str, Any]:
    return {
        "rpm": key.rpm,
        "models": _listed(key.models),
        "ips": _listed(key.ips),
        "platform": key.platform,
    }


def _money_left(limit: _Limit | None, calendar: Calendar, today: str) -> dict[str, Any]:
    amounts: dict[str, int | None] = {"limit": None, "limit_remaining": None}
    reset: str | None = None
    resets_at_ms: int | None = None
    if limit is not None:
        amounts = {"limit": limit.cap.limit_nusd, "limit_remaining": limit.remaining_nusd}
        reset = RESETS[limit.cap.period]
        resets_at_ms = calendar.resets_at_ms(limit.cap.period, today)
    return {
        **_both(amounts),
        "limit_reset": reset,
        "limit_resets_at": _instant(resets_at_ms),
        "include_byok_in_limit": False,
    }


def _usage(used: dict[str, int]) -> dict[str, Any]:
    amounts: dict[str, int | None] = {name: used.get(name, 0) for name in _PERIODS}
    amounts |= {f"byok_{name}": 0 for name in _PERIODS}
    return _both(amounts)


def _both(amounts: dict[str, int | None]) -> dict[str, Any]:
    numbers = {
        name: None if amount is None else usd_number(amount) for name, amount in amounts.items()
    }
    return numbers | {f"{name}_nusd": amount for name, amount in amounts.items()}


def _instant(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else clock.iso(instant_ms)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else msgspec.json.decode(text, type=list[str])
