"""The invariants of the ledger as sets: each query returns the rows that break one."""

from dataclasses import dataclass

STALE_HOLD_MS = 16 * 60 * 1000
"""The longest time-out of a call, and a minute."""

SILENT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Check:
    """One query, the table whose rows it checks, and the sentence about a row that it returns."""

    invariant: str
    counted: str
    broken: str
    sentence: str


MOVES = """(SELECT credit_account_id AS account_id, amount_nusd FROM transfers
    UNION ALL SELECT debit_account_id, -amount_nusd FROM transfers)"""

HOLD_WINDOWS = "HOLD_WINDOWS"
"""Stands for each hold once for every cap window that it weighs on; see `for_dialect`."""

_BY_DIALECT = {
    "sqlite": """(SELECT h.generation_id, h.state, h.amount_nusd,
        json_extract(w.value, '$[0]') AS cap_id, json_extract(w.value, '$[1]') AS starts_on
        FROM holds h, json_each(h.cap_windows) w)""",
    "postgresql": """(SELECT h.generation_id, h.state, h.amount_nusd,
        CAST(w.value ->> 0 AS BIGINT) AS cap_id, w.value ->> 1 AS starts_on
        FROM holds h CROSS JOIN LATERAL
            json_array_elements(CAST(h.cap_windows AS json)) AS w(value))""",
}


def for_dialect(sql: str, dialect: str) -> str:
    """Return a check's query as this database writes it."""
    return sql.replace(HOLD_WINDOWS, _BY_DIALECT[dialect])


_SUM_ZERO = Check(
    "I1",
    "accounts",
    f"""SELECT difference FROM (SELECT (SELECT COALESCE(SUM(balance_nusd), 0) FROM accounts)
    + (SELECT COALESCE(SUM(m.amount_nusd), 0) FROM {MOVES} m JOIN accounts a ON a.id = m.account_id
        WHERE a.workspace_id IS NULL) AS difference) sums WHERE difference <> 0""",  # noqa: S608
    "all balances sum to {difference} nano-USD instead of 0",
)
_SUM_ZERO_OF_CACHES = Check(
    "I1",
    "accounts",
    """SELECT wallets, accounts FROM (SELECT
    (SELECT COALESCE(SUM(posted_nusd), 0) FROM wallets) AS wallets,
    (SELECT COALESCE(SUM(balance_nusd), 0) FROM accounts) AS accounts) sums
    WHERE wallets <> accounts""",
    "the wallets sum to {wallets} nano-USD and their accounts to {accounts}",
)
_POSTED = Check(
    "I2",
    "wallets",
    f"""SELECT w.workspace_id, w.posted_nusd AS cached, COALESCE(s.total, 0) AS derived
    FROM wallets w LEFT JOIN (SELECT a.workspace_id, SUM(m.amount_nusd) AS total
        FROM {MOVES} m JOIN accounts a ON a.id = m.account_id GROUP BY a.workspace_id) s
    ON s.workspace_id = w.workspace_id
    WHERE w.posted_nusd <> COALESCE(s.total, 0)""",  # noqa: S608
    "wallet {workspace_id} has posted {cached} nano-USD, its transfers say {derived}",
)
_ACCOUNTS = Check(
    "I2",
    "accounts",
    f"""SELECT a.id, a.balance_nusd AS cached, COALESCE(s.total, 0) AS derived
    FROM accounts a LEFT JOIN (SELECT account_id, SUM(amount_nusd) AS total FROM {MOVES} m
        GROUP BY account_id) s ON s.account_id = a.id
    WHERE a.workspace_id IS NOT NULL AND a.balance_nusd <> COALESCE(s.total, 0)""",  # noqa: S608
    "account {id} has a balance of {cached} nano-USD, its transfers say {derived}",
)
_POSTED_OF_CACHES = Check(
    "I2",
    "wallets",
    """SELECT w.workspace_id, w.posted_nusd AS cached, COALESCE(s.total, 0) AS derived
    FROM wallets w LEFT JOIN (SELECT workspace_id, SUM(balance_nusd) AS total FROM accounts
        GROUP BY workspace_id) s ON s.workspace_id = w.workspace_id
    WHERE w.posted_nusd <> COALESCE(s.total, 0)""",
    "wallet {workspace_id} has posted {cached} nano-USD, its accounts say {derived}",
)
_HELD = Check(
    "I3",
    "wallets",
    """SELECT w.workspace_id, w.held_nusd AS cached, COALESCE(s.total, 0) AS derived
    FROM wallets w LEFT JOIN (SELECT workspace_id, SUM(amount_nusd) AS total FROM holds
        WHERE state = 'open' GROUP BY workspace_id) s ON s.workspace_id = w.workspace_id
    WHERE w.held_nusd <> COALESCE(s.total, 0)""",
    "wallet {workspace_id} holds {cached} nano-USD, its open holds say {derived}",
)
_AVAILABLE = Check(
    "I4",
    "wallets",
    """SELECT workspace_id, posted_nusd - held_nusd AS available, held_nusd FROM wallets
    WHERE (posted_nusd - held_nusd < 0 AND NOT is_frozen) OR held_nusd < 0""",
    "wallet {workspace_id} has {available} nano-USD available and holds {held_nusd}",
)
_BALANCES = Check(
    "I4",
    "accounts",
    "SELECT id, kind, balance_nusd FROM accounts WHERE balance_nusd < 0 AND kind <> 'debt'",
    "account {id} ({kind}) has a balance of {balance_nusd} nano-USD",
)
_ATTEMPTS = Check(
    "I5",
    "attempts",
    """SELECT a.id, a.generation_id FROM attempts a
    WHERE NOT EXISTS (SELECT 1 FROM holds h WHERE h.generation_id = a.generation_id)""",
    "attempt {id} belongs to {generation_id}, which has no hold",
)
_RESOLVED = Check(
    "I5",
    "holds",
    """SELECT h.id, h.state, h.generation_id FROM holds h WHERE h.state <> 'open'
    AND NOT EXISTS (SELECT 1 FROM generations g WHERE g.id = h.generation_id)""",
    "hold {id} is {state} and generation {generation_id} doesn't exist",
)
_GENERATIONS = Check(
    "I5",
    "generations",
    """SELECT g.id, COALESCE(h.state, 'missing') AS state FROM generations g
    LEFT JOIN holds h ON h.generation_id = g.id WHERE h.id IS NULL OR h.state = 'open'
    OR h.workspace_id <> g.workspace_id OR h.amount_nusd <> g.hold_nusd
    OR (h.state = 'settled') <> (g.charge_nusd > 0 AND h.state <> 'expired')""",
    "generation {id} and its hold, which is {state}, contradict each other",
)
_CHARGES = Check(
    "I6",
    "generations",
    """SELECT g.id, g.charge_nusd, g.insured_nusd, g.overrun_nusd,
    COALESCE(t.usage, 0) AS usage, COALESCE(t.insurance, 0) AS insurance,
    COALESCE(t.overrun, 0) AS overrun
    FROM generations g LEFT JOIN (SELECT generation_id,
        SUM(CASE kind WHEN 'usage' THEN amount_nusd ELSE 0 END) AS usage,
        SUM(CASE kind WHEN 'insurance' THEN amount_nusd ELSE 0 END) AS insurance,
        SUM(CASE kind WHEN 'overrun' THEN amount_nusd ELSE 0 END) AS overrun
        FROM transfers WHERE kind IN ('usage', 'insurance', 'overrun') GROUP BY generation_id) t
    ON t.generation_id = g.id
    WHERE g.charge_nusd <> COALESCE(t.usage, 0) OR g.insured_nusd <> COALESCE(t.insurance, 0)
    OR g.overrun_nusd <> COALESCE(t.overrun, 0)""",
    "generation {id} says {charge_nusd} charged, {insured_nusd} insured, {overrun_nusd} overrun;"
    " its transfers say {usage}, {insurance}, {overrun}",
)
_USAGE = Check(
    "I6",
    "transfers",
    """SELECT t.id, t.kind FROM transfers t LEFT JOIN generations g ON g.id = t.generation_id
    JOIN accounts a ON a.id = t.debit_account_id
    WHERE t.kind IN ('usage', 'insurance', 'overrun') AND (g.id IS NULL
    OR COALESCE(t.workspace_id, '') <> g.workspace_id
    OR (t.kind = 'usage' AND COALESCE(a.workspace_id, '') <> g.workspace_id))""",
    "transfer {id} ({kind}) doesn't belong to a generation of the workspace that pays",
)
_WITHIN_HOLD = Check(
    "I7",
    "generations",
    """SELECT id, charge_nusd, hold_nusd FROM generations WHERE charge_nusd < 0
    OR charge_nusd > hold_nusd""",
    "generation {id} is charged {charge_nusd} nano-USD and {hold_nusd} were held",
)
_STALE = Check(
    "I8",
    "holds",
    f"""SELECT h.id, h.worker_id FROM holds h WHERE h.state = 'open'
    AND h.created_at < :now - {STALE_HOLD_MS} AND NOT EXISTS (SELECT 1 FROM workers w
        WHERE w.id = h.worker_id AND w.heartbeat_at >= :now - {SILENT_MS})""",  # noqa: S608
    "hold {id} is open for more than 16 minutes and its worker {worker_id} is silent",
)
_CAPS = Check(
    "I9",
    "cap_windows",
    """SELECT cap_id, starts_on, used_nusd, held_nusd, ceiling_nusd FROM cap_windows
    WHERE used_nusd + held_nusd > ceiling_nusd OR used_nusd < 0 OR held_nusd < 0""",
    "cap {cap_id} of {starts_on} has used {used_nusd} and holds {held_nusd} of {ceiling_nusd}",
)
_CAPS_HELD = Check(
    "I9",
    "cap_windows",
    f"""SELECT c.cap_id, c.starts_on, c.held_nusd, COALESCE(s.total, 0) AS derived
    FROM cap_windows c LEFT JOIN (SELECT cap_id, starts_on, SUM(amount_nusd) AS total
        FROM {HOLD_WINDOWS} hw WHERE state = 'open' GROUP BY cap_id, starts_on) s
    ON s.cap_id = c.cap_id AND s.starts_on = c.starts_on
    WHERE c.held_nusd <> COALESCE(s.total, 0)""",  # noqa: S608
    "cap {cap_id} of {starts_on} holds {held_nusd} nano-USD, open holds say {derived}",
)
_CAPS_USED = Check(
    "I9",
    "cap_windows",
    f"""SELECT c.cap_id, c.starts_on, c.used_nusd, COALESCE(s.total, 0) AS derived
    FROM cap_windows c LEFT JOIN (SELECT hw.cap_id, hw.starts_on, SUM(g.charge_nusd) AS total
        FROM {HOLD_WINDOWS} hw JOIN generations g ON g.id = hw.generation_id
        GROUP BY hw.cap_id, hw.starts_on) s
    ON s.cap_id = c.cap_id AND s.starts_on = c.starts_on
    WHERE c.used_nusd <> COALESCE(s.total, 0)""",  # noqa: S608
    "cap {cap_id} of {starts_on} has used {used_nusd} nano-USD, generations say {derived}",
)
_SUSPENSE = Check(
    "I12",
    "accounts",
    f"""SELECT a.id, SUM(m.amount_nusd) AS balance FROM accounts a
    JOIN {MOVES} m ON m.account_id = a.id WHERE a.kind = 'suspense'
    GROUP BY a.id HAVING SUM(m.amount_nusd) <> 0""",  # noqa: S608
    "suspense (account {id}) has a balance of {balance} nano-USD instead of 0",
)

_PLACE = "workspace_id, day, key_id, user_id, model, provider"
_KNOWN = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nusd",
    "first_token_ms",
)
_SUMMED = {
    "calls": "1",
    "failed_calls": "CASE WHEN status = 'ok' THEN 0 ELSE 1 END",
    "unknown_costs": "CASE WHEN cost_nusd IS NULL THEN 1 ELSE 0 END",
    "first_tokens": "CASE WHEN first_token_ms IS NULL THEN 0 ELSE 1 END",
    "charge_nusd": "charge_nusd",
    "latency_ms": "latency_ms",
    **{name: f"COALESCE({name}, 0)" for name in _KNOWN},
}
_ROLL_UPS = Check(
    "I14",
    "usage_days",
    f"""SELECT {_PLACE}, SUM(charge_nusd) AS difference FROM (
    SELECT workspace_id, day, COALESCE(key_id, '') AS key_id, COALESCE(user_id, '') AS user_id,
        COALESCE(model, requested_model) AS model, COALESCE(provider, '') AS provider,
        {", ".join(f"{value} AS {name}" for name, value in _SUMMED.items())} FROM generations
    UNION ALL SELECT {_PLACE}, {", ".join(f"-{name}" for name in _SUMMED)} FROM usage_days) sums
    GROUP BY {_PLACE} HAVING {" OR ".join(f"SUM({name}) <> 0" for name in _SUMMED)}""",  # noqa: S608
    "the roll-up of {workspace_id} on {day} (key {key_id!r}, member {user_id!r}, {model},"
    " {provider!r}) differs from its generations, in charges by {difference} nano-USD",
)

QUICK = (_SUM_ZERO_OF_CACHES, _POSTED_OF_CACHES, _HELD, _AVAILABLE, _BALANCES, _CAPS, _CAPS_HELD)
ALL = (
    *(_SUM_ZERO, _POSTED, _ACCOUNTS, _HELD, _AVAILABLE, _BALANCES),
    *(_ATTEMPTS, _RESOLVED, _GENERATIONS, _CHARGES, _USAGE, _WITHIN_HOLD, _STALE),
    *(_CAPS, _CAPS_HELD, _CAPS_USED, _SUSPENSE, _ROLL_UPS),
)
