"""What the catalog holds: configurations that rows keep as JSON, and the snapshot that calls read.

A configuration is what the operator wrote (or the vendored list says); the snapshot is what is in
force: enabled providers, enabled endpoints, confirmed prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

import msgspec

from errors import ModelNotFoundError
from gateway.catalog.offers import GatewayOptions, Offers
from gateway.catalog.works import may_be_billed, needs_of
from gateway.pricing import BPS, Price, Tier
from money import ceil_div

DEFAULT_APIS = {
    "openai": ("chat", "completions", "embeddings", "moderations", "images", "audio"),
    "anthropic": ("messages",),
    "gemini": ("gemini", "embeddings", "images"),
    "sandbox": ("chat", "completions", "embeddings", "images", "audio"),
}  # fmt: skip
"""What each kind of provider speaks unless its `apis` say otherwise."""

SOURCES = ("file", "console", "environment", "built-in")
"""Where a row comes from; the earlier wins."""

LIST_HINT = "GET /v1/models lists all of them"


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of what rows keep as JSON: fields at their default are left out."""


class ProviderConfig(Config, frozen=True, kw_only=True):
    """How a provider is reached and what it speaks; slug and kind are the row's, keys are sealed.

    No `regions` or `platforms` means all of them.
    """

    base_url: str = ""
    apis: tuple[str, ...] = ()
    stateful: bool = False
    hosted_tools: tuple[str, ...] = ()
    private_network: bool = False
    regions: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    cancel_stops_billing: bool = False
    local: bool = False


class EndpointConfig(Config, frozen=True, kw_only=True):
    """A model at a provider, as it was written. `apis` None: what the provider speaks."""

    provider: str
    upstream_model: str
    priority: int = 1
    weight: int = 1
    apis: tuple[str, ...] | None = None
    stateful: bool | None = None
    hosted_tools: tuple[str, ...] | None = None
    price: Price | None = None
    cost: Price | None = None


class ModelConfig(Config, frozen=True, kw_only=True):
    """What a model can do, its list price, and its endpoints as they were written.

    `quality` is 0 to 100, None unknown. `created` is the vendor's release in epoch seconds. What
    comes back, `output`, is text, image, audio, embeddings, rerank or moderation.
    """

    context_length: int | None = None
    max_output_tokens: int | None = None
    input: tuple[str, ...] = ("text",)
    output: tuple[str, ...] = ("text",)
    tags: tuple[str, ...] = ()
    klass: str = msgspec.field(default="standard", name="class")
    quality: int | None = None
    max_image_tokens: int = 6000
    supported_parameters: tuple[str, ...] = ()
    can_reason: bool = False
    price: Price | None = None
    markup_bps: int | None = None
    description: str = ""
    created: int | None = None
    endpoints: tuple[EndpointConfig, ...] = ()

    def endpoint_at(self, provider: str, upstream_model: str) -> EndpointConfig | None:
        """Return the endpoint as it was written, None where it isn't one any more."""
        at = (provider, upstream_model)
        return next((e for e in self.endpoints if (e.provider, e.upstream_model) == at), None)

    @property
    def is_free(self) -> bool:
        """Whether the model's own price is an explicit zero."""
        return self.price is not None and self.price.is_free


class AliasConfig(Config, frozen=True, kw_only=True):
    """A policy under a name: which models may answer, and how one of them is chosen."""

    policy: str = "balanced"
    task: str | None = None
    candidates: tuple[str, ...] = ()
    tasks: dict[str, tuple[str, ...]] = {}
    description: str = ""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider that is enabled, with its keys in the clear: never log or print those."""

    slug: str
    kind: str
    config: ProviderConfig
    api_keys: tuple[str, ...] = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class Route:
    """A model at a provider, with the price that is in force."""

    endpoint_id: int
    model_id: str
    provider: ProviderEntry
    upstream_model: str
    priority: int
    weight: int
    price_version_id: int
    price: Price
    markup_bps: int
    cost: Price | None
    config: ModelConfig
    apis: tuple[str, ...] = ()
    stateful: bool = False
    hosted_tools: tuple[str, ...] = ()

    def may_serve(self, api: str) -> bool:
        """Whether this route can do and bill such work: its modalities, what it speaks, a price.

        `api` is chat, completions, responses, messages, embeddings, moderations, rerank, images,
        speech, transcriptions or translations. A missing image or per-unit price answers False.
        """
        needs = needs_of(api)
        return (
            needs.fits(self.config.input, self.config.output)
            and not needs.spoken.isdisjoint(self.apis)
            and may_be_billed(api, self.price)
        )


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """An enabled model. `routes` are those that can be called, by priority; there may be none."""

    id: str
    name: str
    config: ModelConfig
    routes: tuple[Route, ...]
    created_at: int
    source: str

    @property
    def is_free(self) -> bool:
        """Whether its first route costs nothing."""
        return bool(self.routes) and self.routes[0].price.is_free

    def describe(self) -> Price | None:
        """Return what a list shows: the cheapest price of the routes tried first, with markup.

        None where nothing can be called.
        """
        first = [route for route in self.routes if route.priority == self.routes[0].priority]
        if not first:
            return None
        cheapest = min(first, key=_weight_of_price)
        return with_markup(cheapest.price, cheapest.markup_bps)


@dataclass(frozen=True, slots=True)
class AliasEntry:
    """An enabled alias."""

    id: str
    config: AliasConfig


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that can be called, at one revision; immutable, shared by every call of the process."""

    revision: int
    models: Mapping[str, ModelEntry]
    aliases: Mapping[str, AliasEntry]
    options: GatewayOptions
    offers: Offers = field(default_factory=Offers)
    bare_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, name: str) -> ModelEntry:
        """Return the model of a canonical id, or of a bare id that is unique (C-06).

        Where several models share a bare id, those without a route don't count.
        Raises: ModelNotFoundError, with the nearest names.
        """
        entry = self.models.get(name)
        if entry is not None:
            return entry
        if name in self.aliases:
            raise ModelNotFoundError(
                f"{name} is an alias; this version lists aliases and doesn't route them yet. "
                f"Name a model: {LIST_HINT}.",
                param="model",
            )
        candidates = self.bare_names.get(name, ())
        if len(candidates) == 1:
            return self.models[candidates[0]]
        if candidates:
            raise ModelNotFoundError(
                f"{name} is the name of several models; write one of {', '.join(candidates)}.",
                param="model",
            )
        raise ModelNotFoundError(
            f"{_shown(name)} is not a model here{self._near(name)}", param="model"
        )

    def _near(self, name: str) -> str:
        near = get_close_matches(name[:200], [*self.models, *self.aliases], n=3, cutoff=0.5)
        if not near:
            near = [
                model_id
                for bare in get_close_matches(name[:200], self.bare_names, n=3, cutoff=0.5)
                for model_id in self.bare_names[bare]
            ][:3]
        return f"; the nearest are {', '.join(near)}. {LIST_HINT}." if near else f". {LIST_HINT}."


def bare_names(models: Mapping[str, ModelEntry]) -> Mapping[str, tuple[str, ...]]:
    """Return each id without its author, with what it may mean; callable models hide the others."""
    found: dict[str, list[ModelEntry]] = {}
    for entry in models.values():
        found.setdefault(entry.id.partition("/")[2] or entry.id, []).append(entry)
    return MappingProxyType(
        {
            bare: tuple(sorted(e.id for e in ([e for e in entries if e.routes] or entries)))
            for bare, entries in found.items()
        }
    )


def with_markup(price: Price, markup_bps: int) -> Price:
    """Return a price with the markup in every bucket, rounded up: to show, never to charge by."""
    if not markup_bps:
        return price
    raised = {
        name: _raised(value, markup_bps)
        for name in price.__struct_fields__
        if name not in ("above", "per_image") and (value := getattr(price, name)) is not None
    }
    images = price.per_image
    return Price(
        **raised,
        per_image={k: _raised(v, markup_bps) for k, v in images.items()} if images else images,
        above=tuple(_raised_tier(tier, markup_bps) for tier in price.above),
    )


def _raised_tier(tier: Tier, markup_bps: int) -> Tier:
    raised = {
        name: _raised(value, markup_bps)
        for name in tier.__struct_fields__
        if name != "input_tokens" and (value := getattr(tier, name)) is not None
    }
    return Tier(input_tokens=tier.input_tokens, **raised)


def _raised(value: int, markup_bps: int) -> int:
    return ceil_div(value * (BPS + markup_bps), BPS)


def _weight_of_price(route: Route) -> int:
    price = route.price
    units = (
        price.per_minute,
        price.per_million_chars,
        price.per_request,
        *(price.per_image or {}).values(),
    )
    listed = (price.input or 0) + (price.output or 0) + sum(unit or 0 for unit in units)
    return listed * (BPS + route.markup_bps)


def _shown(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}…"
