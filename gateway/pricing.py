"""What a call costs: one rounding, upward, over the common denominator of all its buckets. Pure.

Units: prices are integer nano-USD per million (tokens, characters, requests, images) or per million
minutes; durations are milliseconds. No float comes near.
"""

from collections.abc import Mapping

import msgspec

from money import MILLION, ceil_div
from wire.usage import Usage

MINUTE_MS = 60_000
BPS = 10_000
MOST_KEPT = 8192


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Other prices from an input of `input_tokens` up, for the whole call."""

    input_tokens: int
    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each bucket costs, in nano-USD per million. None falls back (see `rates`); 0 is free."""

    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    per_minute: int | None = None
    per_million_chars: int | None = None
    per_request: int | None = None
    web_search: int | None = None
    per_image: dict[str, int] | None = None
    above: tuple[Tier, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether nothing it names costs anything."""
        return not any(self.rates(0).values()) and not any((self.per_image or {}).values())

    def rates(self, all_input_tokens: int) -> Mapping[str, int]:
        """Return the price of every counted bucket at this size of input, fall-backs applied."""
        if self.above:
            return self._rates(all_input_tokens)
        kept = _kept.get(id(self))
        if kept is None or kept[0] is not self:
            if len(_kept) >= MOST_KEPT:
                _kept.clear()
            kept = _kept[id(self)] = (self, self._rates(0))
        return kept[1]

    def _rates(self, all_input_tokens: int) -> dict[str, int]:
        tier = max(
            (t for t in self.above if all_input_tokens >= t.input_tokens),
            key=lambda t: t.input_tokens,
            default=None,
        )
        text_in, text_out = self.input or 0, self.output or 0
        cached, written = self.cached_input, self.cache_write
        if tier is not None:
            text_in, text_out = _first(tier.input, text_in), _first(tier.output, text_out)
            cached = cached if tier.cached_input is None else tier.cached_input
            written = written if tier.cache_write is None else tier.cache_write
        write = _first(written, text_in)
        return {
            "input_tokens": text_in,
            "cached_input_tokens": _first(cached, text_in),
            "cache_write_tokens": write,
            "cache_write_1h_tokens": _first(self.cache_write_1h, write),
            "output_tokens": text_out,
            "reasoning_tokens": _first(self.reasoning, text_out),
            "audio_input_tokens": _first(self.audio_input, text_in),
            "audio_output_tokens": _first(self.audio_output, text_out),
            "image_input_tokens": _first(self.image_input, text_in),
            "image_output_tokens": _first(self.image_output, text_out),
            "characters": self.per_million_chars or 0,
            "requests": self.per_request or 0,
            "searches": self.web_search or 0,
        }


_kept: dict[int, tuple[Price, dict[str, int]]] = {}
"""The rates of prices without steps, by the identity of the price, which is kept with them."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a receipt: a count, its price, and the exact product before the one rounding."""

    bucket: str
    count: int
    price_nusd_per_million: int


def lines(usage: Usage, price: Price) -> list[Line]:
    """Return the buckets that were used, each with the price that applies to it."""
    rates = price.rates(usage.all_input_tokens)
    used = [
        Line(bucket=bucket, count=count, price_nusd_per_million=rate)
        for bucket, rate in rates.items()
        if (count := getattr(usage, bucket)) and (rate or bucket.endswith("tokens"))
    ]
    if usage.audio_ms and price.per_minute:
        used.append(
            Line(bucket="audio_ms", count=usage.audio_ms, price_nusd_per_million=price.per_minute)
        )
    for kind, count in usage.images.items():
        rate = _image_rate(price, kind)
        used.append(Line(bucket=f"images:{kind}", count=count, price_nusd_per_million=rate))
    return used


def _image_rate(price: Price, kind: str) -> int:
    """Look a kind ("size/quality", or "*" for any) up; what the table lacks is its dearest."""
    table = price.per_image or {}
    for name in () if kind == "*" else (kind, kind.partition("/")[0], "default"):
        if name in table:
            return table[name]
    return max(table.values(), default=0)


def cost(usage: Usage, price: Price, markup_bps: int = 0) -> int:
    """Return what this usage costs, in nano-USD, rounded up once on the sum.

    A call that is split in two is therefore never cheaper.
    """
    total = sum(
        getattr(usage, bucket) * rate
        for bucket, rate in price.rates(usage.all_input_tokens).items()
        if rate
    )
    for kind, count in usage.images.items():
        total += count * _image_rate(price, kind)
    total = total * MINUTE_MS + usage.audio_ms * (price.per_minute or 0)
    return ceil_div(total * (BPS + markup_bps), MINUTE_MS * MILLION * BPS)


def _first(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def bound(price: Price, markup_bps: int, input_tokens: int, output_tokens: int) -> int:
    """Return the most that so many tokens can cost, whichever buckets they turn out to be.

    Where prices change with the size of the input, the dearest step up to this size counts.
    """
    steps = (0, *(tier.input_tokens for tier in price.above if tier.input_tokens <= input_tokens))
    total = max(
        input_tokens * max(rates[name] for name in _INPUT_BUCKETS)
        + output_tokens * max(rates[name] for name in _OUTPUT_BUCKETS)
        + rates["requests"]
        for rates in map(price.rates, steps)
    )
    return ceil_div(total * (BPS + markup_bps), MILLION * BPS)


_INPUT_BUCKETS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
_OUTPUT_BUCKETS = (
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "image_output_tokens",
)
