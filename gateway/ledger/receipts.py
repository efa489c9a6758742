"""Receipts: a call, its transfers and its price version as one record, rendered when asked for."""

from fractions import Fraction
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

import clock
from errors import NotFoundError
from gateway import pricing
from models import Account, Generation, PriceVersion, Seal, SealEntry, Transfer
from money import MILLION, print_usd
from wire.usage import Usage

RULES = {
    "a": "Refused by the gateway before anything was sent to a provider: nothing is charged.",
    "b": "Answered with plausible counts: what was used is charged, never more than was held.",
    "c": "Answered without counts: the gateway's own count is charged, within what was held.",
    "d": "Answered with counts that make no sense: the gateway's own count is charged instead.",
    "e": "The provider refused the input: nothing is charged.",
    "f": "No provider answered: nothing is charged.",
    "g": "The answer was empty or ended in an error: insured, else what was delivered is charged.",
    "h": "The caller left before the first token: the input is charged if a provider had accepted.",
    "i": "The caller left in mid-stream: the input and what came until then is charged.",
    "j": "The provider broke off in mid-answer: insured, else what was delivered is charged.",
    "k": "Another provider took over: only the one that answered is charged, at its own price.",
    "l": "The gateway stopped before anything was sent to a provider: nothing is charged.",
    "m": "The gateway stopped in mid-call: a stream's last written count is charged, else nothing.",
    "n": "Settled, but the answer didn't reach the caller: the same Idempotency-Key replays it.",
    "o": "A batch item that was run again: it is charged once.",
    "p": "Sent with the caller's own provider key: only the platform's fee is charged.",
    "r": "Audio or images: each valid unit that was delivered is charged.",
    "s": "The stream outgrew what could be held: what was delivered within the hold is charged.",
}
"""The rows of the who-pays table in one sentence each."""

COUNTED = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
"""The disjoint token buckets that have a column; the other counts stand in `units`."""


def receipt(
    session: Session, generation_id: str, workspace_id: str | None = None
) -> dict[str, Any]:
    """Return the receipt of a call; `workspace_id` None is the operator, who sees them all.

    Units: nano-USD; `exact_nusd` is a fraction of them, before the one rounding upward of the sum.
    Raises: NotFoundError.
    """
    row = session.get(Generation, generation_id)
    if row is None or workspace_id not in (None, row.workspace_id):
        raise NotFoundError(f"There is no generation {generation_id}.", param="id")
    version = session.get(PriceVersion, row.price_version_id) if row.price_version_id else None
    transfers = _transfers(session, row)
    sealed = [transfer["seal"] for transfer in transfers]
    return {
        "id": row.id,
        "workspace_id": row.workspace_id,
        "key_id": row.key_id,
        "created_at": clock.iso(row.created_at),
        "day": row.day,
        "api": row.api,
        "requested_model": row.requested_model,
        "model": row.model,
        "provider": row.provider,
        "status": row.status,
        "error_code": row.error_code,
        "rule": row.rule,
        "rule_in_words": RULES.get(row.rule, ""),
        "basis": row.basis,
        "purse": row.purse,
        "usage": _counts(row),
        **_reckoning(row, version),
        "charge": _amount(row.charge_nusd),
        "hold": _amount(row.hold_nusd),
        "overrun": _amount(row.overrun_nusd),
        "insured": _amount(row.insured_nusd),
        "price_version_id": row.price_version_id,
        "transfers": transfers,
        "receipt_sha256": row.receipt_sha256,
        "seal": max(sealed, key=lambda s: s["seq"]) if sealed and all(sealed) else None,
    }


def usage_of(row: Generation) -> Usage | None:
    """Return what a call used, None where nobody knows."""
    counts = {name: count for name in COUNTED if (count := getattr(row, name)) is not None}
    if not counts and row.units is None:
        return None
    more = msgspec.json.decode(row.units) if row.units else {}
    return msgspec.convert({**more, **counts}, Usage)


def _counts(row: Generation) -> dict[str, Any]:
    more = msgspec.json.decode(row.units) if row.units else {}
    return {**{name: getattr(row, name) for name in COUNTED}, **more}


def _reckoning(row: Generation, version: PriceVersion | None) -> dict[str, Any]:
    usage = usage_of(row)
    if version is None or usage is None:
        return {"lines": [], "markup_bps": version and version.markup_bps, "exact_nusd": None}
    price = msgspec.json.decode(version.price, type=pricing.Price)
    lines = [(line, _exact(line)) for line in pricing.lines(usage, price)]
    markup = Fraction(pricing.BPS + version.markup_bps, pricing.BPS)
    return {
        "lines": [
            {
                "bucket": line.bucket,
                "count": line.count,
                "price_nusd_per_million": line.price_nusd_per_million,
                "price_usd_per_million": print_usd(line.price_nusd_per_million),
                "exact_nusd": str(exact),
            }
            for line, exact in lines
        ],
        "markup_bps": version.markup_bps,
        "exact_nusd": str(sum((exact for _, exact in lines), Fraction(0)) * markup),
    }


def _exact(line: pricing.Line) -> Fraction:
    units = MILLION * (pricing.MINUTE_MS if line.bucket == "audio_ms" else 1)
    return Fraction(line.count * line.price_nusd_per_million, units)


def _amount(amount_nusd: int) -> dict[str, Any]:
    return {"amount_nusd": amount_nusd, "amount_usd": print_usd(amount_nusd)}


def _transfers(session: Session, generation: Generation) -> list[dict[str, Any]]:
    debit, credit = aliased(Account), aliased(Account)
    rows = session.execute(
        select(Transfer, debit.kind, credit.kind, SealEntry.seal_seq, Seal.root)
        .join(debit, debit.id == Transfer.debit_account_id)
        .join(credit, credit.id == Transfer.credit_account_id)
        .outerjoin(SealEntry, SealEntry.transfer_id == Transfer.id)
        .outerjoin(Seal, Seal.seq == SealEntry.seal_seq)
        .where(
            Transfer.workspace_id == generation.workspace_id,
            Transfer.generation_id == generation.id,
        )
        .order_by(Transfer.id)
    )
    return [
        {
            "id": f"tr_{row.id}",
            "kind": row.kind,
            "debit": {"account_id": row.debit_account_id, "kind": debit_kind},
            "credit": {"account_id": row.credit_account_id, "kind": credit_kind},
            **_amount(row.amount_nusd),
            "idempotency_key": row.idempotency_key,
            "created_at": clock.iso(row.created_at),
            "hash": row.hash,
            "seal": {"seq": seq, "root": root} if root else None,
        }
        for row, debit_kind, credit_kind, seq, root in rows
    ]
