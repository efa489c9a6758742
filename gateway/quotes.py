"""How much to hold for a call before it is sent: an upper bound that the wallet can bear. Pure.

The input is bounded by what is in the body, the output by what the caller asked for, the model's
maximum or, where the caller asked for nothing, by what a call usually needs (`money.md` 3.1 and
3.2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway import pricing
from gateway.catalog import Route
from money import MILLION
from wire.usage import Usage

ROLLING_TOKENS = 1024
PLAIN_TOKENS = 8192
REASONING_STREAM_TOKENS = 16_384
REASONING_PLAIN_TOKENS = 32_768
LEAST_TOKENS = 256
"""Fewer affordable output tokens than this are no answer: the call is refused."""

UNKNOWN_CONTEXT_TOKENS = 128_000
UNKNOWN_OUTPUT_TOKENS = 32_768


class Bounded(Protocol):
    """What a quote needs to know of a call, of whatever dialect."""

    is_streamed: bool
    output_limit: int | None
    choices: int
    units: Usage | None

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None
    ) -> int:
        """Return how many input tokens it can be at the most."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What is held for a call. `output_tokens` is for each of `choices` answers, `units` for all.

    `is_rolling`: the hold grows with the stream. `is_announced`: the bound is ours, is sent
    upstream and told to the caller.
    """

    amount_nusd: int
    input_tokens: int
    output_tokens: int
    choices: int
    is_rolling: bool
    is_announced: bool
    units: Usage | None = None


def quote(
    routes: Sequence[Route], call: Bounded, exact: Callable[[str], int] | None = None
) -> Quote:
    """Return what to hold, at the dearest of the routes; `exact` is the model's own tokenizer."""
    input_tokens = max(
        call.input_bound(
            route.config.max_image_tokens,
            route.config.context_length or UNKNOWN_CONTEXT_TOKENS,
            exact,
        )
        for route in routes
    )
    maximum = max(maximum_output(route) for route in routes)
    usual = _usual_output(routes, is_streamed=call.is_streamed)
    asked = call.output_limit
    output_tokens = min(maximum, usual if asked is None else asked)
    drafted = Quote(
        amount_nusd=0,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        choices=call.choices,
        is_rolling=asked is None and call.is_streamed and not _may_reason(routes),
        is_announced=asked is None
        and output_tokens < maximum
        and (not call.is_streamed or _may_reason(routes)),
        units=call.units,
    )
    return _priced(routes, drafted)


def afforded(routes: Sequence[Route], wanted: Quote, affordable_nusd: int) -> Quote | None:
    """Return the largest quote that so much money covers, or None when that is no answer."""
    fixed_nusd = amount(routes, wanted.input_tokens, 0, wanted.units)
    rate = amount(routes, wanted.input_tokens, MILLION, wanted.units) - fixed_nusd
    if affordable_nusd < fixed_nusd:
        return None
    tokens = wanted.output_tokens
    if rate:
        tokens = (affordable_nusd - fixed_nusd) * MILLION // (rate * wanted.choices)
    smaller = replace(wanted, output_tokens=min(tokens, wanted.output_tokens), is_announced=True)
    smaller = _priced(routes, smaller)
    while smaller.amount_nusd > affordable_nusd and smaller.output_tokens > 0:
        smaller = _priced(routes, replace(smaller, output_tokens=smaller.output_tokens - 1))
    return smaller if smaller.amount_nusd <= affordable_nusd else None


def maximum_output(route: Route) -> int:
    """Return the most that a route's model can write in one answer."""
    known = route.config.max_output_tokens
    if known is not None:
        return known
    return min(route.config.context_length or UNKNOWN_OUTPUT_TOKENS, UNKNOWN_OUTPUT_TOKENS)


def amount(
    routes: Sequence[Route], input_tokens: int, output_tokens: int, units: Usage | None = None
) -> int:
    """Return the most that so many tokens and units can cost on any of the routes."""
    return max(
        pricing.bound(route.price, route.markup_bps, input_tokens, output_tokens)
        + (pricing.cost(units, route.price, route.markup_bps) if units is not None else 0)
        for route in routes
    )


def _usual_output(routes: Sequence[Route], *, is_streamed: bool) -> int:
    if _may_reason(routes):
        return REASONING_STREAM_TOKENS if is_streamed else REASONING_PLAIN_TOKENS
    return ROLLING_TOKENS if is_streamed else PLAIN_TOKENS


def _may_reason(routes: Sequence[Route]) -> bool:
    return any(route.config.can_reason for route in routes)


def _priced(routes: Sequence[Route], drafted: Quote) -> Quote:
    output_tokens = drafted.output_tokens * drafted.choices
    return replace(
        drafted, amount_nusd=amount(routes, drafted.input_tokens, output_tokens, drafted.units)
    )
