"""Proofs: from a receipt to its transfers, to their seal, to the newest root.

What `prove` returns is enough to recompute every step by the formula in `seals.py`, without this
program and without trust in it.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import clock
from gateway.ledger import seals
from gateway.ledger.receipts import receipt
from gateway.ledger.records import Payment, transfer_hash
from models import Generation, Seal, SealEntry, Transfer

MOST_LINKS = 5_000


def prove(session: Session, generation_id: str, workspace_id: str | None = None) -> dict[str, Any]:
    """Return the receipt of a call, and the chain from it to the newest root.

    `chain` begins with the seal of the first transfer and has at most 5,000 links; `is_complete`
    says whether it reaches the newest seal. A transfer that isn't sealed yet says so by a `seal` of
    null; a call that moved no money has nothing to seal.
    Raises: NotFoundError.
    """
    rendered = receipt(session, generation_id, workspace_id)
    transfers = session.scalars(
        select(Transfer)
        .where(
            Transfer.workspace_id == rendered["workspace_id"],
            Transfer.generation_id == generation_id,
        )
        .order_by(Transfer.id)
    ).all()
    entries = {
        entry.transfer_id: entry
        for entry in session.scalars(
            select(SealEntry).where(SealEntry.transfer_id.in_([row.id for row in transfers]))
        )
    }
    newest = session.scalars(select(Seal).order_by(Seal.seq.desc()).limit(1)).first()
    return {
        "generation_id": generation_id,
        "receipt": rendered,
        "transfers": [
            _proof(session, row, entries.get(row.id), rendered["receipt_sha256"])
            for row in transfers
        ],
        "is_sealed": bool(transfers) and len(entries) == len(transfers),
        "chain": _chain(session, min((e.seal_seq for e in entries.values()), default=None), newest),
        "newest_seal": newest and {"seq": newest.seq, "root": newest.root},
        "unsealed_transfers": unsealed_count(session),
    }


def sealed_leaves(
    session: Session, first_seq: int, last_seq: int
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the leaves of each seal that has some, recomputed from the rows, as a stream."""
    query = (
        select(
            SealEntry.seal_seq,
            Transfer.id,
            Transfer.hash,
            Transfer.corrects_id,
            Generation.receipt_sha256,
        )
        .join(Transfer, Transfer.id == SealEntry.transfer_id)
        .outerjoin(Generation, Generation.id == Transfer.generation_id)
        .where(SealEntry.seal_seq.between(first_seq, last_seq))
        .order_by(SealEntry.seal_seq, SealEntry.position)
        .execution_options(yield_per=1000)
    )
    with session.execute(query) as rows:
        for seq, group in groupby(rows, key=lambda row: row[0]):
            yield seq, [seals.leaf(*row[1:]) for row in group]


def unsealed_count(session: Session) -> int:
    """Return how many transfers no seal covers yet."""
    everything = session.scalar(select(func.count()).select_from(Transfer)) or 0
    return everything - (session.scalar(select(func.count()).select_from(SealEntry)) or 0)


def payment_of(row: Any) -> Payment:
    """Return what of a transfer's row a receipt is made of."""
    return Payment(
        row.debit_account_id,
        row.credit_account_id,
        row.amount_nusd,
        row.kind,
        row.idempotency_key,
    )


def recomputed_hash(row: Any) -> str:
    """Return the hash that a transfer's row must have."""
    return transfer_hash(payment_of(row), row.workspace_id, row.generation_id, row.created_at)


def _proof(
    session: Session, row: Transfer, entry: SealEntry | None, receipt_sha256: str
) -> dict[str, Any]:
    recomputed = recomputed_hash(row)
    leaf = seals.leaf(row.id, recomputed, row.corrects_id, receipt_sha256)
    proof: dict[str, Any] = {
        "id": f"tr_{row.id}",
        "debit_account_id": row.debit_account_id,
        "credit_account_id": row.credit_account_id,
        "amount_nusd": row.amount_nusd,
        "kind": row.kind,
        "idempotency_key": row.idempotency_key,
        "workspace_id": row.workspace_id,
        "generation_id": row.generation_id,
        "corrects_id": row.corrects_id,
        "created_at": row.created_at,
        "hash": row.hash,
        "hash_recomputed": recomputed,
        "leaf": leaf.hex(),
        "seal": None,
    }
    if entry is not None:
        [(_, leaves)] = sealed_leaves(session, entry.seal_seq, entry.seal_seq)
        proof["seal"] = {
            "seq": entry.seal_seq,
            "position": entry.position,
            "path": seals.path(leaves, entry.position),
        }
    return proof


def _chain(session: Session, first_seq: int | None, newest: Seal | None) -> dict[str, Any]:
    if first_seq is None or newest is None:
        return {"links": [], "is_complete": False}
    last_seq = min(newest.seq, first_seq + MOST_LINKS - 1)
    roots = {
        seq: seals.merkle(leaves).hex()
        for seq, leaves in sealed_leaves(session, first_seq, last_seq)
    }
    rows = session.scalars(
        select(Seal).where(Seal.seq.between(first_seq, last_seq)).order_by(Seal.seq)
    )
    links = [
        {
            "seq": row.seq,
            "previous_root": row.previous_root,
            "merkle_root": roots.get(row.seq),
            "transfer_count": row.transfer_count,
            "created_at": row.created_at,
            "sealed_at": clock.iso(row.created_at),
            "root": row.root,
        }
        for row in rows
    ]
    return {"links": links, "is_complete": last_seq == newest.seq}
