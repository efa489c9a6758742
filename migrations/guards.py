"""The triggers: what no statement may do to money, and what follows from a row by itself.

They are laid anew after every migration, because SQLite drops the triggers of a table that a batch
migration copies. `tests/test_guards.py` breaks each of them on both databases.
"""

from sqlalchemy import Connection, text

INSERT_ONLY = ("transfers", "price_versions", "seals", "seal_entries", "audit", "generations")
"""Tables whose rows are facts: neither changed nor deleted."""

KEPT = ("holds", "wallets", "accounts")
"""Tables whose rows change by rule, and are never deleted."""

BUMPS = {
    "keys": ("keys", "members", "users", "workspaces", "caps"),
    "catalog": ("providers", "models", "endpoints", "price_versions", "aliases", "options"),
}
"""The revision that a change of a table bumps."""

COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nusd",
    "first_token_ms",
)
"""Columns of a roll-up that add up a generation's column of the same name, unknown as nothing."""

_PLACE = "workspace_id, day, key_id, user_id, model, provider"

_ROLL_UP = f"""
INSERT INTO usage_days ({_PLACE}, calls, failed_calls, unknown_calls, charge_nusd, unknown_costs,
    first_tokens, latency_ms, {", ".join(COUNTERS)})
VALUES (NEW.workspace_id, NEW.day, COALESCE(NEW.key_id, ''), COALESCE(NEW.user_id, ''),
    COALESCE(NEW.model, NEW.requested_model), COALESCE(NEW.provider, ''), 1,
    CASE WHEN NEW.status = 'ok' THEN 0 ELSE 1 END,
    CASE WHEN NEW.input_tokens IS NULL THEN 1 ELSE 0 END, NEW.charge_nusd,
    CASE WHEN NEW.cost_nusd IS NULL THEN 1 ELSE 0 END,
    CASE WHEN NEW.first_token_ms IS NULL THEN 0 ELSE 1 END, NEW.latency_ms,
    {", ".join(f"COALESCE(NEW.{name}, 0)" for name in COUNTERS)})
ON CONFLICT ({_PLACE}) DO UPDATE SET
    {
    ", ".join(
        f"{name} = usage_days.{name} + excluded.{name}"
        for name in (
            "calls",
            "failed_calls",
            "unknown_calls",
            "charge_nusd",
            "unknown_costs",
            "first_tokens",
            "latency_ms",
            *COUNTERS,
        )
    )
}
"""  # noqa: S608 - names of this module only

_MOVE = (
    "UPDATE accounts SET balance_nusd = balance_nusd - NEW.amount_nusd"
    " WHERE id = NEW.debit_account_id AND workspace_id IS NOT NULL",
    "UPDATE accounts SET balance_nusd = balance_nusd + NEW.amount_nusd"
    " WHERE id = NEW.credit_account_id AND workspace_id IS NOT NULL",
    "UPDATE wallets SET posted_nusd = posted_nusd - NEW.amount_nusd"
    " WHERE workspace_id = (SELECT workspace_id FROM accounts WHERE id = NEW.debit_account_id)",
    "UPDATE wallets SET posted_nusd = posted_nusd + NEW.amount_nusd"
    " WHERE workspace_id = (SELECT workspace_id FROM accounts WHERE id = NEW.credit_account_id)",
)


def recreate(connection: Connection) -> None:
    """Lay every trigger anew."""
    statements = _sqlite(connection) if connection.dialect.name == "sqlite" else _postgres()
    for statement in statements:
        connection.execute(text(statement.replace(":", r"\:")))


def _sqlite(connection: Connection) -> list[str]:
    old = (
        connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        .scalars()
        .all()
    )
    statements = [f"DROP TRIGGER {name}" for name in old]

    def trigger(name: str, when: str, *body: str) -> None:
        statements.append(f"CREATE TRIGGER {name} {when} BEGIN {'; '.join(body)}; END")

    for table, event, message in _refusals():
        trigger(
            f"{table}_no_{event.lower()}",
            f"BEFORE {event} ON {table}",
            f"SELECT RAISE(ABORT, '{message}')",
        )
    trigger(
        "holds_resolve_once",
        "BEFORE UPDATE ON holds WHEN OLD.state <> 'open'",
        "SELECT RAISE(ABORT, 'a resolved hold never changes')",
    )
    trigger("transfers_move_balances", "AFTER INSERT ON transfers", *_MOVE)
    trigger("generations_roll_up", "AFTER INSERT ON generations", _ROLL_UP)
    for revision, tables in BUMPS.items():
        for table in tables:
            for event in ("INSERT", "UPDATE", "DELETE"):
                trigger(
                    f"{table}_bump_on_{event.lower()}",
                    f"AFTER {event} ON {table}",
                    f"UPDATE revisions SET number = number + 1 WHERE name = '{revision}'",  # noqa: S608
                )
    return statements


def _postgres() -> list[str]:
    statements = [
        _function(
            "turnpike_refuse",
            "RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'check_violation'",
        ),
        _function("turnpike_move_balances", *_MOVE),
        _function("turnpike_roll_up", _ROLL_UP),
        _function(
            "turnpike_bump", "UPDATE revisions SET number = number + 1 WHERE name = TG_ARGV[0]"
        ),
    ]

    def trigger(name: str, table: str, when: str, call: str) -> None:
        statements.append(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        statements.append(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {call}")

    for table, event, message in _refusals():
        name = f"{table}_no_{event.lower()}"
        trigger(
            name, table, f"BEFORE {event} ON {table} FOR EACH ROW", f"turnpike_refuse('{message}')"
        )
    for table in (*INSERT_ONLY, *KEPT):
        when = f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        trigger(f"{table}_no_truncate", table, when, f"turnpike_refuse('{table} is kept')")
    trigger(
        "holds_resolve_once",
        "holds",
        "BEFORE UPDATE ON holds FOR EACH ROW WHEN (OLD.state <> 'open')",
        "turnpike_refuse('a resolved hold never changes')",
    )
    trigger(
        "transfers_move_balances",
        "transfers",
        "AFTER INSERT ON transfers FOR EACH ROW",
        "turnpike_move_balances()",
    )
    trigger(
        "generations_roll_up",
        "generations",
        "AFTER INSERT ON generations FOR EACH ROW",
        "turnpike_roll_up()",
    )
    for revision, tables in BUMPS.items():
        for table in tables:
            when = f"AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT"
            trigger(f"{table}_bump", table, when, f"turnpike_bump('{revision}')")
    return statements


def _refusals() -> list[tuple[str, str, str]]:
    updates = [(table, "UPDATE", f"{table} is insert-only") for table in INSERT_ONLY]
    return updates + [(table, "DELETE", f"{table} is kept") for table in (*INSERT_ONLY, *KEPT)]


def _function(name: str, *body: str) -> str:
    lines = ";\n".join(body)
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $turnpike$\n"
        f"BEGIN\n{lines};\nRETURN NULL;\nEND $turnpike$"
    )
