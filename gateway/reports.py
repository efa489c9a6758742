"""What a caller may read of its own past: generations, receipts, totals, its own key.

A management key sees its workspace, an API key its own rows; what is anybody else's is not found.
"""

import re
from typing import Any

from sqlalchemy import func, select

import clock
import db
from errors import NotFoundError
from gateway import keys
from gateway.keys import Caller
from gateway.ledger import receipts
from models import Account, Attempt, Generation, Transfer, Wallet
from money import usd_number

PREFIXES = ("gen-", "resp_", "msg_")
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def generation(caller: Caller, generation_id: str) -> dict[str, Any]:
    """Return one generation with its attempts, in OpenRouter's fields and E-13's.

    Raises: NotFoundError.
    """
    with db.reading() as session:
        row = session.get(Generation, canonical(generation_id))
        if row is None or not _may_see(caller, row):
            raise _not_found()
        attempts = session.scalars(
            select(Attempt).where(Attempt.generation_id == row.id).order_by(Attempt.number)
        ).all()
        return _shown(row, list(attempts))


def receipt(caller: Caller, generation_id: str) -> dict[str, Any]:
    """Return what a generation cost, line by line.

    Raises: NotFoundError.
    """
    with db.reading() as session:
        row = session.get(Generation, canonical(generation_id))
        if row is None or not _may_see(caller, row):
            raise _not_found()
        return receipts.receipt(session, row.id, caller.workspace_id)


def credit_totals(caller: Caller) -> dict[str, Any]:
    """Return E-14's totals: all that came in, all that was used, what is left. Units: USD."""
    with db.reading() as session:
        wallet = session.get(Wallet, caller.workspace_id)
        own = select(Account.id).where(Account.workspace_id == caller.workspace_id)
        used = session.scalar(
            select(func.coalesce(func.sum(Transfer.amount_nusd), 0)).where(
                Transfer.workspace_id == caller.workspace_id,
                Transfer.kind == "usage",
                Transfer.debit_account_id.in_(own),
            )
        )
        posted = wallet.posted_nusd if wallet is not None else 0
        held = wallet.held_nusd if wallet is not None else 0
    used_nusd = int(used or 0)
    return {
        "total_credits": usd_number(posted + used_nusd),
        "total_usage": usd_number(used_nusd),
        "remaining": usd_number(posted),
        "held": usd_number(held),
        "remaining_nusd": posted,
        "held_nusd": held,
    }


def key(caller: Caller) -> dict[str, Any]:
    """Return the presented key's own record."""
    with db.reading() as session:
        return keys.record_of(session, caller.key_id)


def canonical(generation_id: str) -> str:
    """Return a generation's id, whatever dialect's prefix it is shown with; "" for no id."""
    if not _ID.fullmatch(generation_id):
        return ""
    for prefix in PREFIXES[1:]:
        if generation_id.startswith(prefix):
            return PREFIXES[0] + generation_id.removeprefix(prefix)
    return generation_id


def _may_see(caller: Caller, row: Generation) -> bool:
    if row.workspace_id != caller.workspace_id:
        return False
    return caller.kind == "management" or row.key_id == caller.key_id


def _not_found() -> NotFoundError:
    return NotFoundError(
        "There is no such generation. Its id is in the answer and in X-Generation-Id.", param="id"
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _shown(row: Generation, attempts: list[Attempt]) -> dict[str, Any]:
    prompt = _sum(
        row.input_tokens,
        row.cached_input_tokens,
        row.cache_write_tokens,
        row.audio_input_tokens,
        row.image_input_tokens,
    )
    completion = _sum(
        row.output_tokens, row.reasoning_tokens, row.audio_output_tokens, row.image_output_tokens
    )
    total_cost = usd_number(row.charge_nusd)
    return {
        "id": row.id,
        "object": "generation",
        "upstream_id": row.upstream_id,
        "request_id": row.request_id,
        "session_id": row.session_id,
        "workspace_id": row.workspace_id,
        "created_at": clock.iso(row.created_at),
        "api_type": "completions" if row.api == "chat" else row.api,
        "requested_model": row.requested_model,
        "model": row.model,
        "provider": row.provider,
        "provider_name": row.provider,
        "status": row.status,
        "error_code": row.error_code,
        "rule": row.rule,
        "basis": row.basis,
        "streamed": row.is_streamed,
        "cancelled": row.is_cancelled,
        "finish_reason": row.finish_reason,
        "native_finish_reason": row.finish_reason,
        "latency": row.first_token_ms if row.is_streamed else row.latency_ms,
        "latency_ms": row.latency_ms,
        "first_token_ms": row.first_token_ms,
        "generation_time": row.latency_ms - (row.first_token_ms or 0),
        "tokens_prompt": prompt,
        "tokens_completion": completion,
        "native_tokens_prompt": prompt,
        "native_tokens_completion": completion,
        "native_tokens_reasoning": row.reasoning_tokens,
        "native_tokens_cached": row.cached_input_tokens,
        "total_cost": total_cost,
        "usage": total_cost,
        "amount_nusd": row.charge_nusd,
        "hold_nusd": row.hold_nusd,
        "is_byok": row.purse == "byok",
        "app": row.app,
        "receipt_sha256": row.receipt_sha256,
        "provider_responses": [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "number": attempt.number,
        "provider_name": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "status": attempt.http_status,
        "started_at": clock.iso(attempt.started_at),
        "first_byte_ms": attempt.first_byte_ms,
        "latency_ms": attempt.latency_ms,
    }
