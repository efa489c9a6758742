"""The hot verbs of the ledger as fixed statements: hold, extend, settle, checkpoint.

Each is a function of a `Pen`, runs inside the ledger writer's transaction and either does all of
what it says or nothing: a guard that fails leaves no change behind. On Postgres each begins with
the wallet's row, so that two workers always lock in the same order.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

import clock
from gateway.ledger.records import (
    AttemptRecord,
    Checkpoint,
    GenerationRecord,
    Payment,
    insert_sql,
    receipt_sha256,
    transfer_hash,
)

Windows = tuple[tuple[int, str], ...]
"""The (cap id, first day) pairs that a hold also weighs on."""


class Pen(Protocol):
    """A cursor inside the writer's transaction; statements use `?` on both databases."""

    locks_rows: bool
    house_accounts: dict[str, int]

    def run(self, sql: str, *values: object) -> int:
        """Execute, and return how many rows it changed."""

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row."""

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOrder:
    """A hold as it is asked for. `record` becomes the generation if its worker dies."""

    hold_id: str
    record: GenerationRecord
    worker_id: str
    amount_nusd: int
    windows: Windows


class Refusal(Exception):  # noqa: N818 - a refusal is an answer of the ledger, not a fault
    """Why a hold or an extension was not granted, and what would have been.

    `reason` is "frozen", "credits", "cap", or "in_flight" where waiting helps. `cap_id` names the
    limit that stands in the way. Units: nano-USD.
    """

    def __init__(
        self, reason: str, affordable_nusd: int, balance_nusd: int, cap_id: int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.affordable_nusd = affordable_nusd
        self.balance_nusd = balance_nusd
        self.cap_id = cap_id


@dataclass(frozen=True, slots=True)
class Settled:
    """How a hold was resolved. `is_lost` says that somebody else had resolved it before."""

    charge_nusd: int = 0
    hold_nusd: int = 0
    overrun_nusd: int = 0
    insured_nusd: int = 0
    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of a call: its row, its attempts, and what it came to.

    `insurance_limit_nusd` is set where the house may bear the whole cost (who-pays rows g and j).
    """

    record: GenerationRecord
    attempts: list[AttemptRecord]
    cost_nusd: int
    windows: Windows
    insurance_limit_nusd: int | None = None
    is_expiry: bool = False


_HOLD_WALLET = (
    "UPDATE wallets SET held_nusd = held_nusd + ? WHERE workspace_id = ?"
    " AND posted_nusd - held_nusd >= ? AND NOT is_frozen"
)
_HOLD_CAP = (
    "UPDATE cap_windows SET held_nusd = held_nusd + ?, ceiling_nusd ="
    " CASE WHEN ceiling_nusd > c.limit_nusd THEN ceiling_nusd ELSE c.limit_nusd END"
    " FROM caps c WHERE c.id = cap_windows.cap_id AND cap_id = ? AND starts_on = ?"
    " AND used_nusd + held_nusd + ? <= c.limit_nusd"
)
_OPEN_WINDOW = (
    "INSERT INTO cap_windows (cap_id, starts_on, used_nusd, held_nusd, ceiling_nusd)"
    " SELECT id, ?, 0, 0, limit_nusd FROM caps WHERE id = ? ON CONFLICT DO NOTHING"
)
_CAP_LEFT = (
    "SELECT c.limit_nusd, COALESCE(w.used_nusd, 0), COALESCE(w.held_nusd, 0) FROM caps c"
    " LEFT JOIN cap_windows w ON w.cap_id = c.id AND w.starts_on = ? WHERE c.id = ?"
)
_WALLET = "SELECT posted_nusd, held_nusd, is_frozen FROM wallets WHERE workspace_id = ?"
_INSERT_HOLD = (
    "INSERT INTO holds (id, generation_id, workspace_id, key_id, worker_id, amount_nusd, state,"
    " day, cap_windows, context, checkpoint, created_at, resolved_at)"
    " VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, NULL, ?, NULL)"
)
_HELD = "SELECT amount_nusd FROM holds WHERE generation_id = ? AND state = 'open'"
_GROW_HOLD = (
    "UPDATE holds SET amount_nusd = amount_nusd + ? WHERE generation_id = ? AND state = 'open'"
)
_RESOLVE_HOLD = (
    "UPDATE holds SET state = ?, resolved_at = ? WHERE generation_id = ? AND state = 'open'"
)
_FREE_WALLET = "UPDATE wallets SET held_nusd = held_nusd - ? WHERE workspace_id = ?"
_FREE_CAP = (
    "UPDATE cap_windows SET held_nusd = held_nusd - ?, used_nusd = used_nusd + ?"
    " WHERE cap_id = ? AND starts_on = ? AND held_nusd >= ?"
)
"""A cap that was set anew in mid-call has never held this amount: the call ends without it."""

_PURSES = (
    "SELECT id, balance_nusd FROM accounts WHERE workspace_id = ? AND kind IN ('bonus', 'cash')"
    " AND balance_nusd > 0 ORDER BY CASE kind WHEN 'bonus' THEN 0 ELSE 1 END,"
    " COALESCE(expires_at, 9223372036854775807), id"
)
_INSERT_TRANSFER = (
    "INSERT INTO transfers (debit_account_id, credit_account_id, amount_nusd, kind,"
    " idempotency_key, workspace_id, generation_id, corrects_id, note, created_at, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)"
)
_INSURE = (
    "INSERT INTO insurance_days (workspace_id, day, used_nusd) SELECT ?, ?, CAST(? AS BIGINT)"
    " WHERE CAST(? AS BIGINT) <= CAST(? AS BIGINT)"
    " ON CONFLICT (workspace_id, day) DO UPDATE"
    " SET used_nusd = insurance_days.used_nusd + excluded.used_nusd"
    " WHERE insurance_days.used_nusd + excluded.used_nusd <= ?"
)
_CHECKPOINT = "UPDATE holds SET checkpoint = ? WHERE generation_id = ? AND state = 'open'"
_INSERT_GENERATION = insert_sql("generations", GenerationRecord)
_INSERT_ATTEMPT = insert_sql("attempts", AttemptRecord)
_HOUSE_ACCOUNTS = "SELECT name, id FROM accounts WHERE name IS NOT NULL"


def hold(pen: Pen, order: HoldOrder) -> None:
    """Set the amount aside in the wallet and in every cap, and write the hold down.

    Raises: Refusal, with nothing changed.
    """
    record = order.record
    _set_aside(pen, record.workspace_id, order.amount_nusd, order.windows)
    pen.run(
        _INSERT_HOLD,
        order.hold_id,
        record.id,
        record.workspace_id,
        record.key_id,
        order.worker_id,
        order.amount_nusd,
        record.day,
        msgspec.json.encode(order.windows).decode() if order.windows else "[]",
        msgspec.json.encode(record).decode(),
        record.created_at,
    )


def extend(
    pen: Pen, generation_id: str, workspace_id: str, amount_nusd: int, windows: Windows
) -> None:
    """Add to an open hold under the same guards.

    Raises: Refusal, with nothing changed; its reason is "resolved" when the hold isn't open any
    more.
    """
    _lock_wallet(pen, workspace_id)
    if pen.row(_HELD, generation_id) is None:
        raise Refusal("resolved", 0, 0)
    _set_aside(pen, workspace_id, amount_nusd, windows)
    pen.run(_GROW_HOLD, amount_nusd, generation_id)


def checkpoint(pen: Pen, point: Checkpoint) -> None:
    """Write down what a running stream has delivered."""
    pen.run(_CHECKPOINT, msgspec.json.encode(point).decode(), point.generation.id)


def settle(pen: Pen, settlement: Settlement) -> Settled:
    """Resolve an open hold: free what was held, move the charge, write the call down.

    A cost above the hold extends it by what the wallet and the caps still allow; only the rest is
    the house's. Does nothing, and says so, when the hold is resolved already.
    """
    record, windows = settlement.record, settlement.windows
    _lock_wallet(pen, record.workspace_id)
    held_row = pen.row(_HELD, record.id)
    if held_row is None:
        return Settled(is_lost=True)
    held_nusd: int = held_row[0]
    insured_nusd = _insure(pen, settlement)
    due_nusd = settlement.cost_nusd - insured_nusd
    if due_nusd > held_nusd:
        held_nusd += _stretch(pen, record, due_nusd - held_nusd, windows)
    charge_nusd = min(due_nusd, held_nusd)
    now_ms = clock.now_ms()
    state = "expired" if settlement.is_expiry else "settled" if charge_nusd else "released"
    pen.run(_RESOLVE_HOLD, state, now_ms, record.id)
    if held_nusd:
        pen.run(_FREE_WALLET, held_nusd, record.workspace_id)
    for cap_id, starts_on in windows:
        pen.run(_FREE_CAP, held_nusd, charge_nusd, cap_id, starts_on, held_nusd)
    record.charge_nusd, record.hold_nusd = charge_nusd, held_nusd
    record.overrun_nusd, record.insured_nusd = due_nusd - charge_nusd, insured_nusd
    payments = _payments(pen, record)
    record.receipt_sha256 = receipt_sha256(record, payments)
    pen.run(_INSERT_GENERATION, *msgspec.structs.astuple(record))
    for attempt in settlement.attempts:
        pen.run(_INSERT_ATTEMPT, *msgspec.structs.astuple(attempt))
    for payment in payments:
        _transfer(pen, payment, record, now_ms)
    return Settled(charge_nusd, held_nusd, record.overrun_nusd, insured_nusd)


def house_account(pen: Pen, name: str) -> int:
    """Return the number of one of the house's accounts; they never change, so it is asked once."""
    if name not in pen.house_accounts:
        pen.house_accounts.update(pen.rows(_HOUSE_ACCOUNTS))
    return pen.house_accounts[name]


def _set_aside(pen: Pen, workspace_id: str, amount_nusd: int, windows: Windows) -> None:
    if not windows:
        if not pen.run(_HOLD_WALLET, amount_nusd, workspace_id, amount_nusd):
            raise _refusal(pen, workspace_id, amount_nusd, windows)
        return
    pen.run("SAVEPOINT set_aside")
    is_granted = pen.run(_HOLD_WALLET, amount_nusd, workspace_id, amount_nusd) == 1 and all(
        _hold_cap(pen, cap_id, starts_on, amount_nusd) for cap_id, starts_on in windows
    )
    if not is_granted:
        pen.run("ROLLBACK TO SAVEPOINT set_aside")
    pen.run("RELEASE SAVEPOINT set_aside")
    if not is_granted:
        raise _refusal(pen, workspace_id, amount_nusd, windows)


def _hold_cap(pen: Pen, cap_id: int, starts_on: str, amount_nusd: int) -> bool:
    if pen.run(_HOLD_CAP, amount_nusd, cap_id, starts_on, amount_nusd):
        return True
    if not pen.run(_OPEN_WINDOW, starts_on, cap_id):
        return False
    return pen.run(_HOLD_CAP, amount_nusd, cap_id, starts_on, amount_nusd) == 1


def _refusal(pen: Pen, workspace_id: str, amount_nusd: int, windows: Windows) -> Refusal:
    found = pen.row(_WALLET, workspace_id)
    if found is None:
        return Refusal("credits", 0, 0)
    posted, held, is_frozen = found
    if is_frozen:
        return Refusal("frozen", 0, posted)
    affordable, reason, cap_id = posted - held, "", None
    if affordable < amount_nusd:
        reason = "in_flight" if posted >= amount_nusd else "credits"
    for window_cap, starts_on in windows:
        limit, used, in_flight = _cap_left(pen, window_cap, starts_on)
        affordable = min(affordable, max(limit - used - in_flight, 0))
        if limit - used < amount_nusd:
            reason, cap_id = reason if reason == "credits" else "cap", window_cap
        elif limit - used - in_flight < amount_nusd and not reason:
            reason, cap_id = "in_flight", window_cap
    return Refusal(reason or "in_flight", affordable, posted, cap_id)


def _cap_left(pen: Pen, cap_id: int, starts_on: str) -> tuple[int, int, int]:
    limit, used, held = pen.row(_CAP_LEFT, starts_on, cap_id) or (0, 0, 0)
    return limit, used, held


def _stretch(pen: Pen, record: GenerationRecord, wanted_nusd: int, windows: Windows) -> int:
    try:
        _set_aside(pen, record.workspace_id, wanted_nusd, windows)
    except Refusal as refusal:
        wanted_nusd = max(min(refusal.affordable_nusd, wanted_nusd), 0)
        if not wanted_nusd:
            return 0
        _set_aside(pen, record.workspace_id, wanted_nusd, windows)
    pen.run(_GROW_HOLD, wanted_nusd, record.id)
    return wanted_nusd


def _insure(pen: Pen, settlement: Settlement) -> int:
    limit_nusd, cost_nusd = settlement.insurance_limit_nusd, settlement.cost_nusd
    if not limit_nusd or not cost_nusd:
        return 0
    day = clock.now().date().isoformat()
    workspace_id = settlement.record.workspace_id
    values = (workspace_id, day, cost_nusd, cost_nusd, limit_nusd, limit_nusd)
    return cost_nusd if pen.run(_INSURE, *values) else 0


def _payments(pen: Pen, record: GenerationRecord) -> list[Payment]:
    payments: list[Payment] = []
    if not (record.charge_nusd or record.insured_nusd or record.overrun_nusd):
        return payments
    revenue = house_account(pen, "usage_revenue")
    rest_nusd = record.charge_nusd
    if rest_nusd:
        for account_id, balance in pen.rows(_PURSES, record.workspace_id):
            amount_nusd = min(rest_nusd, balance)
            key = f"{record.id}:settle:{len(payments) + 1}"
            payments.append(Payment(account_id, revenue, amount_nusd, "usage", key))
            rest_nusd -= amount_nusd
            if not rest_nusd:
                break
        if rest_nusd:
            raise LookupError(f"the accounts of {record.workspace_id} don't cover its wallet")
    for kind, amount_nusd in (("insurance", record.insured_nusd), ("overrun", record.overrun_nusd)):
        if amount_nusd:
            expense = house_account(pen, f"{kind}_expense")
            payments.append(Payment(expense, revenue, amount_nusd, kind, f"{record.id}:{kind}"))
    return payments


def _transfer(pen: Pen, payment: Payment, record: GenerationRecord, now_ms: int) -> None:
    pen.run(
        _INSERT_TRANSFER,
        *msgspec.structs.astuple(payment),
        record.workspace_id,
        record.id,
        now_ms,
        transfer_hash(payment, record.workspace_id, record.id, now_ms),
    )


def _lock_wallet(pen: Pen, workspace_id: str) -> None:
    if pen.locks_rows:
        pen.row("SELECT 1 FROM wallets WHERE workspace_id = ? FOR UPDATE", workspace_id)
