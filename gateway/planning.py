"""Decide which routes to try for a call, and in which order. Pure.

A catalog snapshot, the call, its caller and a seed in; an ordered tuple out. The models of `models`
follow the one that was asked for; the caller's preferences exclude, cap and order.
"""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from errors import (
    ForbiddenModelError,
    NoEndpointsError,
    TurnpikeError,
    UnsupportedByModelError,
)
from gateway import preferences
from gateway.capabilities import lacking, models_that_can
from gateway.catalog import Catalog, ModelEntry, Route
from gateway.keys import Caller
from gateway.spoken import can_speak


class Planned(Protocol):
    """What planning needs to know of a call."""

    api: str
    model: str
    fallback_models: tuple[str, ...]
    preferences: dict[str, Any] | None
    needs: frozenset[str]
    is_stateful: bool


def plan(call: Planned, caller: Caller, catalog: Catalog, seed: int) -> tuple[Route, ...]:
    """Return the routes to try, in order: of each model by priority, and by weight among equals.

    Raises: ModelNotFoundError, ForbiddenModelError, UnsupportedByModelError, NoEndpointsError,
    InvalidParameterError for preferences that make no sense.
    """
    wishes = preferences.read(call.preferences)
    routes = list(_routes_of(call.model, call, caller, catalog, wishes, seed))
    for name in call.fallback_models if wishes.may_fall_back else ():
        routes += _routes_of(name, call, caller, catalog, wishes, seed)
    return tuple(routes) if wishes.may_fall_back else tuple(routes[:1])


def _routes_of(
    name: str,
    call: Planned,
    caller: Caller,
    catalog: Catalog,
    wishes: preferences.Preferences,
    seed: int,
) -> Sequence[Route]:
    entry = catalog.find(name)
    _check_allowed(entry, caller)
    routes = [
        route for route in entry.routes if route.may_serve(call.api) and can_speak(call.api, route)
    ]
    if not routes:
        raise _nothing_serves(entry, call, catalog)
    missing = lacking(call.needs, entry.config)
    if missing:
        raise _unable(entry, f"take {' and '.join(missing)}", call, catalog)
    if call.is_stateful:
        routes = [route for route in routes if route.stateful]
        if not routes:
            raise UnsupportedByModelError(
                f"No provider of {entry.id} keeps files for you. Send the content itself.",
                param="messages",
            )
    kept = [route for route in routes if wishes.allows(route)]
    if not kept:
        raise NoEndpointsError(
            f"The preferences in `provider` exclude every endpoint of {entry.id}. Widen them.",
            param="provider",
        )
    return wishes.ordered(kept if len(kept) == 1 else _ordered(kept, seed))


def _check_allowed(entry: ModelEntry, caller: Caller) -> None:
    if not caller.may_call(entry.id):
        raise ForbiddenModelError(
            f"This key may not call {entry.id}. Call one of its list, or have the list widened.",
            param="model",
        )
    if not (caller.has_every_class or entry.config.klass in caller.unlocked_classes):
        raise ForbiddenModelError(
            f"{entry.id} is of the class {entry.config.klass!r}, which isn't unlocked here. "
            "Top up, or call a model of another class.",
            param="model",
        )


def _nothing_serves(entry: ModelEntry, call: Planned, catalog: Catalog) -> TurnpikeError:
    if not entry.routes:
        return NoEndpointsError(
            f"{entry.id} has no endpoint that is on and priced. Choose another model.",
            param="model",
        )
    return _unable(entry, "serve this endpoint", call, catalog)


def _unable(entry: ModelEntry, what: str, call: Planned, catalog: Catalog) -> TurnpikeError:
    able = ", ".join(models_that_can(catalog, call.api, call.needs)) or "none here"
    return UnsupportedByModelError(f"{entry.id} can't {what}. These can: {able}.", param="model")


def _ordered(routes: Sequence[Route], seed: int) -> tuple[Route, ...]:
    chance = random.Random(seed)  # noqa: S311 - spreads load, guards nothing
    drawn = {route.endpoint_id: chance.random() ** (1 / route.weight) for route in routes}
    return tuple(sorted(routes, key=lambda route: (route.priority, -drawn[route.endpoint_id])))
