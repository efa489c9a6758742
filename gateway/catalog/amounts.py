"""Prices as people write them, decimal strings of USD, and as integers; both ways, and exactly.

Units as written: per million tokens or characters; per minute, image, request or search.
"""

from collections.abc import Mapping

import msgspec

from gateway.pricing import Price, Tier
from money import LARGEST_NUSD, MILLION, parse_usd, print_usd

PER_ONE = frozenset({"per_minute", "per_request", "web_search"})
"""Written for one unit and kept per million; `per_image` is so too."""


class WrittenTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `above`."""

    input_tokens: int
    input: str | None = None
    output: str | None = None
    cached_input: str | None = None
    cache_write: str | None = None


class WrittenPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `price` or `cost` table. Decimal strings, never floats: a float has no exact value."""

    input: str | None = None
    output: str | None = None
    cached_input: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    reasoning: str | None = None
    audio_input: str | None = None
    audio_output: str | None = None
    image_input: str | None = None
    image_output: str | None = None
    per_minute: str | None = None
    per_million_chars: str | None = None
    per_request: str | None = None
    web_search: str | None = None
    per_image: str | dict[str, str] | None = None
    above: tuple[WrittenTier, ...] = ()


class AmountError(ValueError):
    """An amount can't be read; `field` says which one."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def read_price(written: WrittenPrice) -> Price:
    """Return the integers of a written price. Raises: AmountError."""
    tokens = {
        name: _read(name, text, 1 if name not in PER_ONE else MILLION)
        for name in written.__struct_fields__
        if name not in ("per_image", "above") and (text := getattr(written, name)) is not None
    }
    images = written.per_image
    if isinstance(images, str):
        images = {"default": images}
    return Price(
        **tokens,
        per_image=None
        if images is None
        else {kind: _read(f"per_image.{kind}", text, MILLION) for kind, text in images.items()},
        above=tuple(
            _read_tier(f"above.{number}", tier) for number, tier in enumerate(written.above)
        ),
    )


def write_price(price: Price) -> dict[str, object]:
    """Return what an operator would write for a price: `read_price` of it is the same price."""
    written: dict[str, object] = {
        name: _write(value, MILLION if name in PER_ONE else 1)
        for name in price.__struct_fields__
        if name not in ("per_image", "above") and (value := getattr(price, name)) is not None
    }
    if price.per_image is not None:
        written["per_image"] = {k: _write(v, MILLION) for k, v in price.per_image.items()}
    if price.above:
        written["above"] = [_write_tier(tier) for tier in price.above]
    return written


def read_usd(field: str, text: str) -> int:
    """Return the nano-USD of a written amount. Raises: AmountError."""
    return _read(field, text, 1)


def _read(field: str, text: str, units: int) -> int:
    try:
        amount = parse_usd(text) * units
    except ValueError as error:
        raise AmountError(field, str(error)) from error
    if amount > LARGEST_NUSD:
        raise AmountError(field, "the price is too large")
    return amount


def _read_tier(field: str, tier: WrittenTier) -> Tier:
    if tier.input_tokens < 1:
        raise AmountError(f"{field}.input_tokens", "a tier begins at 1 token or more")
    return Tier(
        input_tokens=tier.input_tokens,
        **{
            name: _read(f"{field}.{name}", text, 1)
            for name in tier.__struct_fields__
            if name != "input_tokens" and (text := getattr(tier, name)) is not None
        },
    )


def _write(value: int, units: int) -> str:
    amount, rest = divmod(value, units)
    if rest:  # finer than nine decimal places: only the vendored list has such prices
        amount += 1
    return print_usd(amount)


def _write_tier(tier: Tier) -> Mapping[str, object]:
    return {
        name: value if name == "input_tokens" else _write(value, 1)
        for name in tier.__struct_fields__
        if (value := getattr(tier, name)) is not None
    }
