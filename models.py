"""The tables, with the constraints that make wrong money unwritable. Nothing here decides.

Instants are integer milliseconds since 1970 (UTC), amounts integer nano-USD, both in BIGINT. Lists
and small records are JSON text. The triggers that stand beside these tables are in the migrations:
transfers, price versions, seals and the audit log are insert-only, a transfer moves the cached
balances by itself, a generation its roll-up, and a change of a key or of the catalog bumps its row
in `revisions`.
"""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Id = BigInteger().with_variant(Integer, "sqlite")
"""A counted primary key: SQLite counts only columns declared INTEGER."""


class Base(DeclarativeBase):
    """The common base; its metadata is what the migrations are compared with."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, int: BigInteger}


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


# People


class User(Base):
    """Somebody who signs in; an operator runs the instance."""

    __tablename__ = "users"
    __table_args__ = (_one_of("state", "active", "disabled"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    password_hash: Mapped[str | None]
    is_operator: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(default="active")
    token_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int]


class Workspace(Base):
    """What owns a wallet, keys, settings and members."""

    __tablename__ = "workspaces"
    __table_args__ = (
        _one_of("kind", "personal", "team", "system"),
        _one_of("state", "active", "disabled"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="personal")
    state: Mapped[str] = mapped_column(default="active")
    time_zone: Mapped[str] = mapped_column(default="UTC")
    next_time_zone: Mapped[str | None]
    next_zone_on: Mapped[str | None]
    has_every_class: Mapped[bool] = mapped_column(default=False)
    unlocked_classes: Mapped[str] = mapped_column(default="[]")
    created_at: Mapped[int]


class Member(Base):
    """A user's place in a workspace."""

    __tablename__ = "members"
    __table_args__ = (_one_of("role", "owner", "manager", "member"),)

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str]
    created_at: Mapped[int]


class Key(Base):
    """An API key: only its hash is kept. `models` and `ips` are allow-lists; NULL allows all."""

    __tablename__ = "keys"
    __table_args__ = (
        _one_of("kind", "inference", "management"),
        _one_of("state", "active", "stopped"),
        _one_of("platform", "intl", "cn"),
        CheckConstraint("rpm IS NULL OR rpm >= 0", name="rpm_sane"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(default="inference")
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    state: Mapped[str] = mapped_column(default="active")
    rpm: Mapped[int | None]
    models: Mapped[str | None]
    ips: Mapped[str | None]
    platform: Mapped[str | None]
    expires_at: Mapped[int | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    stopped_at: Mapped[int | None]


# The catalog


class Provider(Base):
    """An upstream. `config` is a `catalog.ProviderConfig`, `secrets` its sealed API keys."""

    __tablename__ = "providers"
    __table_args__ = (_one_of("source", "file", "console", "environment", "built-in"),)

    slug: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    config: Mapped[str]
    secrets: Mapped[str | None]
    source: Mapped[str]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Model(Base):
    """A model. `config` is a `catalog.ModelConfig`: what it can do, and its list price."""

    __tablename__ = "models"
    __table_args__ = (_one_of("source", "file", "console", "environment", "built-in"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    config: Mapped[str]
    source: Mapped[str]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Endpoint(Base):
    """A model at a provider: a route. Without a price version it is never routable."""

    __tablename__ = "endpoints"
    __table_args__ = (
        Index("uq_endpoints_place", "model_id", "provider_slug", "upstream_model", unique=True),
        CheckConstraint("weight > 0", name="weight_positive"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    provider_slug: Mapped[str] = mapped_column(ForeignKey("providers.slug"), index=True)
    upstream_model: Mapped[str]
    priority: Mapped[int] = mapped_column(default=1)
    weight: Mapped[int] = mapped_column(default=1)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]
    updated_at: Mapped[int]


class PriceVersion(Base):
    """What an endpoint charges and costs from an instant on: immutable, the newest one is in force.

    `price` and `cost` are `pricing.Price` as JSON; `markup_bps` goes into the one rounding of a
    charge. One that is not confirmed (a jump beyond threefold) waits for the operator and isn't in
    force.
    """

    __tablename__ = "price_versions"
    __table_args__ = (Index("ix_price_versions_newest", "endpoint_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoints.id"))
    price: Mapped[str]
    cost: Mapped[str | None]
    markup_bps: Mapped[int] = mapped_column(default=0)
    source: Mapped[str]
    is_confirmed: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]


class Alias(Base):
    """A name for a policy or a group of models; `config` is a `catalog.AliasConfig`."""

    __tablename__ = "aliases"
    __table_args__ = (_one_of("source", "file", "console", "environment", "built-in"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    config: Mapped[str]
    source: Mapped[str]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Option(Base):
    """A table of the provisioning file that isn't a list of rows, such as `gateway`, as JSON."""

    __tablename__ = "options"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    source: Mapped[str]
    updated_at: Mapped[int]


class Revision(Base):
    """A counter that triggers bump: a worker sees in one small read that something changed."""

    __tablename__ = "revisions"

    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)


# The ledger


class Wallet(Base):
    """The cached sums of a workspace's accounts and open holds; `verify` derives both anew."""

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint("held_nusd >= 0", name="held_not_negative"),
        CheckConstraint("posted_nusd - held_nusd >= 0 OR is_frozen", name="never_overdrawn"),
    )

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    posted_nusd: Mapped[int] = mapped_column(default=0)
    held_nusd: Mapped[int] = mapped_column(default=0)
    is_frozen: Mapped[bool] = mapped_column(default=False)


class Account(Base):
    """A ledger account: a workspace's cash, a bonus grant or debt, or one of the house's.

    A workspace's account caches its balance; the house's accounts are summed when asked, so that no
    row is shared by all calls.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(
            "(workspace_id IS NULL) = (balance_nusd IS NULL)", name="balance_of_workspaces"
        ),
        CheckConstraint(
            "balance_nusd IS NULL OR balance_nusd >= 0 OR kind = 'debt'", name="not_negative"
        ),
        Index("ix_accounts_workspace", "workspace_id", "kind"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspaces.id"))
    kind: Mapped[str]
    name: Mapped[str | None] = mapped_column(unique=True)
    balance_nusd: Mapped[int | None]
    expires_at: Mapped[int | None]
    created_at: Mapped[int]


class Transfer(Base):
    """One amount from one account to another: insert-only, corrected only by another transfer."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount_nusd > 0", name="amount_positive"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        Index("ix_transfers_workspace", "workspace_id", "id"),
        Index(
            "ix_transfers_generation",
            "generation_id",
            sqlite_where=text("generation_id IS NOT NULL"),
            postgresql_where=text("generation_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    debit_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    credit_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    amount_nusd: Mapped[int]
    kind: Mapped[str]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    workspace_id: Mapped[str | None]
    generation_id: Mapped[str | None]
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"))
    note: Mapped[str | None]
    created_at: Mapped[int]
    hash: Mapped[str]


class Hold(Base):
    """Money set aside for one call; its state decides, once, who resolves it.

    `cap_windows` lists the `[cap id, first day]` it also weighs on; `context` is what the sweeper
    needs to write the generation of a dead worker; `checkpoint` what a stream had delivered when
    last written down.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("amount_nusd >= 0", name="amount_not_negative"),
        _one_of("state", "open", "settled", "released", "expired"),
        CheckConstraint("(state = 'open') = (resolved_at IS NULL)", name="resolved_when_not_open"),
        Index(
            "ix_holds_open",
            "worker_id",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    generation_id: Mapped[str] = mapped_column(unique=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("wallets.workspace_id"))
    key_id: Mapped[str | None]
    worker_id: Mapped[str]
    amount_nusd: Mapped[int]
    state: Mapped[str] = mapped_column(default="open")
    day: Mapped[str]
    cap_windows: Mapped[str]
    context: Mapped[str]
    checkpoint: Mapped[str | None]
    created_at: Mapped[int]
    resolved_at: Mapped[int | None]


class Cap(Base):
    """A spending limit of a key, a member or a workspace over a period."""

    __tablename__ = "caps"
    __table_args__ = (
        _one_of("subject", "key", "member", "workspace"),
        _one_of("period", "day", "week", "month", "lifetime"),
        CheckConstraint("limit_nusd >= 0", name="limit_not_negative"),
        Index("uq_caps_subject", "workspace_id", "subject", "subject_id", "period", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    subject: Mapped[str]
    subject_id: Mapped[str]
    period: Mapped[str]
    limit_nusd: Mapped[int]
    created_at: Mapped[int]


class CapWindow(Base):
    """What a cap's present period has used and holds.

    `ceiling_nusd` is the highest limit that was in force in this window, so a limit that was
    lowered later doesn't make the past wrong, and no statement can pass the limit that stood when
    it ran.
    """

    __tablename__ = "cap_windows"
    __table_args__ = (
        CheckConstraint("used_nusd >= 0 AND held_nusd >= 0", name="not_negative"),
        CheckConstraint("used_nusd + held_nusd <= ceiling_nusd", name="never_passed"),
        {"sqlite_with_rowid": False},
    )

    cap_id: Mapped[int] = mapped_column(ForeignKey("caps.id", ondelete="CASCADE"), primary_key=True)
    starts_on: Mapped[str] = mapped_column(primary_key=True)
    used_nusd: Mapped[int] = mapped_column(default=0)
    held_nusd: Mapped[int] = mapped_column(default=0)
    ceiling_nusd: Mapped[int]


class InsuranceDay(Base):
    """What the house has borne for a workspace's broken answers on a UTC day."""

    __tablename__ = "insurance_days"
    __table_args__ = (
        CheckConstraint("used_nusd >= 0", name="not_negative"),
        {"sqlite_with_rowid": False},
    )

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    used_nusd: Mapped[int] = mapped_column(default=0)


class Seal(Base):
    """A Merkle root over transfers that were committed since the last seal, chained to its root."""

    __tablename__ = "seals"

    seq: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    root: Mapped[str]
    previous_root: Mapped[str]
    transfer_count: Mapped[int]
    created_at: Mapped[int]


class SealEntry(Base):
    """The place of a transfer in its seal."""

    __tablename__ = "seal_entries"
    __table_args__ = (Index("uq_seal_entries_place", "seal_seq", "position", unique=True),)

    transfer_id: Mapped[int] = mapped_column(
        ForeignKey("transfers.id"), primary_key=True, autoincrement=False
    )
    seal_seq: Mapped[int] = mapped_column(ForeignKey("seals.seq"))
    position: Mapped[int]


# Calls


class Generation(Base):
    """One paid call, from admission to settlement. NULL is unknown, never zero.

    The nine token buckets are disjoint. `rule` is the row of the who-pays table that was applied,
    `basis` where the counts come from (`provider`, `estimated`, `none`).
    """

    __tablename__ = "generations"
    __table_args__ = (
        CheckConstraint("charge_nusd >= 0 AND charge_nusd <= hold_nusd", name="charge_within_hold"),
        CheckConstraint("overrun_nusd >= 0 AND insured_nusd >= 0", name="house_bears_not_negative"),
        Index("ix_generations_workspace", "workspace_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    key_id: Mapped[str | None]
    user_id: Mapped[str | None]
    created_at: Mapped[int]
    day: Mapped[str]
    api: Mapped[str]
    requested_model: Mapped[str]
    model: Mapped[str | None]
    provider: Mapped[str | None]
    endpoint_id: Mapped[int | None]
    price_version_id: Mapped[int | None] = mapped_column(ForeignKey("price_versions.id"))
    status: Mapped[str]
    error_code: Mapped[str | None]
    rule: Mapped[str]
    basis: Mapped[str]
    purse: Mapped[str] = mapped_column(default="wallet")
    finish_reason: Mapped[str | None]
    is_streamed: Mapped[bool]
    is_cancelled: Mapped[bool]
    attempt_count: Mapped[int]
    input_tokens: Mapped[int | None]
    cached_input_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    audio_input_tokens: Mapped[int | None]
    audio_output_tokens: Mapped[int | None]
    image_input_tokens: Mapped[int | None]
    image_output_tokens: Mapped[int | None]
    units: Mapped[str | None]
    charge_nusd: Mapped[int]
    hold_nusd: Mapped[int]
    overrun_nusd: Mapped[int] = mapped_column(default=0)
    insured_nusd: Mapped[int] = mapped_column(default=0)
    cost_nusd: Mapped[int | None]
    first_token_ms: Mapped[int | None]
    latency_ms: Mapped[int]
    upstream_id: Mapped[str | None]
    request_id: Mapped[str | None]
    session_id: Mapped[str | None]
    app: Mapped[str | None]
    receipt_sha256: Mapped[str]


class Attempt(Base):
    """One try at one endpoint; the one that answered stands last."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_started", "started_at"),)

    id: Mapped[str] = mapped_column(unique=True)
    generation_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str]
    provider: Mapped[str]
    endpoint_id: Mapped[int | None]
    upstream_model: Mapped[str]
    price_version_id: Mapped[int | None]
    outcome: Mapped[str]
    http_status: Mapped[int | None]
    error: Mapped[str | None]
    started_at: Mapped[int]
    first_byte_ms: Mapped[int | None]
    latency_ms: Mapped[int]


class UsageDay(Base):
    """A roll-up: the sums of a workspace's generations by day, key, member, model and provider.

    Written by a trigger on `generations`, in the settlement's own commit. `unknown_calls` counts
    those whose tokens nobody knows, so a sum never passes for complete.
    """

    __tablename__ = "usage_days"
    __table_args__ = ({"sqlite_with_rowid": False},)

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    calls: Mapped[int]
    failed_calls: Mapped[int]
    unknown_calls: Mapped[int]
    input_tokens: Mapped[int]
    cached_input_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    output_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    charge_nusd: Mapped[int]
    cost_nusd: Mapped[int]
    unknown_costs: Mapped[int]
    first_token_ms: Mapped[int]
    first_tokens: Mapped[int]
    latency_ms: Mapped[int]


# Operation


class Worker(Base):
    """A serving process and its last sign of life."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[int]
    heartbeat_at: Mapped[int]


class Audit(Base):
    """Who changed what: insert-only, in the transaction of the change."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_workspace", "workspace_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created_at: Mapped[int]
    actor: Mapped[str]
    workspace_id: Mapped[str | None]
    action: Mapped[str]
    object: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]
