"""`flask seed`: a demo workspace with thirty days of usage, to look at and to develop with."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import click
import msgspec
from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

import clock
import db
from cli import demo
from cli.database import prepare
from cli.output import AS_JSON, Command, emit
from gateway import audit, keys, ledger, setup
from gateway.ledger.writer import Writer
from models import Endpoint, Generation, Key, Model, PriceVersion, Provider, Workspace

ACTOR = "seed"


@click.command("seed", cls=Command)
@AS_JSON
def seed(*, as_json: bool) -> None:
    """Add a demo workspace with thirty days of usage; run again, it only adds what is missing."""
    prepare()
    key = None
    with db.reading() as session:
        is_there = session.get(Workspace, demo.WORKSPACE) is not None
    if not is_there:
        key = _begin(clock.now_ms() - demo.DAYS * demo.DAY_MS)
    made = _write_calls()
    base = setup.base_url(current_app.config["TURNPIKE"])
    emit(
        {"workspace_id": demo.WORKSPACE, "made": made, "calls": demo.CALLS, "key": key},
        as_json=as_json,
        text="\n".join(_sentences(made, key, base)),
    )


def _sentences(made: int, key: str | None, base: str) -> Iterator[str]:
    if not made:
        yield f"The demo workspace {demo.WORKSPACE} is there already; nothing was added."
        return
    yield f"Wrote {made} calls of {demo.DAYS} days into the demo workspace {demo.WORKSPACE}."
    if key is not None:
        header = f'-H "Authorization: Bearer {key}"'
        yield "Look at it while the server runs; the key is shown this once:"
        yield f"  curl {base}/v1/credits {header}"
        yield f"  curl '{base}/v1/generation?id={_newest_call()}' {header}"
    yield "Check its books: .venv/bin/flask ledger verify"


def _begin(begins_ms: int) -> str:
    """Make the workspace, its keys and models, as of thirty days ago; return a key's text."""
    with _as_of(begins_ms), db.transaction() as session:
        session.add(
            Workspace(
                id=demo.WORKSPACE,
                name="Demo",
                kind="team",
                has_every_class=True,
                created_at=begins_ms,
            )
        )
        session.flush()
        ledger.open_books(session, demo.WORKSPACE)
        ledger.grant(
            session,
            demo.WORKSPACE,
            demo.CREDIT_NUSD,
            note="demo credit",
            idempotency_key=f"seed:{demo.WORKSPACE}",
        )
        _add_models(session)
        new = [keys.NewKey(workspace_id=demo.WORKSPACE, name=name) for name in demo.KEYS]
        texts = [keys.create(session, key, ACTOR)[1] for key in new]
        audit.record(
            session,
            actor=ACTOR,
            workspace_id=demo.WORKSPACE,
            action="workspaces.create",
            object_=demo.WORKSPACE,
        )
    return texts[0]


def _add_models(session: Session) -> None:
    """Add the demo's models, disabled: they have prices and a past, and nobody can call them."""
    now_ms = clock.now_ms()
    stamps = {"source": "console", "is_enabled": False, "created_at": now_ms, "updated_at": now_ms}
    for slug in (demo.PROVIDER, demo.BACKUP):
        session.add(Provider(slug=slug, kind="sandbox", config="{}", **stamps))
    for model in demo.MODELS:
        config = _json(model.config())
        session.add(Model(id=model.id, name=f"Demo {model.name.title()}", config=config, **stamps))
    session.flush()
    for model in demo.MODELS:
        for written in model.config().endpoints:
            endpoint = Endpoint(
                model_id=model.id,
                provider_slug=written.provider,
                upstream_model=model.name,
                priority=written.priority,
                weight=1,
                is_enabled=False,
                created_at=now_ms,
                updated_at=now_ms,
            )
            session.add(endpoint)
            session.flush()
            session.add(
                PriceVersion(
                    endpoint_id=endpoint.id,
                    price=_json(model.price),
                    cost=_json(model.cost),
                    markup_bps=demo.MARKUP_BPS,
                    source="console",
                    is_confirmed=True,
                    created_at=now_ms,
                )
            )
    session.flush()


def _write_calls() -> int:
    """Write the calls of the plan that aren't there yet, and return how many."""
    with db.reading() as session:
        workspace = session.get_one(Workspace, demo.WORKSPACE)
        written = set(
            session.scalars(select(Generation.id).where(Generation.workspace_id == workspace.id))
        )
        of_workspace = select(Key).where(Key.workspace_id == workspace.id)
        key_ids = {key.name: key.id for key in session.scalars(of_workspace)}
        places = _places(session)
    writer = Writer(is_synced=False)
    made = 0
    try:
        for call in demo.plan(workspace.created_at):
            if call.id in written:
                continue
            with _as_of(call.at_ms):
                write = partial(demo.write, call=call, key_id=key_ids[call.key], places=places)
                writer.submit(write, demo.WORKSPACE)
            made += 1
    finally:
        writer.close()
    return made


def _places(session: Session) -> dict[str, demo.Place]:
    rows = session.execute(
        select(Endpoint.upstream_model, Endpoint.provider_slug, Endpoint.id, PriceVersion.id).join(
            PriceVersion, PriceVersion.endpoint_id == Endpoint.id
        )
    )
    return {f"{model}@{slug}": demo.Place(*numbers) for model, slug, *numbers in rows}


def _newest_call() -> str:
    newest = select(Generation.id).where(Generation.workspace_id == demo.WORKSPACE)
    with db.reading() as session:
        return session.scalars(newest.order_by(Generation.created_at.desc()).limit(1)).one()


@contextmanager
def _as_of(instant_ms: int) -> Iterator[None]:
    """Let it be another time meanwhile."""
    clock.set_source(lambda: instant_ms / 1000)
    try:
        yield
    finally:
        clock.set_source(None)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
