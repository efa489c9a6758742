"""`flask users` and `flask keys`: who may sign in, and who may call."""

import sys

import click

import db
from cli.output import AS_JSON, Group, amount_nusd, emit, instant_ms
from gateway import keys, passwords, setup, workspaces

users_group = Group("users", help="People.")
keys_group = Group("keys", help="API keys of workspaces.")

ACTOR = "cli"


@users_group.command("create")
@click.argument("email")
@click.option("--operator", "is_operator", is_flag=True, help="May run this instance.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@AS_JSON
def create_user(*, email: str, is_operator: bool, password_stdin: bool, as_json: bool) -> None:
    """Make a user, and the personal workspace that comes with it."""
    workspaces.check_email(email)
    password_hash = None
    if password_stdin:
        password_hash = passwords.hash_password(sys.stdin.read().removesuffix("\n").rstrip("\r"))
    with db.transaction() as session:
        user, workspace = workspaces.create_user(
            session, email, is_operator=is_operator, password_hash=password_hash, actor=ACTOR
        )
        if is_operator:
            setup.close(session)
    emit(
        {"user_id": user.id, "workspace_id": workspace.id},
        as_json=as_json,
        text=f"Made {user.email} ({user.id}) with the workspace {workspace.id}.",
    )


@keys_group.command("create")
@click.option("--workspace", "workspace_id", required=True, metavar="ID")
@click.option("--name", required=True, metavar="NAME")
@click.option("--limit-usd", metavar="X", help="What it may spend: a plain decimal.")
@click.option("--limit-reset", type=click.Choice(["daily", "weekly", "monthly"]))
@click.option("--rpm", type=int, metavar="N", help="Requests a minute; 0 is no limit.")
@click.option("--models", metavar="A,B", help="The only models it may call.")
@click.option("--management", is_flag=True, help="It reads and makes keys, and calls no model.")
@click.option("--expires-at", metavar="T", help="RFC 3339, such as 2027-01-01T00:00:00Z.")
@AS_JSON
def create_key(
    *,
    workspace_id: str,
    name: str,
    limit_usd: str | None,
    limit_reset: str | None,
    rpm: int | None,
    models: str | None,
    management: bool,
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is printed this once; only its hash is kept."""
    new = keys.NewKey(
        workspace_id=workspace_id,
        name=name,
        kind="management" if management else "inference",
        limit_nusd=None if limit_usd is None else amount_nusd(limit_usd, "--limit-usd"),
        limit_reset=limit_reset,
        rpm=rpm,
        models=None if models is None else [m for part in models.split(",") if (m := part.strip())],
        expires_at=None if expires_at is None else instant_ms(expires_at, "--expires-at"),
    )
    with db.transaction() as session:
        key, secret = keys.create(session, new, ACTOR)
    emit(
        {"id": key.id, "key": secret},
        as_json=as_json,
        text=f"{secret}\nThis is {key.id}; its text is shown this once.",
    )
