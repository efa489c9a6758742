"""Seals: a chain of Merkle roots over the transfers, so that a patched file gives itself away.

All hashes are SHA-256, written as lower-case hex; texts are ASCII. A stranger recomputes a seal so:

- `hash` of a transfer, as stored on it: SHA-256 of the text
  `debit|credit|amount|kind|key|workspace|generation|created_at` of its columns, NULL as nothing.
- its leaf: SHA-256 of the byte 0x00 and the text `id|hash|corrects_id|receipt_sha256`, where the
  last is that of the transfer's generation, and NULL or no generation is nothing.
- two neighbors: SHA-256 of the byte 0x01, the 32 bytes of the left one and the 32 bytes of the
  right one, level by level; the last one of an odd level goes up as it is. What is left in the end
  is `merkle_root`.
- the seal: SHA-256 of the text `previous_root|merkle_root|seq|transfer_count|created_at`. The first
  seal has seq 1 and a `previous_root` of 64 zeros.

The leaves stand in the order of `seal_entries.position`, which is the order of the ids in one seal.
On Postgres transfers may commit in another order than their ids', so a later seal may hold a lower
id.
"""

import hashlib
import time
from collections.abc import Sequence

import clock
from gateway.ledger.verbs import Pen
from gateway.ledger.writer import Writer

GENESIS = "0" * 64
MOST_IN_A_SEAL = 256
MOST_SEALS_AT_ONCE = 64
LATE_S = 600
"""No transaction lives longer: what lies this far behind the newest seal is sealed or void."""

NEAR_S = 5
DEEP_LOOK_EVERY_S = 30.0

_LOCK = "SELECT pg_try_advisory_xact_lock(7266910331)"
_NEWEST = "SELECT seq, root, created_at FROM seals ORDER BY seq DESC LIMIT 1"
_HIGHEST = "SELECT MAX(transfer_id) FROM seal_entries"
_HIGHEST_BEFORE = (
    "SELECT MAX(transfer_id) FROM seal_entries WHERE seal_seq ="
    " (SELECT seq FROM seals WHERE created_at <= ? ORDER BY seq DESC LIMIT 1)"
)
_UNSEALED = (
    "SELECT t.id, t.hash, t.corrects_id, g.receipt_sha256 FROM transfers t"
    " LEFT JOIN generations g ON g.id = t.generation_id WHERE t.id > ?"
    " AND NOT EXISTS (SELECT 1 FROM seal_entries e WHERE e.transfer_id = t.id)"
    " ORDER BY t.id LIMIT ?"
)
_INSERT_SEAL = (
    "INSERT INTO seals (seq, root, previous_root, transfer_count, created_at)"
    " VALUES (?, ?, ?, ?, ?)"
)
_INSERT_ENTRIES = "INSERT INTO seal_entries (transfer_id, seal_seq, position) VALUES "
_BLOCKS = (64, 8, 1)


class Sealer:
    """Appends the seals of a process that is to; of several processes one at a time gets to."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._deep_look_at = time.monotonic()

    def run(self) -> int:
        """Seal what is committed and unsealed, and return how many transfers; called once a second.

        Each seal is a transaction of its own, so the calls in between don't wait.
        Raises: LedgerUnavailableError.
        """
        now_s = time.monotonic()
        lag_s = LATE_S if now_s >= self._deep_look_at else NEAR_S
        sealed = 0
        for _ in range(MOST_SEALS_AT_ONCE):
            count = self._writer.submit(lambda pen: seal(pen, lag_s), "")
            sealed += count
            if count < MOST_IN_A_SEAL:
                break
        if lag_s == LATE_S:
            self._deep_look_at = now_s + DEEP_LOOK_EVERY_S
        return sealed


def seal(pen: Pen, lag_s: int = LATE_S) -> int:
    """Append one seal, where there is something to seal, and return over how many transfers.

    `lag_s` is how far behind the newest seal it looks for transfers that were committed late.
    """
    if pen.locks_rows and not _is_elected(pen):
        return 0
    newest = pen.row(_NEWEST)
    seq, previous_root, newest_at = newest or (0, GENESIS, 0)
    rows = pen.rows(_UNSEALED, _low_water(pen, newest_at - lag_s * 1000), MOST_IN_A_SEAL)
    if not rows:
        return 0
    now_ms = clock.now_ms()
    merkle_root = merkle([leaf(*row) for row in rows]).hex()
    root = chained(previous_root, merkle_root, seq + 1, len(rows), now_ms)
    pen.run(_INSERT_SEAL, seq + 1, root, previous_root, len(rows), now_ms)
    _insert_entries(pen, [(row[0], seq + 1, place) for place, row in enumerate(rows)])
    return len(rows)


def leaf(
    transfer_id: int, transfer_hash: str, corrects_id: int | None, receipt_sha256: str | None
) -> bytes:
    """Return the leaf of a transfer."""
    content = (
        f"{transfer_id}|{transfer_hash}|{'' if corrects_id is None else corrects_id}"
        f"|{receipt_sha256 or ''}"
    )
    return hashlib.sha256(b"\x00" + content.encode()).digest()


def merkle(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree that has at least one leaf."""
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def path(leaves: Sequence[bytes], position: int) -> list[dict[str, str]]:
    """Return the neighbors, from the leaf up, that lead from one leaf to the root."""
    steps, level = [], list(leaves)
    while len(level) > 1:
        neighbor = position ^ 1
        if neighbor < len(level):
            side = "left" if neighbor < position else "right"
            steps.append({"side": side, "hash": level[neighbor].hex()})
        level, position = _parents(level), position // 2
    return steps


def chained(
    previous_root: str, merkle_root: str, seq: int, transfer_count: int, created_at: int
) -> str:
    """Return the root of a seal."""
    content = f"{previous_root}|{merkle_root}|{seq}|{transfer_count}|{created_at}"
    return hashlib.sha256(content.encode()).hexdigest()


def _parents(level: list[bytes]) -> list[bytes]:
    pairs = [
        hashlib.sha256(b"\x01" + level[left] + level[left + 1]).digest()
        for left in range(0, len(level) - 1, 2)
    ]
    return pairs + level[-1:] if len(level) % 2 else pairs


def _is_elected(pen: Pen) -> bool:
    found = pen.row(_LOCK)
    return found is not None and bool(found[0])


def _low_water(pen: Pen, before_ms: int) -> int:
    # One writer at a time on SQLite: ids are committed in their order, and nothing comes late.
    found = pen.row(_HIGHEST_BEFORE, before_ms) if pen.locks_rows else pen.row(_HIGHEST)
    return (found and found[0]) or 0


def _insert_entries(pen: Pen, entries: list[tuple[int, int, int]]) -> None:
    for size in _BLOCKS:
        sql = _INSERT_ENTRIES + ", ".join(["(?, ?, ?)"] * size)
        while len(entries) >= size:
            block, entries = entries[:size], entries[size:]
            pen.run(sql, *(value for entry in block for value in entry))
