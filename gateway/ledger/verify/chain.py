"""I13: the hashes of transfers and receipts, and the chain of seals, recomputed from the rows."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from gateway.ledger import proofs, seals
from gateway.ledger.records import Payment, receipt_sha256
from models import Generation, Seal, SealEntry, Transfer

IN_RECEIPTS = ("usage", "insurance", "overrun")
MOST_VIOLATIONS = 100


def broken(session: Session, checked: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield what doesn't recompute, and count what was read into `checked`."""
    for details in (
        _broken_seals(session, checked),
        _broken_transfers(session, checked),
        _broken_receipts(session, checked),
        _never_sealed(session),
    ):
        yield from (("I13", detail) for detail in islice(details, MOST_VIOLATIONS))
    checked["unsealed"] = proofs.unsealed_count(session)


def _broken_seals(session: Session, checked: Counter[str]) -> Iterator[str]:
    newest = session.scalar(select(func.max(Seal.seq))) or 0
    contents = proofs.sealed_leaves(session, 0, newest)
    content = next(contents, None)
    seq, previous_root = 0, seals.GENESIS
    for row in _stream(session, select(*Seal.__table__.c).order_by(Seal.seq)):
        checked["I13"] += 1
        if row.seq != seq + 1 or row.previous_root != previous_root:
            yield f"seal {row.seq} doesn't follow the seal before it"
        while content is not None and content[0] < row.seq:
            yield f"transfers are said to be in seal {content[0]}, which doesn't exist"
            content = next(contents, None)
        leaves: list[bytes] = []
        if content is not None and content[0] == row.seq:
            leaves, content = content[1], next(contents, None)
        if not _is_whole(row, leaves):
            yield f"seal {row.seq} doesn't recompute: its transfers or their receipts were changed"
        seq, previous_root = row.seq, row.root


def _is_whole(seal: Any, leaves: list[bytes]) -> bool:
    if len(leaves) != seal.transfer_count or not leaves:
        return False
    merkle_root = seals.merkle(leaves).hex()
    root = seals.chained(
        seal.previous_root, merkle_root, seal.seq, seal.transfer_count, seal.created_at
    )
    return bool(root == seal.root)


def _broken_transfers(session: Session, checked: Counter[str]) -> Iterator[str]:
    for row in _stream(session, select(*Transfer.__table__.c).order_by(Transfer.id)):
        checked["I13"] += 1
        if proofs.recomputed_hash(row) != row.hash:
            yield f"transfer {row.id} was changed: its hash doesn't recompute"


def _broken_receipts(session: Session, checked: Counter[str]) -> Iterator[str]:
    paid = (
        Transfer.debit_account_id,
        Transfer.credit_account_id,
        Transfer.amount_nusd,
        Transfer.kind,
        Transfer.idempotency_key,
    )
    is_paid = (Transfer.generation_id == Generation.id) & Transfer.kind.in_(IN_RECEIPTS)
    query = select(*Generation.__table__.c, *paid).outerjoin(Transfer, is_paid)
    rows = _stream(session, query.order_by(Generation.id, Transfer.id))
    for generation_id, group in groupby(rows, key=lambda row: row.id):
        checked["I13"] += 1
        parts = list(group)
        payments = [Payment(*row[-len(paid) :]) for row in parts if row.amount_nusd is not None]
        if receipt_sha256(parts[0], payments) != parts[0].receipt_sha256:
            yield f"generation {generation_id} was changed: its receipt's hash doesn't recompute"


def _stream(session: Session, query: Select[Any]) -> Iterator[Any]:
    with session.execute(query.execution_options(yield_per=1000)) as rows:
        yield from rows


def _never_sealed(session: Session) -> Iterator[str]:
    newest = session.scalars(select(Seal).order_by(Seal.seq.desc()).limit(1)).first()
    if newest is None:
        return
    late = session.scalars(
        select(Transfer.id)
        .where(
            Transfer.id < select(func.max(SealEntry.transfer_id)).scalar_subquery(),
            Transfer.created_at < newest.created_at - 2 * seals.LATE_S * 1000,
            ~exists().where(SealEntry.transfer_id == Transfer.id),
        )
        .limit(MOST_VIOLATIONS)
    )
    for transfer_id in late:
        yield f"transfer {transfer_id} is older than the newest seal and in none"
