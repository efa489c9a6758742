"""`flask credits`, `flask ledger` and `flask holds`: the operator's hand on the money."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

import db
from errors import InvalidParameterError, NotFoundError, TurnpikeError
from gateway import audit
from gateway.ledger import accounts
from gateway.ledger.dump import dump as dump_lines
from gateway.ledger.lifeline import DEAD_AFTER_S, expire_stale
from gateway.ledger.proofs import prove as prove_call
from gateway.ledger.verify import verify as verify_books
from gateway.ledger.writer import Writer
from money import parse_usd, print_usd

credits = click.Group("credits", help="Credit of workspaces.")
ledger = click.Group("ledger", help="The books: check them, write them out, prove a receipt.")
holds = click.Group("holds", help="Money that is set aside for calls.")

ACTOR = "cli"
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@credits.command("grant")
@click.option("--workspace", "workspace_id", required=True, metavar="ID")
@click.option("--usd", required=True, help="A plain decimal, such as 10.00.")
@click.option("--expires-at", metavar="T", help="RFC 3339, such as 2027-01-01T00:00:00Z.")
@click.option("--note", metavar="S")
@AS_JSON
def grant(
    *, workspace_id: str, usd: str, expires_at: str | None, note: str | None, as_json: bool
) -> None:
    """Give a workspace bonus credit."""
    amount_nusd = _amount(usd)
    expires_at_ms = None if expires_at is None else _instant_ms(expires_at)
    with _refusals(), db.transaction() as session:
        row = accounts.grant(
            session, workspace_id, amount_nusd, note=note, expires_at_ms=expires_at_ms
        )
        transfer_id = f"tr_{row.id}"
        after = {"amount_nusd": amount_nusd, "expires_at": expires_at_ms, "note": note}
        audit.record(
            session,
            actor=ACTOR,
            workspace_id=workspace_id,
            action="credits.grant",
            object_=transfer_id,
            after=after,
        )
        posted_nusd, _ = accounts.balance_nusd(session, workspace_id)
    balance_usd = print_usd(posted_nusd)
    _print(
        {"transfer_id": transfer_id, "balance_usd": balance_usd},
        as_json=as_json,
        sentence=f"Granted {print_usd(amount_nusd)} USD ({transfer_id});"
        f" the balance is {balance_usd} USD.",
    )


@ledger.command("verify")
@AS_JSON
def verify(*, as_json: bool) -> None:
    """Derive every invariant of the books anew; exit 1 when one is violated."""
    with _refusals(), db.reading() as session:
        report = verify_books(session)
    lines = [f"{found.invariant}: {found.detail}" for found in report.violations]
    counts = ", ".join(f"{name} {count}" for name, count in report.checked.items())
    verdict = "The books are sound." if report.ok else f"{len(lines)} violations."
    _print(asdict(report), as_json=as_json, sentence="\n".join([*lines, f"{verdict} ({counts})"]))
    sys.exit(0 if report.ok else 1)


@ledger.command("dump")
def dump() -> None:
    """Write accounts, transfers, holds and generations as JSON lines."""
    with _refusals(), db.reading() as session:
        for line in dump_lines(session):
            click.echo(line)


@ledger.command("prove")
@click.argument("generation_id")
@AS_JSON
def prove(*, generation_id: str, as_json: bool) -> None:
    """Show the receipt of a call, and the chain from it to the newest seal."""
    with _refusals(), db.reading() as session:
        proof = prove_call(session, generation_id)
    _print(proof, as_json=as_json, sentence=json.dumps(proof, indent=2))


@holds.command("expire")
@AS_JSON
def expire(*, as_json: bool) -> None:
    """End the holds that dead workers left; without a server on SQLite that is everybody."""
    writer = Writer(is_synced=True)
    with _refusals():
        try:
            with _nobody_serves() as is_idle:
                expired = expire_stale(writer, -1 if is_idle else DEAD_AFTER_S)
        finally:
            writer.close()
    _print({"expired": expired}, as_json=as_json, sentence=f"Expired {expired} holds.")


@contextmanager
def _nobody_serves() -> Iterator[bool]:
    path = db.engine().url.database
    if not db.is_sqlite() or not path:
        yield False
        return
    lock = db.ServingLock(Path(path))
    try:
        yield lock.acquire()
    finally:
        lock.release()


def _amount(usd: str) -> int:
    try:
        return parse_usd(usd)
    except ValueError as error:
        _end(f"--usd: {error}.", 2)


def _instant_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        _end("--expires-at: write an instant with its offset, such as 2027-01-01T00:00:00Z.", 2)
    return int(moment.timestamp() * 1000)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (InvalidParameterError, NotFoundError) as error:
        _end(error.message, 2)
    except TurnpikeError as error:
        _end(error.message, 1)


def _print(value: dict[str, Any], *, as_json: bool, sentence: str) -> None:
    click.echo(json.dumps(value) if as_json else sentence)


def _end(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
