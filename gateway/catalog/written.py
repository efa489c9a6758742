"""The provisioning file as people write it: each table with its fields, their types and bounds.

An unknown field is an error. What one field can't say alone is checked in `rules.py`.
"""

from typing import Annotated, Literal

import msgspec

from gateway.catalog.amounts import WrittenPrice

Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
ModelId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][\w.-]*/[\w./:@+-]+$", max_length=200)]
AliasId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][\w.-]*(/[\w.-]+)?$", max_length=200)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Share = Annotated[int, msgspec.Meta(ge=0, le=100)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Api = Literal[
    "chat",
    "completions",
    "responses",
    "messages",
    "embeddings",
    "moderations",
    "rerank",
    "images",
    "gemini",
    "audio",
]
Modality = Literal["text", "image", "audio", "video", "file"]
Given = Literal["text", "image", "audio", "embeddings", "rerank", "moderation"]
Policy = Literal["balanced", "cheapest", "best", "fastest", "free"]


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all tables."""


class WrittenGateway(Written, frozen=True, kw_only=True):
    """[gateway]."""

    name: Name = "Turnpike"
    markup_bps: Bps = 0
    region_hosts: dict[str, str] = {}
    imprint: str = ""
    contact_url: str = ""
    reference_model: str = "openai/gpt-4o"
    default_rate_limit_rpm: Whole = 60


class WrittenProvider(Written, frozen=True, kw_only=True):
    """A row of [[providers]]."""

    slug: Slug
    kind: Literal["openai", "anthropic", "gemini", "sandbox"] = "openai"
    apis: tuple[Api, ...] | None = None
    stateful: bool = False
    hosted_tools: tuple[str, ...] = ()
    base_url: str | None = None
    api_key: str | None = None
    api_keys: tuple[str, ...] | None = None
    private_network: bool = False
    regions: tuple[Slug, ...] = ()
    platforms: tuple[Literal["intl", "cn"], ...] = ()
    connect_timeout_s: Seconds = 5.0
    first_byte_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 60.0
    cancel_stops_billing: bool | None = None
    local: bool = False


class WrittenEndpoint(Written, frozen=True, kw_only=True):
    """A row of [[models.endpoints]]."""

    provider: Slug
    upstream_model: Name
    priority: Whole = 1
    weight: Positive = 1
    apis: tuple[Api, ...] | None = None
    stateful: bool | None = None
    hosted_tools: tuple[str, ...] | None = None
    price: WrittenPrice | None = None
    cost: WrittenPrice | None = None


class WrittenModel(Written, frozen=True, kw_only=True):
    """A row of [[models]]."""

    id: ModelId
    name: Name | None = None
    context_length: Positive | None = None
    max_output_tokens: Positive | None = None
    input: tuple[Modality, ...] = ("text",)
    output: tuple[Given, ...] = ("text",)
    tags: tuple[str, ...] = ()
    klass: Slug = msgspec.field(default="standard", name="class")
    quality: Share | None = None
    max_image_tokens: Positive = 6000
    supported_parameters: tuple[str, ...] = ()
    can_reason: bool = False
    price: WrittenPrice | None = None
    markup_bps: Bps | None = None
    description: str = ""
    created: Whole | None = None
    endpoints: tuple[WrittenEndpoint, ...] = ()


class WrittenAlias(Written, frozen=True, kw_only=True):
    """A row of [[aliases]]."""

    id: AliasId
    policy: Policy = "balanced"
    task: Slug | None = None
    candidates: tuple[ModelId, ...] = ()
    tasks: dict[str, tuple[ModelId, ...]] = {}
    description: str = ""


class WrittenPlan(Written, frozen=True, kw_only=True):
    """A row of [[plans]]."""

    slug: Slug
    name: str = ""
    price_usd_month: str
    tokens_month: Whole
    model_classes: tuple[Slug, ...]
    rate_limit_rpm: Whole = 0
    priority: Whole = 0


class WrittenBonus(Written, frozen=True, kw_only=True):
    """A row of `bonus`."""

    from_usd: str
    percent: Percent


class WrittenTopups(Written, frozen=True, kw_only=True):
    """[topups]."""

    min_usd: str
    first_bonus_usd: str = "0"
    unlocks_classes: tuple[Slug, ...] = ()
    bonus_days: Whole = 0
    bonus: tuple[WrittenBonus, ...] = ()


class WrittenTrial(Written, frozen=True, kw_only=True):
    """[trial]."""

    calls: Whole
    model_classes: tuple[Slug, ...]


class WrittenDemoKey(Written, frozen=True, kw_only=True):
    """[demo_key]."""

    enabled: bool = False
    calls_per_ip_per_day: Whole = 5
    models: tuple[str, ...] = ()


class WrittenByok(Written, frozen=True, kw_only=True):
    """[byok]."""

    fee_usd_per_million_tokens: str


class WrittenBatch(Written, frozen=True, kw_only=True):
    """[batch]."""

    discount_percent: Share = 0
    max_requests: Positive = 1000


class WrittenFile(Written, frozen=True, kw_only=True):
    """The whole file."""

    gateway: WrittenGateway | None = None
    providers: tuple[WrittenProvider, ...] = ()
    models: tuple[WrittenModel, ...] = ()
    aliases: tuple[WrittenAlias, ...] = ()
    plans: tuple[WrittenPlan, ...] = ()
    topups: WrittenTopups | None = None
    trial: WrittenTrial | None = None
    demo_key: WrittenDemoKey | None = None
    byok: WrittenByok | None = None
    batch: WrittenBatch | None = None
