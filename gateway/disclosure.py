"""What a caller is told of how its call went: headers, and what joins the usage."""

from typing import Any

from gateway import pricing, savings
from gateway.catalog import Route
from gateway.paid_call import PaidCall
from money import usd_number
from wire.usage import Usage

EXPECTED_OUTPUT_TOKENS = 500
"""What a stream's savings header assumes of its output, which nobody knows yet."""


def headers(paid: PaidCall) -> dict[str, str]:
    """Return the X-Turnpike headers that are true by now."""
    route, index = paid.attempts.route, max(len(paid.attempts.records) - 1, 0)
    told = {
        "X-Generation-Id": paid.record.id,
        "X-Turnpike-Routed-To": route.model_id,
        "X-Turnpike-Provider": route.provider.slug,
        "X-Turnpike-Tier": f"fallback-{index}" if index else "primary",
        "X-Turnpike-Fallback": "true" if index else "false",
    }
    if paid.hold.quote.is_announced:
        told["X-Turnpike-Max-Tokens"] = str(paid.hold.quote.output_tokens)
    dropped = paid.dropped(route)
    if dropped:
        told["X-Turnpike-Dropped"] = ", ".join(dropped)
    saved = savings_percent(paid, route)
    if saved is not None:
        told["X-Turnpike-Savings"] = f"{saved}% vs {paid.catalog.options.reference_model}"
    return told


def usage_extra(paid: PaidCall) -> dict[str, Any]:
    """Return what joins the usage of a settled call: its cost, and what it saved."""
    extra: dict[str, Any] = {"cost": usd_number(paid.record.charge_nusd)}
    saved = savings_percent(paid, paid.attempts.route) if paid.usage is not None else None
    if saved is not None:
        extra["savings"] = f"{saved}%"
    return extra


def savings_percent(paid: PaidCall, route: Route) -> int | None:
    """Return what was saved: a settled call by its counts, a stream by an assumed output."""
    if paid.usage is not None:
        return savings.percent(paid.catalog, paid.usage, paid.cost_nusd)
    quote = paid.hold.quote
    usage = Usage(
        input_tokens=quote.input_tokens,
        output_tokens=min(quote.output_tokens, EXPECTED_OUTPUT_TOKENS),
    )
    cost_nusd = pricing.cost(usage, route.price, route.markup_bps)
    return savings.percent(paid.catalog, usage, cost_nusd)
