"""Whether this process can do its work, and what it has counted."""

from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from sqlalchemy import text

import db
from errors import DrainingError
from gateway import runtime, telemetry


def check_ready() -> None:
    """Pass when calls can be taken.

    Raises: LedgerUnavailableError, DrainingError.
    """
    if runtime.current().is_draining:
        raise DrainingError("The server is shutting down.")
    with db.reading() as session:
        session.execute(text("SELECT 1 FROM revisions")).first()


def metrics() -> bytes:
    """Return Prometheus' text; with several workers, of all of them."""
    telemetry.RUNNING.set(runtime.current().running_count)
    if runtime.current().settings.web_concurrency == 1:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
