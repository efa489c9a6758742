"""What no statement may do to the tables: every trigger and CHECK is tried, on both databases."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, text
from sqlalchemy.exc import DBAPIError

from gateway.ledger.seals import Sealer
from migrations import guards
from models import Base
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, DAY, USD, Books

SEED = (
    "INSERT INTO users (id, email, name, is_operator, state, token_version, created_at)"
    " VALUES ('usr_1', 'a@example.com', '', {false}, 'active', 0, 0)",
    "INSERT INTO members (workspace_id, user_id, role, created_at)"
    " VALUES ('wks_alice', 'usr_1', 'owner', 0)",
    "INSERT INTO keys (id, workspace_id, kind, name, hash, hint, state, created_at, updated_at)"
    " VALUES ('key_1', 'wks_alice', 'inference', 'k', 'h', 'h', 'active', 0, 0)",
    "INSERT INTO providers (slug, kind, config, source, is_enabled, created_at, updated_at)"
    " VALUES ('p', 'x', '{{}}', 'file', {true}, 0, 0)",
    "INSERT INTO models (id, name, config, source, is_enabled, created_at, updated_at)"
    " VALUES ('m', 'M', '{{}}', 'file', {true}, 0, 0)",
    "INSERT INTO endpoints (id, model_id, provider_slug, upstream_model, priority, weight,"
    " is_enabled, created_at, updated_at) VALUES (1, 'm', 'p', 'm', 1, 1, {true}, 0, 0)",
    "INSERT INTO price_versions (endpoint_id, price, markup_bps, source, is_confirmed, created_at)"
    " VALUES (1, '{{}}', 0, 'file', {true}, 0)",
    "INSERT INTO aliases (id, config, source, is_enabled, created_at, updated_at)"
    " VALUES ('a', '{{}}', 'file', {true}, 0, 0)",
    "INSERT INTO options (name, value, source, updated_at) VALUES ('o', '{{}}', 'file', 0)",
    "INSERT INTO audit (created_at, actor, action, object) VALUES (0, 'cli', 'x', 'y')",
    "INSERT INTO insurance_days (workspace_id, day, used_nusd)"
    " VALUES ('wks_alice', '2026-03-10', 5)",
)


def copied(table: str, **changes: str) -> str:
    """An INSERT of the first row of a table once more, with these changes."""
    columns = [column.name for column in Base.metadata.tables[table].columns]
    values = ", ".join(changes.get(name, name) for name in columns)
    listed = ", ".join(columns)
    return f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table} LIMIT 1"  # noqa: S608


NEW_TRANSFER = {"id": "id + 1000", "idempotency_key": "'new'", "hash": "'new'"}
NEW_GENERATION = {"id": "'gen-new'"}

CHECKS = [
    ("ck_users_state_known", "UPDATE users SET state = 'gone'"),
    ("ck_workspaces_kind_known", "UPDATE workspaces SET kind = 'gone'"),
    ("ck_workspaces_state_known", "UPDATE workspaces SET state = 'gone'"),
    ("ck_members_role_known", "UPDATE members SET role = 'king'"),
    ("ck_keys_kind_known", "UPDATE keys SET kind = 'skeleton'"),
    ("ck_keys_state_known", "UPDATE keys SET state = 'lost'"),
    ("ck_keys_platform_known", "UPDATE keys SET platform = 'moon'"),
    ("ck_keys_rpm_sane", "UPDATE keys SET rpm = -1"),
    ("ck_providers_source_known", "UPDATE providers SET source = 'rumor'"),
    ("ck_models_source_known", "UPDATE models SET source = 'rumor'"),
    ("ck_endpoints_weight_positive", "UPDATE endpoints SET weight = 0"),
    ("ck_aliases_source_known", "UPDATE aliases SET source = 'rumor'"),
    ("ck_wallets_held_not_negative", "UPDATE wallets SET held_nusd = -1"),
    ("ck_wallets_never_overdrawn", "UPDATE wallets SET held_nusd = posted_nusd + 1"),
    ("ck_wallets_never_overdrawn", "UPDATE wallets SET posted_nusd = held_nusd - 1"),
    (
        "ck_accounts_balance_of_workspaces",
        "UPDATE accounts SET balance_nusd = 0 WHERE name = 'suspense'",
    ),
    (
        "ck_accounts_balance_of_workspaces",
        "UPDATE accounts SET balance_nusd = NULL WHERE kind = 'cash'",
    ),
    ("ck_accounts_not_negative", "UPDATE accounts SET balance_nusd = -1 WHERE kind = 'cash'"),
    ("ck_transfers_amount_positive", copied("transfers", amount_nusd="0", **NEW_TRANSFER)),
    ("ck_transfers_amount_positive", copied("transfers", amount_nusd="-5", **NEW_TRANSFER)),
    (
        "ck_transfers_two_accounts",
        copied("transfers", debit_account_id="credit_account_id", **NEW_TRANSFER),
    ),
    ("ck_holds_amount_not_negative", "UPDATE holds SET amount_nusd = -1 WHERE state = 'open'"),
    (
        "ck_holds_state_known",
        "UPDATE holds SET state = 'lost', resolved_at = 1 WHERE state = 'open'",
    ),
    ("ck_holds_resolved_when_not_open", "UPDATE holds SET state = 'settled' WHERE state = 'open'"),
    ("ck_holds_resolved_when_not_open", "UPDATE holds SET resolved_at = 1 WHERE state = 'open'"),
    ("ck_caps_subject_known", "UPDATE caps SET subject = 'dog'"),
    ("ck_caps_period_known", "UPDATE caps SET period = 'eon'"),
    ("ck_caps_limit_not_negative", "UPDATE caps SET limit_nusd = -1"),
    ("ck_cap_windows_not_negative", "UPDATE cap_windows SET used_nusd = -1"),
    ("ck_cap_windows_not_negative", "UPDATE cap_windows SET held_nusd = -1"),
    ("ck_cap_windows_never_passed", "UPDATE cap_windows SET used_nusd = ceiling_nusd + 1"),
    ("ck_insurance_days_not_negative", "UPDATE insurance_days SET used_nusd = -1"),
    (
        "ck_generations_charge_within_hold",
        copied("generations", charge_nusd="hold_nusd + 1", **NEW_GENERATION),
    ),
    (
        "ck_generations_charge_within_hold",
        copied("generations", charge_nusd="-1", **NEW_GENERATION),
    ),
    (
        "ck_generations_house_bears_not_negative",
        copied("generations", overrun_nusd="-1", **NEW_GENERATION),
    ),
    (
        "ck_generations_house_bears_not_negative",
        copied("generations", insured_nusd="-1", **NEW_GENERATION),
    ),
]

REFUSALS = [
    *(
        (f"{table} is insert-only", f"UPDATE {table} SET {column} = {column}")  # noqa: S608
        for table, column in (
            ("transfers", "note"),
            ("price_versions", "price"),
            ("seals", "root"),
            ("seal_entries", "position"),
            ("audit", "actor"),
            ("generations", "charge_nusd"),
        )
    ),
    *(
        (f"{table} is kept", f"DELETE FROM {table}")  # noqa: S608
        for table in (*guards.INSERT_ONLY, *guards.KEPT)
    ),
    ("a resolved hold never changes", "UPDATE holds SET state = 'open', resolved_at = NULL"),
    ("a resolved hold never changes", "UPDATE holds SET amount_nusd = 0 WHERE state = 'settled'"),
    ("(?i)unique", copied("transfers", id="id + 1000")),
    ("(?i)unique", copied("generations")),
    ("(?i)unique", copied("holds", id="'hld_new'")),
    ("(?i)foreign key", copied("transfers", **{**NEW_TRANSFER, "debit_account_id": "99999"})),
    ("(?i)foreign key", copied("holds", id="'h'", generation_id="'g'", workspace_id="'w'")),
]

TOUCHES = {
    "keys": "name",
    "members": "role",
    "users": "name",
    "workspaces": "name",
    "caps": "limit_nusd",
    "providers": "config",
    "models": "config",
    "endpoints": "weight",
    "aliases": "config",
    "options": "value",
}


@pytest.fixture
def books(database: Engine, clock: StoppedClock) -> Iterator[Books]:
    """A database with a row in every table."""
    books = Books(database)
    is_postgres = database.dialect.name == "postgresql"
    words = {"true": "true", "false": "false"} if is_postgres else {"true": "1", "false": "0"}
    books.open(ALICE, bonus_nusd=USD)
    windows = ((books.cap(1000), DAY),)
    books.hold("gen-1", 100, windows)
    books.settle("gen-1", 60, windows=windows)
    books.hold("gen-2", 100, windows)
    Sealer(books.writer).run()
    for statement in SEED:
        books.sql(statement.format(**words))
    yield books
    books.close()


@pytest.mark.parametrize(("refusal", "statement"), CHECKS + REFUSALS)
def test_the_database_refuses(books: Books, refusal: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match=refusal):
        books.sql(statement)
    assert books.violations() == []


def test_every_check_of_the_tables_is_broken_above() -> None:
    tested = {name for name, _ in CHECKS}
    declared = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert {name if name.startswith("ck_") else f"ck_{name}" for name in declared} == tested


def test_every_insert_only_table_is_refused_above() -> None:
    refused = {refusal for refusal, _ in REFUSALS}
    assert {f"{table} is insert-only" for table in guards.INSERT_ONLY} <= refused


@pytest.mark.postgres
@pytest.mark.parametrize("table", [*guards.INSERT_ONLY, *guards.KEPT])
def test_a_table_of_facts_is_not_truncated(postgres_database: Engine, table: str) -> None:
    with (
        pytest.raises(DBAPIError, match="is kept"),
        postgres_database.begin() as connection,
    ):
        connection.execute(text(f"TRUNCATE {table} CASCADE"))


def test_a_transfer_moves_both_balances_and_the_wallet_by_itself(books: Books) -> None:
    posted_nusd, _ = books.wallet()
    books.sql(copied("transfers", **{**NEW_TRANSFER, "amount_nusd": "7"}))
    assert books.wallet()[0] == posted_nusd + 7
    told = {line.partition(":")[0] for line in books.violations()}
    assert told == {"I13"}  # its hash is nobody's, its balances are right


def test_a_frozen_wallet_alone_may_be_overdrawn(books: Books) -> None:
    books.freeze()
    books.sql("UPDATE wallets SET posted_nusd = held_nusd - 1")
    with pytest.raises(DBAPIError, match="never_overdrawn"):
        books.sql("UPDATE wallets SET is_frozen = NOT is_frozen")


@pytest.mark.parametrize(
    ("revision", "table"),
    [(revision, table) for revision, tables in guards.BUMPS.items() for table in tables],
)
def test_a_change_bumps_its_revision(books: Books, revision: str, table: str) -> None:
    def numbers() -> dict[str, int]:
        return dict(books.rows("SELECT name, number FROM revisions"))

    before = numbers()
    if table == "price_versions":
        books.sql(copied(table, id="id + 1"))
    else:
        column = TOUCHES[table]
        books.sql(f"UPDATE {table} SET {column} = {column}")  # noqa: S608
    after = numbers()
    assert after.pop(revision) > before.pop(revision)
    assert after == before


def test_the_migrations_make_what_the_models_say(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
