"""What the instance offers beside models: plans, bonuses, trials and the like, and its own options.

Amounts are nano-USD. A table that isn't set is None or empty: then the feature doesn't exist.
"""

import msgspec


class Table(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of what `options` rows keep as JSON."""


class GatewayOptions(Table, frozen=True, kw_only=True):
    """The table [gateway]."""

    name: str = "Turnpike"
    markup_bps: int = 0
    region_hosts: dict[str, str] = {}
    imprint: str = ""
    contact_url: str = ""
    reference_model: str = "openai/gpt-4o"
    default_rate_limit_rpm: int = 60


class Plan(Table, frozen=True, kw_only=True):
    """A row of [[plans]]: a monthly price, an allowance of tokens, and the classes it may call."""

    slug: str
    name: str = ""
    price_nusd_month: int
    tokens_month: int
    model_classes: tuple[str, ...]
    rate_limit_rpm: int = 0
    priority: int = 0


class BonusTier(Table, frozen=True, kw_only=True):
    """What a top-up from an amount up earns."""

    from_nusd: int
    percent: int


class Topups(Table, frozen=True, kw_only=True):
    """The table [topups]."""

    min_nusd: int
    first_bonus_nusd: int = 0
    unlocks_classes: tuple[str, ...] = ()
    bonus_days: int = 0
    bonus: tuple[BonusTier, ...] = ()


class Trial(Table, frozen=True, kw_only=True):
    """The table [trial]."""

    calls: int
    model_classes: tuple[str, ...]


class DemoKey(Table, frozen=True, kw_only=True):
    """The table [demo_key]."""

    enabled: bool = False
    calls_per_ip_per_day: int
    models: tuple[str, ...]


class Byok(Table, frozen=True, kw_only=True):
    """The table [byok]."""

    fee_nusd_per_million_tokens: int


class Batch(Table, frozen=True, kw_only=True):
    """The table [batch]."""

    discount_percent: int = 0
    max_requests: int = 1000


class Offers(Table, frozen=True, kw_only=True):
    """All of them but [gateway]."""

    plans: tuple[Plan, ...] = ()
    topups: Topups | None = None
    trial: Trial | None = None
    demo_key: DemoKey | None = None
    byok: Byok | None = None
    batch: Batch | None = None
