"""Who is calling: from the key that was presented to what it may do. Never authorizes money.

A key is refused by its checksum before anything is looked up. What was found is kept in memory until
`revisions` says that any key, member, user, workspace or limit has changed, so that a key that was stopped
is dead within two seconds on every worker.
"""

import hashlib
import ipaddress
import threading
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

import clock
import db
from errors import ForbiddenError, InvalidKeyError
from gateway import key_text, revisions
from models import Cap, Key, User, Workspace

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_UNKNOWN = 10_000
UNKNOWN = "This API key isn't valid. Check it, or make a new one in the console under API keys."


@dataclass(frozen=True, slots=True)
class CapRef:
    """A spending limit that weighs on a caller; its state is only ever read inside a hold."""

    cap_id: int
    period: str


@dataclass(frozen=True, slots=True)
class Caller:
    """A valid key and what stands behind it. None in a list of what is allowed allows all."""

    key_id: str
    workspace_id: str
    user_id: str | None
    kind: str
    name: str
    hint: str
    rpm: int | None
    models: frozenset[str] | None
    networks: tuple[Network, ...] | None
    platform: str | None
    expires_at: int | None
    caps: tuple[CapRef, ...]
    time_zone: str
    next_time_zone: str | None
    next_zone_on: str | None
    has_every_class: bool
    unlocked_classes: frozenset[str]
    created_at: int

    def day(self, instant_ms: int) -> str:
        """Return the workspace's local date; a changed zone holds from its next local midnight."""
        today = _local_day(instant_ms, self.time_zone)
        if self.next_time_zone and self.next_zone_on and today >= self.next_zone_on:
            return max(_local_day(instant_ms, self.next_time_zone), self.next_zone_on)
        return today

    def may_call(self, model_id: str) -> bool:
        """Whether the key's list of models has this one."""
        return self.models is None or model_id in self.models


class _Known:
    """What was looked up at one revision."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.callers: dict[bytes, Caller] = {}
        self.unknown: set[bytes] = set()


class _Memory:
    known = _Known(-1)
    looking = threading.Lock()


_memory = _Memory()


def find(bearer: str, address: str) -> Caller:
    """Return who presents this key from this address.

    Unknown, malformed, stopped and expired keys can't be told apart.
    Raises: InvalidKeyError, ForbiddenError for the address, LedgerUnavailableError.
    """
    if not key_text.is_sound(bearer):
        raise InvalidKeyError(UNKNOWN)
    revision = revisions.number("keys")
    known = _memory.known
    if known.revision != revision:
        known = _memory.known = _Known(revision)
    digest = hashlib.sha256(bearer.encode()).digest()
    caller = known.callers.get(digest)
    if caller is None:
        caller = _look_up(known, digest)
    if caller.expires_at is not None and caller.expires_at <= clock.now_ms():
        raise InvalidKeyError(UNKNOWN)
    if caller.networks is not None and not _is_allowed(address, caller.networks):
        raise ForbiddenError(
            "This key can't be used from your address. Call from an allowed one, or have it added."
        )
    return caller


def forget() -> None:
    """Drop what was looked up: another database is in use."""
    _memory.known = _Known(-1)


def _look_up(known: _Known, digest: bytes) -> Caller:
    if digest in known.unknown:
        raise InvalidKeyError(UNKNOWN)
    with _memory.looking:
        caller = known.callers.get(digest)
        if caller is not None:
            return caller
        with db.reading() as session:
            caller = load(session, digest.hex())
    if caller is None:
        if len(known.unknown) >= MOST_UNKNOWN:
            known.unknown.clear()
        known.unknown.add(digest)
        raise InvalidKeyError(UNKNOWN)
    known.callers[digest] = caller
    return caller


def load(session: Session, hash_: str) -> Caller | None:
    """Read a key and all that stands behind it; None unless it is in force."""
    found = session.execute(
        select(Key, Workspace)
        .join(Workspace, Workspace.id == Key.workspace_id)
        .where(Key.hash == hash_, Key.state == "active", Workspace.state == "active")
    ).first()
    if found is None:
        return None
    key, workspace = found
    if key.user_id is not None:
        user = session.get(User, key.user_id)
        if user is None or user.state != "active":
            return None
    subjects = {"key": key.id, "member": key.user_id, "workspace": key.workspace_id}
    caps = session.scalars(
        select(Cap).where(Cap.workspace_id == key.workspace_id).order_by(Cap.id)
    ).all()
    return Caller(
        key_id=key.id,
        workspace_id=key.workspace_id,
        user_id=key.user_id,
        kind=key.kind,
        name=key.name,
        hint=key.hint,
        rpm=key.rpm,
        models=frozenset(_listed(key.models)) if key.models is not None else None,
        networks=_networks(key.ips),
        platform=key.platform,
        expires_at=key.expires_at,
        caps=tuple(
            CapRef(cap.id, cap.period) for cap in caps if subjects[cap.subject] == cap.subject_id
        ),
        time_zone=workspace.time_zone,
        next_time_zone=workspace.next_time_zone,
        next_zone_on=workspace.next_zone_on,
        has_every_class=workspace.has_every_class,
        unlocked_classes=frozenset(_listed(workspace.unlocked_classes)),
        created_at=key.created_at,
    )


def _listed(text: str) -> list[str]:
    return msgspec.json.decode(text, type=list[str])


def _networks(text: str | None) -> tuple[Network, ...] | None:
    if text is None:
        return None
    return tuple(ipaddress.ip_network(part, strict=False) for part in _listed(text))


def _is_allowed(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def _local_day(instant_ms: int, time_zone: str) -> str:
    if time_zone == "UTC":
        return _utc_day(instant_ms // 86_400_000)
    return datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(time_zone)).date().isoformat()


@lru_cache(maxsize=8)
def _utc_day(number: int) -> str:
    return clock.from_ms(number * 86_400_000).date().isoformat()
