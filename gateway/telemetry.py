"""What operators see of calls: one structured line and a few counters a generation.

Never a key, never a message's text: ids, route, counts, money, time.
"""

import logging

import structlog
from prometheus_client import Counter, Gauge, Histogram

from gateway.ledger import AttemptRecord, GenerationRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger("turnpike")

GENERATIONS = Counter(
    "turnpike_generations", "Paid calls by how they ended", ["model", "provider", "status", "rule"]
)
CHARGED_NUSD = Counter("turnpike_charged_nusd", "Nano-USD charged", ["model", "provider"])
HOUSE_NUSD = Counter("turnpike_house_nusd", "Nano-USD that the house bore", ["reason"])
TOKENS = Counter("turnpike_tokens", "Tokens by direction", ["model", "direction"])
ATTEMPTS = Counter("turnpike_attempts", "Tries by provider and outcome", ["provider", "outcome"])
LATENCY_S = Histogram(
    "turnpike_latency_seconds",
    "From admission to settlement",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
FIRST_TOKEN_S = Histogram(
    "turnpike_first_token_seconds",
    "From admission to the first content of a stream",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
REFUSED = Counter("turnpike_refused", "Requests refused before dispatch", ["code"])
RUNNING = Gauge("turnpike_running_calls", "Calls under way", multiprocess_mode="livesum")
VIOLATIONS = Gauge("turnpike_ledger_violations", "Invariants found broken", multiprocess_mode="max")
LEDGER_RETRIES = Counter("turnpike_ledger_retries", "Settlements that had to wait for the database")


def generation_ended(record: GenerationRecord, attempts: list[AttemptRecord]) -> None:
    """Count and log a call that is settled."""
    model, provider = record.model or "", record.provider or ""
    GENERATIONS.labels(model, provider, record.status, record.rule).inc()
    LATENCY_S.observe(record.latency_ms / 1000)
    if record.charge_nusd:
        CHARGED_NUSD.labels(model, provider).inc(record.charge_nusd)
    if record.overrun_nusd:
        HOUSE_NUSD.labels("overrun").inc(record.overrun_nusd)
        log.error("overrun", generation=record.id, overrun_nusd=record.overrun_nusd)
    if record.insured_nusd:
        HOUSE_NUSD.labels("insurance").inc(record.insured_nusd)
    if record.input_tokens is not None:
        TOKENS.labels(model, "input").inc(record.input_tokens)
        TOKENS.labels(model, "output").inc(record.output_tokens or 0)
    if record.first_token_ms is not None:
        FIRST_TOKEN_S.observe(record.first_token_ms / 1000)
    for attempt in attempts:
        ATTEMPTS.labels(attempt.provider, attempt.outcome).inc()
    log.info("generation", **_line(record, attempts))


def _line(record: GenerationRecord, attempts: list[AttemptRecord]) -> dict[str, object]:
    line: dict[str, object] = {
        "id": record.id,
        "request_id": record.request_id,
        "workspace": record.workspace_id,
        "key": record.key_id,
        "api": record.api,
        "asked": record.requested_model,
        "model": record.model,
        "provider": record.provider,
        "status": record.status,
        "rule": record.rule,
        "basis": record.basis,
        "finish": record.finish_reason,
        "stream": record.is_streamed,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "charge_nusd": record.charge_nusd,
        "hold_nusd": record.hold_nusd,
        "first_token_ms": record.first_token_ms,
        "latency_ms": record.latency_ms,
    }
    if len(attempts) > 1 or record.status != "ok":
        line["attempts"] = [f"{attempt.provider}:{attempt.outcome}" for attempt in attempts]
        line["error"] = attempts[-1].error if attempts else record.error_code
    return line


def configure_logs() -> None:
    """Write one JSON object a line to standard output; a line feed in a value stays escaped."""
    import sys  # noqa: PLC0415 - only a serving process logs this way

    import msgspec  # noqa: PLC0415 - as above

    encoder = msgspec.json.Encoder()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _name, line: encoder.encode(line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
