"""`flask secrets rotate`: what is secret at rest, sealed anew."""

from flask import current_app
from sqlalchemy import select

import clock
import db
from cli.output import AS_JSON, Group, emit
from gateway import audit
from gateway.catalog.store import bound_to
from gateway.secrets import SecretBox
from models import Provider

group = Group("secrets", help="What is secret at rest.")

ACTOR = "cli"


@group.command("rotate")
@AS_JSON
def rotate(*, as_json: bool) -> None:
    """Seal every secret with the newest key; those before it can then be taken off the list."""
    box = SecretBox.from_settings(current_app.config["TURNPIKE"])
    rotated, kept = 0, 0
    with db.transaction() as session:
        sealed = select(Provider).where(Provider.secrets.is_not(None)).order_by(Provider.slug)
        for row in session.scalars(sealed.with_for_update()):
            place, old = bound_to(row.slug), row.secrets or ""
            plain = box.open_sealed(old, place)
            if box.is_newest(old):
                kept += 1
                continue
            row.secrets, row.updated_at = box.seal(plain, place), clock.now_ms()
            rotated += 1
            audit.record(
                session, actor=ACTOR, workspace_id=None, action="secrets.rotate", object_=place
            )
    emit(
        {"rotated": rotated, "unchanged": kept},
        as_json=as_json,
        text=f"Sealed {rotated} anew; {kept} had the newest key already.",
    )
