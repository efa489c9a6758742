"""The ledger: accounts, transfers, holds, and the proof that they add up.

The hot verbs (`hold`, `extend`, `settle`, `checkpoint`) go through this process's writer, which
commits many calls together; everything else takes a session. Start with `verbs.py`.
"""

from gateway.ledger.accounts import balance_nusd, grant, house_account, open_books, transfer
from gateway.ledger.records import AttemptRecord, Checkpoint, GenerationRecord, Payment
from gateway.ledger.verbs import HoldOrder, Refusal, Settled, Settlement, Windows

__all__ = [
    "AttemptRecord",
    "Checkpoint",
    "GenerationRecord",
    "HoldOrder",
    "Payment",
    "Refusal",
    "Settled",
    "Settlement",
    "Windows",
    "balance_nusd",
    "grant",
    "house_account",
    "open_books",
    "transfer",
]
