"""What the ledger writes down of a call: rows as typed values, fields in the columns' order."""

import hashlib
from typing import Any

import msgspec


class GenerationRecord(msgspec.Struct, kw_only=True):
    """One row of `generations`. At the hold it is the row of a call that never came back."""

    id: str
    workspace_id: str
    key_id: str | None
    user_id: str | None
    created_at: int
    day: str
    api: str
    requested_model: str
    model: str | None = None
    provider: str | None = None
    endpoint_id: int | None = None
    price_version_id: int | None = None
    status: str = "lost"
    error_code: str | None = None
    rule: str = "l"
    basis: str = "none"
    purse: str = "wallet"
    finish_reason: str | None = None
    is_streamed: bool = False
    is_cancelled: bool = False
    attempt_count: int = 0
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    units: str | None = None
    charge_nusd: int = 0
    hold_nusd: int = 0
    overrun_nusd: int = 0
    insured_nusd: int = 0
    cost_nusd: int | None = None
    first_token_ms: int | None = None
    latency_ms: int = 0
    upstream_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    app: str | None = None
    receipt_sha256: str = ""


class AttemptRecord(msgspec.Struct, kw_only=True):
    """One row of `attempts`."""

    id: str
    generation_id: str
    number: int
    model: str
    provider: str
    endpoint_id: int | None
    upstream_model: str
    price_version_id: int | None
    outcome: str = "lost"
    http_status: int | None = None
    error: str | None = None
    started_at: int = 0
    first_byte_ms: int | None = None
    latency_ms: int = 0


class Checkpoint(msgspec.Struct, kw_only=True):
    """What a running stream would be charged if its worker died now."""

    generation: GenerationRecord
    attempts: list[AttemptRecord]
    cost_nusd: int


class Payment(msgspec.Struct, frozen=True):
    """One transfer of a settlement, as a receipt shows it."""

    debit_account_id: int
    credit_account_id: int
    amount_nusd: int
    kind: str
    idempotency_key: str


def insert_sql(table: str, record: type[msgspec.Struct]) -> str:
    """Return the INSERT of a record type."""
    names = record.__struct_fields__
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names


def transfer_hash(
    payment: Payment, workspace_id: str | None, generation_id: str | None, created_at: int
) -> str:
    """Return the hash that a seal covers: of everything in the row but its number and its note."""
    content = (
        f"{payment.debit_account_id}|{payment.credit_account_id}|{payment.amount_nusd}|{payment.kind}|"
        f"{payment.idempotency_key}|{workspace_id or ''}|{generation_id or ''}|{created_at}"
    )
    return hashlib.sha256(content.encode()).hexdigest()


RECEIPT_FIELDS = tuple(
    name for name in GenerationRecord.__struct_fields__ if name != "receipt_sha256"
)


def receipt_sha256(generation: Any, payments: list[Payment]) -> str:
    """Return the hash of what a receipt is rendered from: the generation and its transfers.

    `generation` is a GenerationRecord or a row of the table with the same fields.
    """
    facts = [getattr(generation, name) for name in RECEIPT_FIELDS]
    facts = [int(fact) if isinstance(fact, bool) else fact for fact in facts]
    return hashlib.sha256(msgspec.json.encode([facts, payments])).hexdigest()
