"""The vendored price list as models, and the providers that keys in the environment turn on.

`data/prices.json` is read with decimals, never floats, and each price becomes an integer once. A
zero in the list is believed only where `data/extra.toml` says so; a model that no vendor's address
can serve, or that has no price, isn't listed.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from gateway.catalog import listed_rows
from gateway.catalog.amounts import WrittenPrice, read_price
from gateway.catalog.entries import EndpointConfig, ModelConfig, ProviderConfig
from gateway.catalog.vendors import VENDORS, model_id_of
from gateway.catalog.wanted import Wanted, WantedModel, WantedProvider
from gateway.catalog.works import served
from gateway.pricing import Price

DATA = Path(__file__).parent.parent.parent / "data"
ENVIRONMENT = "environment"
VARIANT = re.compile(r"(?:(?P<quality>[a-z]+)/)?(?P<width>\d+)-x-(?P<height>\d+)/(?P<model>.+)")
DATED = re.compile(r"-(\d{4}-\d\d-\d\d|\d{8})$")


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: str
    quality: int | None = None
    tags: tuple[str, ...] = ()
    klass: str = msgspec.field(default="standard", name="class")


class _Addition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    vendor: str
    id: str
    upstream_model: str
    source: str
    name: str = ""
    like: str | None = None
    context_length: int | None = None
    max_output_tokens: int | None = None
    input: tuple[str, ...] = ("text",)
    output: tuple[str, ...] = ("text",)
    can_reason: bool = False
    supported_parameters: tuple[str, ...] = listed_rows.PLAIN_PARAMETERS
    price: WrittenPrice | None = None


class _Extra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    retired_but_kept: tuple[str, ...]
    free: tuple[str, ...]
    models: tuple[_Addition, ...]
    known: tuple[_Known, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A model at a vendor, as the list has it."""

    provider: str
    upstream_model: str
    model_id: str
    name: str
    config: ModelConfig
    price: Price
    apis: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PriceList:
    """The whole list, by place and by model."""

    rows: tuple[Listed, ...]
    by_place: Mapping[tuple[str, str], Price]
    by_model: Mapping[str, Price]

    def price_of(self, provider: str, upstream_model: str, model_id: str) -> Price | None:
        """Return the list price at this place, else the one that the model's own author asks."""
        return self.by_place.get((provider, upstream_model)) or self.by_model.get(model_id)


@cache
def price_list() -> PriceList:
    """Read the list: a few dozen milliseconds, once in a process."""
    extra = msgspec.convert(
        tomllib.loads((DATA / "extra.toml").read_text(encoding="utf-8")), type=_Extra
    )
    entries = json.loads((DATA / "prices.json").read_text(encoding="utf-8"), parse_float=Decimal)
    listed = {_place(row): row for row in _from_list(entries, frozenset(extra.free))}
    for addition in extra.models:
        row = _from_addition(addition, listed.values())
        listed[_place(row)] = row
    rows = tuple(
        replace(row, config=_judged(row, extra.known))
        for row in listed.values()
        if served(
            row.config.input,
            row.config.output,
            VENDORS[row.provider].apis if row.apis is None else row.apis,
            row.price,
        )
    )
    order = {slug: place for place, slug in enumerate(VENDORS)}
    ordered = tuple(sorted(rows, key=lambda row: (order[row.provider], row.model_id)))
    return PriceList(
        rows=ordered,
        by_place={(row.provider, row.upstream_model): row.price for row in ordered},
        by_model={row.model_id: row.price for row in reversed(ordered)},
    )


def from_environment(keys: Mapping[str, str], base_urls: Mapping[str, str]) -> Wanted:
    """Return the providers of these vendor keys, with all their models.

    A model that several of them serve has an endpoint at each, its own author's first.
    """
    models: dict[str, WantedModel] = {}
    for row in price_list().rows:
        if row.provider in keys:
            models[row.model_id] = _with_endpoint(models.get(row.model_id), row)
    return Wanted(
        providers={
            slug: WantedProvider(
                kind=VENDORS[slug].kind,
                config=provider_config(slug, base_urls.get(slug)),
                source=ENVIRONMENT,
                api_keys=(key,),
            )
            for slug, key in keys.items()
        },
        models=models,
    )


def placeholder(slug: str, base_url: str | None) -> WantedProvider:
    """Return a vendor whose key isn't set, so that a file may refer to it; it isn't enabled."""
    return WantedProvider(
        kind=VENDORS[slug].kind,
        config=provider_config(slug, base_url),
        source=ENVIRONMENT,
        is_enabled=False,
    )


def provider_config(slug: str, base_url: str | None) -> ProviderConfig:
    """Return how a vendor is reached; an address of one's own may be on the private network."""
    vendor = VENDORS[slug]
    return ProviderConfig(
        base_url=base_url or vendor.base_url,
        apis=vendor.apis,
        cancel_stops_billing=vendor.cancel_stops_billing,
        private_network=base_url is not None,
    )


def _place(row: Listed) -> tuple[str, str, str]:
    return row.provider, row.upstream_model, row.model_id


def _with_endpoint(model: WantedModel | None, row: Listed) -> WantedModel:
    if model is None:
        model = WantedModel(name=row.name, config=row.config, source=ENVIRONMENT)
    place = EndpointConfig(
        provider=row.provider,
        upstream_model=row.upstream_model,
        priority=len(model.config.endpoints) + 1,
        apis=row.apis,
    )
    endpoints = (*model.config.endpoints, place)
    return replace(model, config=msgspec.structs.replace(model.config, endpoints=endpoints))


def _from_list(entries: Mapping[str, dict[str, Any]], free: frozenset[str]) -> Iterator[Listed]:
    slugs = {vendor.listed_as: slug for slug, vendor in VENDORS.items()}
    variants = _image_variants(entries)
    for key, row in entries.items():
        slug = slugs.get(row["litellm_provider"])
        if slug is None or VARIANT.fullmatch(key):
            continue
        upstream_model = key.removeprefix(f"{row['litellm_provider']}/")
        price = listed_rows.price_of(row, variants.get(upstream_model, {}), may_be_free=key in free)
        if price is None:
            continue
        yield Listed(
            provider=slug,
            upstream_model=upstream_model,
            model_id=model_id_of(slug, upstream_model),
            name=listed_rows.name_of(upstream_model),
            config=listed_rows.config_of(row),
            price=price,
            apis=listed_rows.apis_of(row),
        )


def _image_variants(entries: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Decimal]]:
    found: dict[str, dict[str, Decimal]] = {}
    for key, row in entries.items():
        match = VARIANT.fullmatch(key)
        price = row.get("input_cost_per_image") or row.get("output_cost_per_image")
        if match and price:
            size = f"{match['width']}x{match['height']}"
            kind = f"{size}/{match['quality']}" if match["quality"] else size
            found.setdefault(match["model"], {})[kind] = price
    return found


def _from_addition(addition: _Addition, listed: Iterable[Listed]) -> Listed:
    like = next((row for row in listed if row.model_id == addition.like), None)
    if addition.like is not None and like is None:
        raise ValueError(f"data/extra.toml: {addition.like} isn't in the list")
    if like is not None:
        return replace(
            like,
            provider=addition.vendor,
            upstream_model=addition.upstream_model,
            model_id=addition.id,
            apis=None,
        )
    if addition.price is None:
        raise ValueError(f"data/extra.toml: {addition.id} has no price")
    return Listed(
        provider=addition.vendor,
        upstream_model=addition.upstream_model,
        model_id=addition.id,
        name=addition.name or listed_rows.name_of(addition.upstream_model),
        config=ModelConfig(
            context_length=addition.context_length,
            max_output_tokens=addition.max_output_tokens,
            input=addition.input,
            output=addition.output,
            can_reason=addition.can_reason,
            supported_parameters=addition.supported_parameters,
        ),
        price=read_price(addition.price),
    )


def _judged(row: Listed, known: tuple[_Known, ...]) -> ModelConfig:
    opinion = next((k for k in known if fnmatch(row.model_id, k.match)), None)
    if opinion is None:
        return row.config
    is_text = "text" in row.config.output and "text" in row.config.input
    return msgspec.structs.replace(
        row.config,
        klass=opinion.klass,
        quality=opinion.quality if is_text else None,
        tags=opinion.tags if is_text else (),
    )
