"""Which price is charged on an endpoint, and the immutable versions that keep what it was.

The endpoint's own price goes before the model's, and that before the vendored list's; a price is
never guessed. A list price that jumps beyond threefold is written down and waits for the operator.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clock import now_ms
from gateway.catalog.entries import EndpointConfig, ModelConfig
from gateway.catalog.vendored import ENVIRONMENT, PriceList
from gateway.pricing import Price
from models import Audit, PriceVersion

LIST = "list"
JUMP = 3


@dataclass(frozen=True, slots=True)
class Effective:
    """What an endpoint charges and costs. `source` is the model's, or `list` for a list price."""

    price: Price
    cost: Price | None
    markup_bps: int
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """A model at a provider, with all that decides on its price."""

    model_id: str
    model: ModelConfig
    model_source: str
    endpoint: EndpointConfig
    provider_source: str
    markup_bps: int

    def effective(self, listed: PriceList) -> Effective | None:
        """Return its price by precedence, or None: then it is never routable."""
        at = self.endpoint
        from_list = listed.price_of(at.provider, at.upstream_model, self.model_id)
        own = at.price or self.model.price
        price = own or from_list
        if price is None:
            return None
        is_environment = self.provider_source == ENVIRONMENT
        markup_bps = self.model.markup_bps
        return Effective(
            price=price,
            cost=at.cost or (from_list if is_environment else None),
            markup_bps=self.markup_bps if markup_bps is None else markup_bps,
            source=self.model_source if own else LIST,
        )


def newest_versions(session: Session) -> dict[int, PriceVersion]:
    """Return the newest version of each endpoint, confirmed or not."""
    return _newest(session, confirmed_only=False)


def versions_in_force(session: Session) -> dict[int, PriceVersion]:
    """Return the newest confirmed version of each endpoint."""
    return _newest(session, confirmed_only=True)


def add_version(
    session: Session,
    endpoint_id: int,
    effective: Effective,
    in_force: PriceVersion | None,
    actor: str,
) -> PriceVersion:
    """Write a new version down, with an audit row.

    Returns it unconfirmed when it is a list price that jumps; the one in force stays so then.
    """
    waits = (
        effective.source == LIST
        and in_force is not None
        and in_force.source == LIST
        and jumps(msgspec.json.decode(in_force.price, type=Price), effective.price)
    )
    version = PriceVersion(
        endpoint_id=endpoint_id,
        price=_json(effective.price),
        cost=_json(effective.cost) if effective.cost else None,
        markup_bps=effective.markup_bps,
        source=effective.source,
        is_confirmed=not waits,
        created_at=now_ms(),
    )
    session.add(version)
    session.add(
        Audit(
            created_at=version.created_at,
            actor=actor,
            action="price.waits" if waits else "price.set",
            object=f"endpoints:{endpoint_id}",
            before=_described(in_force),
            after=_described(version),
        )
    )
    return version


def says(version: PriceVersion | None, effective: Effective) -> bool:
    """Whether a version says just this, so that no new one is needed."""
    return (
        version is not None
        and version.markup_bps == effective.markup_bps
        and msgspec.json.decode(version.price, type=Price) == effective.price
        and _cost_of(version) == effective.cost
    )


def jumps(old: Price, new: Price) -> bool:
    """Whether any bucket that both prices have differs by more than threefold."""
    return any(a > JUMP * b or b > JUMP * a for a, b in _pairs(old, new))


def _pairs(old: Price, new: Price) -> Iterable[tuple[int, int]]:
    sizes = {0, *(t.input_tokens for price in (old, new) for t in price.above)}
    for size in sizes:
        before, after = old.rates(size), new.rates(size)
        yield from ((before[k], after[k]) for k in before if k.endswith("_tokens"))
    for name in ("per_minute", "per_million_chars", "per_request", "web_search"):
        a, b = getattr(old, name), getattr(new, name)
        if a is not None and b is not None:
            yield a, b
    here, there = old.per_image or {}, new.per_image or {}
    yield from ((here[kind], there[kind]) for kind in here.keys() & there.keys())


def _newest(session: Session, *, confirmed_only: bool) -> dict[int, PriceVersion]:
    newest = select(func.max(PriceVersion.id)).group_by(PriceVersion.endpoint_id)
    if confirmed_only:
        newest = newest.where(PriceVersion.is_confirmed)
    rows = session.scalars(select(PriceVersion).where(PriceVersion.id.in_(newest)))
    return {row.endpoint_id: row for row in rows}


def _cost_of(version: PriceVersion) -> Price | None:
    return msgspec.json.decode(version.cost, type=Price) if version.cost else None


def _described(version: PriceVersion | None) -> str | None:
    if version is None:
        return None
    facts = {
        "price": msgspec.Raw(version.price.encode()),
        "cost": msgspec.Raw(version.cost.encode()) if version.cost else None,
        "markup_bps": version.markup_bps,
        "source": version.source,
    }
    return msgspec.json.encode(facts).decode()


def _json(price: Price) -> str:
    return msgspec.json.encode(price).decode()
