"""Who is calling: from the key that was presented to what it may do. Never authorizes money.

What was looked up is kept in memory until `revisions` says that any key, member, user, workspace or
limit has changed, so that a key that was stopped is dead within two seconds on every worker. A
look-up belongs to the revision that was in force before it began, never to a later one. Callers who
present the same key at once wait for one look-up, and nobody waits for another key's.
"""

import hashlib
import ipaddress
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session

import clock
import db
from errors import ForbiddenError, InvalidKeyError, LedgerUnavailableError
from gateway import key_text, revisions
from gateway.windows import Calendar
from models import Cap, Key, Member, User, Workspace

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_UNKNOWN = 10_000
MOST_FAMILIAR = 100_000
PATIENCE_S = 3.0
UNKNOWN = "This API key isn't valid. Check it, or make a new one in the console under API keys."


@dataclass(frozen=True, slots=True)
class CapRef:
    """A spending limit that weighs on a caller; its state is only ever read inside a hold."""

    cap_id: int
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
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
    calendar: Calendar
    has_every_class: bool
    unlocked_classes: frozenset[str]
    created_at: int

    def day(self, instant_ms: int) -> str:
        """Return the workspace's local date."""
        return self.calendar.day(instant_ms)

    @property
    def time_zone(self) -> str:
        """The zone of the workspace's calendar, without a change that is under way."""
        return self.calendar.time_zone

    def may_call(self, model_id: str) -> bool:
        """Whether the key's list of models has this one."""
        return self.models is None or model_id in self.models


class _Known:
    """What was looked up at one revision, and what is being looked up right now."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.callers: dict[bytes, Caller] = {}
        self.unknown: set[bytes] = set()
        self.looking: dict[bytes, Future[Caller | None]] = {}


class _Memory:
    known = _Known(-1)
    familiar: set[bytes] = set()
    """Keys that were good when they were last looked up, at whatever revision."""


_memory = _Memory()


def find(
    bearer: str, address: str, before_look_up: Callable[[str], object] | None = None
) -> Caller:
    """Return who presents this key from this address.

    Unknown, malformed, stopped and expired keys can't be told apart. `before_look_up(address)` may
    raise to spare the database a key that nobody has presented lately.
    Raises: InvalidKeyError, ForbiddenError for the address, LedgerUnavailableError.
    """
    if len(bearer) != key_text.LENGTH or not bearer.isascii():
        raise InvalidKeyError(UNKNOWN)
    revision = revisions.number("keys")
    known = _memory.known
    if known.revision != revision:
        known = _memory.known = _Known(revision)
    digest = hashlib.sha256(bearer.encode()).digest()
    caller = known.callers.get(digest)
    if caller is None:
        if not key_text.is_sound(bearer) or digest in known.unknown:
            raise InvalidKeyError(UNKNOWN)
        if before_look_up is not None and digest not in _memory.familiar:
            before_look_up(address)
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
    _memory.familiar.clear()


def _look_up(known: _Known, digest: bytes) -> Caller:
    mine: Future[Caller | None] = Future()
    first = known.looking.setdefault(digest, mine)
    if first is mine:
        _answer(mine, known, digest)
    try:
        caller = first.result(PATIENCE_S)
    except TimeoutError as error:
        raise LedgerUnavailableError(db.DOWN, detail="a look-up hangs", retry_after_s=1) from error
    if caller is None:
        raise InvalidKeyError(UNKNOWN)
    return caller


def _answer(first: Future[Caller | None], known: _Known, digest: bytes) -> None:
    """Look a key up for all who wait, and remember the answer before they are told."""
    try:
        caller = known.callers.get(digest)  # the look-up before this one may have just ended
        if caller is None:
            with db.reading() as session:
                caller = load(session, digest.hex())
            _remember(known, digest, caller)
    except BaseException as error:
        is_ours = isinstance(error, Exception)
        first.set_exception(error if is_ours else LedgerUnavailableError(db.DOWN, retry_after_s=1))
        raise
    else:
        first.set_result(caller)
    finally:
        del known.looking[digest]


def _remember(known: _Known, digest: bytes, caller: Caller | None) -> None:
    if caller is None:
        if len(known.unknown) >= MOST_UNKNOWN:
            known.unknown.clear()
        known.unknown.add(digest)
        _memory.familiar.discard(digest)
        return
    known.callers[digest] = caller
    if len(_memory.familiar) >= MOST_FAMILIAR:
        _memory.familiar.clear()
    _memory.familiar.add(digest)


def load(session: Session, hash_: str) -> Caller | None:
    """Read a key and all that stands behind it; None unless it is in force.

    A member's key is in force only while the member is one.
    """
    rows = session.execute(_IN_FORCE, {"hash": hash_}).all()
    if not rows or not _is_behind(rows[0]):
        return None
    found = rows[0]
    return Caller(
        key_id=found.id,
        workspace_id=found.workspace_id,
        user_id=found.user_id,
        kind=found.kind,
        name=found.name,
        hint=found.hint,
        rpm=found.rpm,
        models=frozenset(_listed(found.models)) if found.models is not None else None,
        networks=networks(_listed(found.ips)) if found.ips is not None else None,
        platform=found.platform,
        expires_at=found.expires_at,
        caps=tuple(CapRef(row.cap_id, row.period) for row in rows if row.cap_id is not None),
        calendar=Calendar(found.time_zone, found.next_time_zone, found.next_zone_on),
        has_every_class=found.has_every_class,
        unlocked_classes=frozenset(_listed(found.unlocked_classes)),
        created_at=found.created_at,
    )


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses and networks; those of IPv4 inside IPv6 become what they stand for.

    Raises ValueError.
    """
    return tuple(_unmapped(ipaddress.ip_network(text, strict=False)) for text in texts)


def _unmapped(network: Network) -> Network:
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def _is_behind(found: Row[Any]) -> bool:
    return found.user_id is None or (found.user_state == "active" and found.role is not None)


def _listed(text: str) -> list[str]:
    return msgspec.json.decode(text, type=list[str])


def _is_allowed(address: str, allowed: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in allowed)


def _in_force() -> Select[*tuple[Any, ...]]:
    weighs = or_(
        and_(Cap.subject == "key", Cap.subject_id == Key.id),
        and_(Cap.subject == "member", Cap.subject_id == Key.user_id),
        and_(Cap.subject == "workspace", Cap.subject_id == Key.workspace_id),
    )
    return (
        select(
            *(Key.id, Key.workspace_id, Key.user_id, Key.kind, Key.name, Key.hint, Key.rpm),
            *(Key.models, Key.ips, Key.platform, Key.expires_at, Key.created_at),
            *(Workspace.time_zone, Workspace.next_time_zone, Workspace.next_zone_on),
            *(Workspace.has_every_class, Workspace.unlocked_classes),
            *(User.state.label("user_state"), Member.role),
            *(Cap.id.label("cap_id"), Cap.period),
        )
        .join(Workspace, Workspace.id == Key.workspace_id)
        .outerjoin(User, User.id == Key.user_id)
        .outerjoin(
            Member, and_(Member.workspace_id == Key.workspace_id, Member.user_id == Key.user_id)
        )
        .outerjoin(Cap, and_(Cap.workspace_id == Key.workspace_id, weighs))
        .where(Key.hash == bindparam("hash"), Key.state == "active", Workspace.state == "active")
        .order_by(Cap.id)
    )


_IN_FORCE = _in_force()
