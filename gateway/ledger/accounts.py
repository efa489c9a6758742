"""Accounts and the transfers that aren't calls: grants, and whatever else an operator books.

These take a session first and never commit. A transfer's effect on the balances is the database's
own (`migrations/guards.py`).
"""

import secrets

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

import clock
from errors import InvalidParameterError, NotFoundError
from gateway.ledger.records import Payment, transfer_hash
from models import Account, Transfer, Wallet, Workspace
from money import LARGEST_NUSD

LARGEST_GRANT_NUSD = 1_000_000_000 * 1_000_000_000
"""A billion USD: what is larger is a slip of the keyboard."""


def open_books(session: Session, workspace_id: str) -> None:
    """Give a new workspace its wallet and its cash account, both empty."""
    session.add(Wallet(workspace_id=workspace_id, posted_nusd=0, held_nusd=0, is_frozen=False))
    session.add(
        Account(workspace_id=workspace_id, kind="cash", balance_nusd=0, created_at=clock.now_ms())
    )
    session.flush()


def grant(
    session: Session,
    workspace_id: str,
    amount_nusd: int,
    *,
    note: str | None = None,
    expires_at_ms: int | None = None,
    idempotency_key: str | None = None,
) -> Transfer:
    """Give bonus credit: never refundable, spent soonest-expiring first; a key gives it once.

    From then on the workspace may call models of every class.
    Raises: NotFoundError, InvalidParameterError.
    """
    posted_nusd, _ = balance_nusd(session, workspace_id)
    if not 0 < amount_nusd <= min(LARGEST_GRANT_NUSD, LARGEST_NUSD - posted_nusd):
        raise InvalidParameterError(
            "The amount must be more than 0 and at most 1000000000 USD.", param="usd"
        )
    if expires_at_ms is not None and expires_at_ms <= clock.now_ms():
        raise InvalidParameterError("The expiry must be in the future.", param="expires_at")
    key = idempotency_key or f"grant:{secrets.token_hex(12)}"
    earlier = session.scalar(select(Transfer).where(Transfer.idempotency_key == key))
    if earlier is not None:
        return earlier
    account = Account(
        workspace_id=workspace_id,
        kind="bonus",
        balance_nusd=0,
        expires_at=expires_at_ms,
        created_at=clock.now_ms(),
    )
    session.add(account)
    session.flush()
    session.execute(
        update(Workspace).where(Workspace.id == workspace_id).values(has_every_class=True)
    )
    expense = house_account(session, "bonus_expense")
    return transfer(
        session, Payment(expense, account.id, amount_nusd, "grant", key), workspace_id, note
    )


def transfer(
    session: Session, payment: Payment, workspace_id: str | None, note: str | None = None
) -> Transfer:
    """Write one transfer; an idempotency key that exists is refused by the database."""
    now_ms = clock.now_ms()
    row = Transfer(
        debit_account_id=payment.debit_account_id,
        credit_account_id=payment.credit_account_id,
        amount_nusd=payment.amount_nusd,
        kind=payment.kind,
        idempotency_key=payment.idempotency_key,
        workspace_id=workspace_id,
        note=note,
        created_at=now_ms,
        hash=transfer_hash(payment, workspace_id, None, now_ms),
    )
    session.add(row)
    session.flush()
    return row


def house_account(session: Session, name: str) -> int:
    """Return the number of one of the house's accounts, which is made at its first need."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Account)
        .values(kind=name.partition(":")[0], name=name, created_at=clock.now_ms())
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return session.scalars(select(Account.id).where(Account.name == name)).one()


def balance_nusd(session: Session, workspace_id: str) -> tuple[int, int]:
    """Return what a workspace has, and how much of it calls in flight hold."""
    found = session.execute(
        select(Wallet.posted_nusd, Wallet.held_nusd).where(Wallet.workspace_id == workspace_id)
    ).first()
    if found is None:
        raise NotFoundError(f"There is no workspace {workspace_id}.", param="workspace")
    return found[0], found[1]
