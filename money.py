"""Money as integers: nano-USD, and nothing else.

One USD is 1,000,000,000 nano-USD. A price is an integer number of nano-USD per million units.
No float is read: an amount comes in as a decimal string and goes out as an exact decimal.
"""

from decimal import Decimal, InvalidOperation

USD = 1_000_000_000
MILLION = 1_000_000
LARGEST_NUSD = 2**62
"""Twice this still fits a 64-bit column, so a guarded sum can't overflow."""


def parse_usd(text: str) -> int:
    """Return the nano-USD of a decimal string such as "12.50".

    Raises ValueError when it isn't a plain decimal, is negative, has more than nine decimal places,
    or is beyond what a 64-bit column can add up.
    """
    if not text or not set(text) <= set("0123456789."):
        raise ValueError("write the amount as a plain decimal string, such as 12.50")
    try:
        exact = Decimal(text) * USD
    except InvalidOperation as error:
        raise ValueError("write the amount as a plain decimal string, such as 12.50") from error
    if exact != exact.to_integral_value():
        raise ValueError("an amount has at most nine decimal places")
    if exact > LARGEST_NUSD:
        raise ValueError("the amount is too large")
    return int(exact)


def print_usd(amount_nusd: int) -> str:
    """Return the exact decimal of an amount, with at least two decimal places: "0.003", "5.00"."""
    sign = "-" if amount_nusd < 0 else ""
    whole, rest = divmod(abs(amount_nusd), USD)
    return f"{sign}{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def usd_number(amount_nusd: int) -> float:
    """Return the JSON number of an amount: the nearest float, to read and never to reckon."""
    return amount_nusd / USD


def per_unit(price_nusd_per_million: int) -> str:
    """Return a price as a decimal string of USD for one unit: OpenRouter's and E-12's form."""
    exact = Decimal(price_nusd_per_million) / (USD * MILLION)
    return f"{exact:f}"


def ceil_div(numerator: int, denominator: int) -> int:
    """Return the quotient, rounded up."""
    return -(-numerator // denominator)
