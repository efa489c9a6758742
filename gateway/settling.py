"""The last step of a call: its counts into its row, and the settlement that outlives the client."""

import threading
import time

import msgspec

from errors import LedgerUnavailableError
from gateway import telemetry
from gateway.ledger import GenerationRecord, Settled, Settlement, Windows, verbs
from gateway.runtime import Runtime
from wire.usage import Usage

AGAIN_S = 1.0
FOR_S = 600.0
COLUMN_BUCKETS = (
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
OTHER_COUNTS = tuple(
    name for name in Usage.__struct_fields__ if name not in (*COLUMN_BUCKETS, "requests")
)


def fill(record: GenerationRecord, usage: Usage) -> None:
    """Write a call's counts into its row."""
    for name in COLUMN_BUCKETS:
        setattr(record, name, getattr(usage, name))
    others = {name: count for name in OTHER_COUNTS if (count := getattr(usage, name))}
    record.units = msgspec.json.encode(others).decode() if others else None


def abandon(runtime: Runtime, record: GenerationRecord, windows: Windows) -> None:
    """End a hold that may or may not have been committed, as soon as the database tells."""
    record.error_code = LedgerUnavailableError.code
    settlement = Settlement(record=record, attempts=[], cost_nusd=0, windows=windows)
    _in_background(runtime, settlement)


def settle_surely(runtime: Runtime, settlement: Settlement) -> Settled:
    """Settle now, or keep trying behind the caller's back while the database is away."""
    try:
        return _settle(runtime, settlement)
    except LedgerUnavailableError:
        settlement.record.charge_nusd = settlement.cost_nusd  # what is told meanwhile
        _in_background(runtime, settlement)
        return Settled(charge_nusd=settlement.cost_nusd)


def _settle(runtime: Runtime, settlement: Settlement) -> Settled:
    record = settlement.record
    settled = runtime.writer.submit(lambda pen: verbs.settle(pen, settlement), record.workspace_id)
    telemetry.generation_ended(record, settlement.attempts)
    return settled


def _in_background(runtime: Runtime, settlement: Settlement) -> None:
    def until_done() -> None:
        give_up_at = time.monotonic() + FOR_S
        while time.monotonic() < give_up_at:
            telemetry.LEDGER_RETRIES.inc()
            time.sleep(AGAIN_S)
            try:
                _settle(runtime, settlement)
            except LedgerUnavailableError:
                continue
            return

    threading.Thread(target=until_done, name="settle", daemon=True).start()
