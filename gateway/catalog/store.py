"""The catalog in force: read from the tables into one immutable snapshot, shared by the process.

A change of any of its tables bumps the revision `catalog`; the next call then reads them anew.
While one greenlet reads, or the database is down, others go on with the snapshot that is there.
"""

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

import db
from errors import LedgerUnavailableError
from gateway import revisions
from gateway.catalog.entries import (
    AliasConfig,
    AliasEntry,
    Catalog,
    EndpointConfig,
    ModelConfig,
    ModelEntry,
    ProviderConfig,
    ProviderEntry,
    Route,
    bare_names,
)
from gateway.catalog.offers import GatewayOptions, Offers
from gateway.catalog.prices import versions_in_force
from gateway.pricing import Price
from models import Alias, Endpoint, Model, Option, PriceVersion, Provider
from providers.registry import KINDS

OpenSecret = Callable[[str, str], str]
"""Turns what is sealed, and the row it is bound to, into the secret: `SecretBox.open_sealed`."""

GATEWAY = "gateway"


class _Held:
    catalog: Catalog | None = None
    open_secret: OpenSecret | None = None
    reloading = threading.Lock()


_held = _Held()


def use(open_secret: OpenSecret) -> None:
    """Name what opens the providers' keys, and forget the snapshot: once at start."""
    _held.open_secret = open_secret
    _held.catalog = None


def current() -> Catalog:
    """Return the catalog in force. It costs a comparison while nothing has changed.

    Raises: LedgerUnavailableError when nobody knows whether it changed; SecretKeyError.
    """
    number = revisions.number("catalog")
    catalog = _held.catalog
    if catalog is not None and catalog.revision == number:
        return catalog
    return _reloaded(number)


def _reloaded(number: int) -> Catalog:
    is_mine = _held.reloading.acquire(blocking=_held.catalog is None)
    if not is_mine and _held.catalog is not None:
        return _held.catalog
    try:
        catalog = _held.catalog
        if catalog is None or catalog.revision != number:
            with db.reading() as session:
                catalog = load(session, number, _opener())
            _held.catalog = catalog
        return catalog
    except LedgerUnavailableError:
        if _held.catalog is None:
            raise
        return _held.catalog
    finally:
        if is_mine:
            _held.reloading.release()


def _opener() -> OpenSecret:
    if _held.open_secret is None:
        raise RuntimeError("catalog.provision() or catalog.use() comes before catalog.current()")
    return _held.open_secret


def load(session: Session, revision: int, open_secret: OpenSecret) -> Catalog:
    """Read the tables into a snapshot; the secrets of enabled providers are opened here, once.

    A provider of a kind that nobody speaks yet has no routes.
    Raises: SecretKeyError when no key of ours opens them.
    """
    providers = {
        row.slug: _provider(row, open_secret)
        for row in session.scalars(select(Provider).where(Provider.is_enabled))
        if row.kind in KINDS
    }
    prices = versions_in_force(session)
    endpoints: dict[str, list[Endpoint]] = {}
    for endpoint in session.scalars(select(Endpoint).where(Endpoint.is_enabled)):
        endpoints.setdefault(endpoint.model_id, []).append(endpoint)
    models = {
        row.id: _model(row, endpoints.get(row.id, []), providers, prices)
        for row in session.scalars(select(Model).where(Model.is_enabled).order_by(Model.id))
    }
    aliases = {
        row.id: AliasEntry(row.id, msgspec.json.decode(row.config, type=AliasConfig))
        for row in session.scalars(select(Alias).where(Alias.is_enabled).order_by(Alias.id))
    }
    options, offers = load_options(session)
    return Catalog(
        revision=revision,
        models=MappingProxyType(models),
        aliases=MappingProxyType(aliases),
        options=options,
        offers=offers,
        bare_names=bare_names(models),
    )


def load_options(session: Session) -> tuple[GatewayOptions, Offers]:
    """Return [gateway], and what the instance offers."""
    rows = {row.name: msgspec.Raw(row.value.encode()) for row in session.scalars(select(Option))}
    options = msgspec.json.decode(rows.pop(GATEWAY, b"{}"), type=GatewayOptions)
    return options, msgspec.json.decode(msgspec.json.encode(rows), type=Offers)


def _provider(row: Provider, open_secret: OpenSecret) -> ProviderEntry:
    return ProviderEntry(
        slug=row.slug,
        kind=row.kind,
        config=msgspec.json.decode(row.config, type=ProviderConfig),
        api_keys=opened_keys(row, open_secret),
        source=row.source,
    )


def opened_keys(row: Provider, open_secret: OpenSecret) -> tuple[str, ...]:
    """Return the API keys of a provider's row. Raises: SecretKeyError."""
    if row.secrets is None:
        return ()
    return msgspec.json.decode(open_secret(row.secrets, bound_to(row.slug)), type=tuple[str, ...])


def bound_to(slug: str) -> str:
    """Return what the keys of a provider are bound to, so that rows can't be swapped."""
    return f"providers:{slug}"


def _model(
    row: Model,
    endpoints: list[Endpoint],
    providers: Mapping[str, ProviderEntry],
    prices: Mapping[int, PriceVersion],
) -> ModelEntry:
    config = msgspec.json.decode(row.config, type=ModelConfig)
    routes = [
        _route(
            endpoint,
            providers[endpoint.provider_slug],
            prices[endpoint.id],
            config,
            config.endpoint_at(endpoint.provider_slug, endpoint.upstream_model),
        )
        for endpoint in endpoints
        if endpoint.provider_slug in providers and endpoint.id in prices
    ]
    return ModelEntry(
        id=row.id,
        name=row.name,
        config=config,
        routes=tuple(sorted(routes, key=lambda r: (r.priority, r.endpoint_id))),
        created_at=row.created_at,
        source=row.source,
    )


def _route(
    endpoint: Endpoint,
    provider: ProviderEntry,
    version: PriceVersion,
    config: ModelConfig,
    written: EndpointConfig | None,
) -> Route:
    own = written or EndpointConfig(provider=provider.slug, upstream_model=endpoint.upstream_model)
    of_provider = provider.config
    return Route(
        endpoint_id=endpoint.id,
        model_id=endpoint.model_id,
        provider=provider,
        upstream_model=endpoint.upstream_model,
        priority=endpoint.priority,
        weight=endpoint.weight,
        price_version_id=version.id,
        price=msgspec.json.decode(version.price, type=Price),
        markup_bps=version.markup_bps,
        cost=msgspec.json.decode(version.cost, type=Price) if version.cost else None,
        config=config,
        apis=of_provider.apis if own.apis is None else own.apis,
        stateful=of_provider.stateful if own.stateful is None else own.stateful,
        hosted_tools=of_provider.hosted_tools if own.hosted_tools is None else own.hosted_tools,
    )
