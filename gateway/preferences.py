"""OpenRouter's `provider` object: which endpoints a caller wants, and in which order. Pure.

Source: https://openrouter.ai/docs/features/provider-routing (read November 2026).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from errors import InvalidParameterError
from gateway.catalog import Route
from gateway.pricing import BPS
from money import USD

LISTS = ("order", "only", "ignore")
NOT_YET = ("zdr", "enforce_distillable_text", "quantizations")
"""Wishes about data and weights that the catalog can't vouch for: refused, never ignored."""

MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a caller wishes. Prices are nano-USD per million tokens, None without a cap."""

    order: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    may_fall_back: bool = True
    most_input: int | None = None
    most_output: int | None = None
    by_price: bool = False

    def allows(self, route: Route) -> bool:
        """Whether a route is within the wishes."""
        slug = route.provider.slug
        if (self.only and slug not in self.only) or slug in self.ignore:
            return False
        return _within(route.price.input, route, self.most_input) and _within(
            route.price.output, route, self.most_output
        )

    def ordered(self, routes: Sequence[Route]) -> list[Route]:
        """Return the routes in the wished order; without one, as they come."""
        if self.by_price:
            routes = sorted(routes, key=lambda route: _listed(route))
        places = {slug: place for place, slug in enumerate(self.order)}
        return sorted(routes, key=lambda route: places.get(route.provider.slug, len(places)))


ANYTHING = Preferences()


def read(value: Mapping[str, Any] | None) -> Preferences:
    """Read a `provider` object; unknown fields are nobody's wish.

    Raises: InvalidParameterError.
    """
    if not value:
        return ANYTHING
    for name in NOT_YET:
        if value.get(name):
            raise _bad(name, "isn't offered here yet. Leave it out")
    if value.get("data_collection") not in (None, "allow"):
        raise _bad("data_collection", "can only be allow here yet")
    lists = {name: _names(name, value.get(name)) for name in LISTS}
    sort = value.get("sort")
    if isinstance(sort, Mapping):
        sort = sort.get("by")
    if sort not in (None, "price", "throughput", "latency", "exacto"):
        raise _bad("sort", "must be price, throughput, latency or exacto")
    may_fall_back = value.get("allow_fallbacks")
    if may_fall_back not in (None, True, False):
        raise _bad("allow_fallbacks", "must be true or false")
    most = value.get("max_price") or {}
    if not isinstance(most, Mapping):
        raise _bad("max_price", "must be an object of prices in USD per million")
    return Preferences(
        order=lists["order"],
        only=frozenset(lists["only"]),
        ignore=frozenset(lists["ignore"]),
        may_fall_back=may_fall_back is not False,
        most_input=_price("prompt", most.get("prompt")),
        most_output=_price("completion", most.get("completion")),
        by_price=sort == "price",
    )


def _names(name: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_NAMES:
        raise _bad(name, "must be a list of providers")
    if not all(isinstance(slug, str) and slug for slug in value):
        raise _bad(name, "must be a list of providers")
    return tuple(slug.partition("/")[0].lower() for slug in value)


def _price(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _bad(f"max_price.{name}", "must be a price in USD per million")
    try:
        exact = Decimal(str(value))
    except ArithmeticError as error:
        raise _bad(f"max_price.{name}", "must be a price in USD per million") from error
    if not exact.is_finite() or not 0 <= exact < USD:
        raise _bad(f"max_price.{name}", "must be a price in USD per million")
    return int(exact * USD)


def _within(price: int | None, route: Route, most: int | None) -> bool:
    return most is None or (price or 0) * (BPS + route.markup_bps) <= most * BPS


def _listed(route: Route) -> int:
    return ((route.price.input or 0) + (route.price.output or 0)) * (BPS + route.markup_bps)


def _bad(name: str, what: str) -> InvalidParameterError:
    return InvalidParameterError(f"provider.{name} {what}.", param=f"provider.{name}")
