"""What the tests of this folder have in common: servers on both databases, crowds, whole books."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

from sqlalchemy import func, select

import db
from gateway.ledger.verify import verify
from models import Attempt, Generation, Hold, Wallet, Worker
from tests.live import Actor, Server
from tests.servers import make_sqlite_template
from tests.upstream import Upstream

T = TypeVar("T")
INPUT, OUTPUT = 2_500, 20_000
"""Nano-USD a token of every space's `large`."""

SPACES = 16
"""Taken in turn: a test has the space of an earlier one, and nothing of what was in it."""
USD = 1_000_000_000
DEAD = "http://127.0.0.1:9/v1"


def config_for(upstream: Upstream) -> str:
    """A provisioning file in which each space has models of every temper.

    `large` is the usual one. `long` may write 64k tokens, `hasty` waits a second only, `billed`
    bills on when it is left. `many` has four endpoints, each with a space and a price of its own;
    `second` has a dead one first.
    """
    parts = [
        '[gateway]\nreference_model = "s0/large"\ndefault_rate_limit_rpm = 0\n',
        _provider("dead", DEAD),
    ]
    for number in range(SPACES):
        space = f"s{number}"
        url = upstream.base_url(space)
        parts += [
            _provider(f"p{number}", url),
            _provider(f"h{number}", url, "first_byte_timeout_s = 1\nidle_timeout_s = 1\n"),
            _provider(f"b{number}", url, "cancel_stops_billing = false\n"),
            _model(f"{space}/large", [(f"p{number}", "2.50", "20.00")]),
            _model(f"{space}/hasty", [(f"h{number}", "2.50", "20.00")]),
            _model(f"{space}/billed", [(f"b{number}", "2.50", "20.00")]),
            _model(f"{space}/long", [(f"p{number}", "1.00", "5.00")], most_tokens=65_536),
        ]
        for place in range(4):
            url = upstream.base_url(f"{space}-{place}")
            timeouts = "first_byte_timeout_s = 1\nidle_timeout_s = 1\n"
            parts.append(_provider(f"f{number}-{place}", url, timeouts))
        endpoints = [(f"f{number}-{place}", f"{place + 1}.00", "10.00") for place in range(4)]
        parts.append(_model(f"{space}/many", endpoints))
        parts.append(_model(f"{space}/second", [("dead", "9.00", "90.00"), endpoints[1]]))
    return "".join(parts)


def _provider(slug: str, url: str, more: str = "") -> str:
    return (
        f'\n[[providers]]\nslug = "{slug}"\nkind = "openai"\nbase_url = "{url}"\n'
        f'api_key = "sk-upstream-{slug}-canary"\nprivate_network = true\n{more}'
    )


def _model(name: str, endpoints: list[tuple[str, str, str]], *, most_tokens: int = 16_384) -> str:
    parts = [
        f'\n[[models]]\nid = "{name}"\ncontext_length = 128000\nmax_output_tokens = {most_tokens}\n'
    ]
    for priority, (provider, price_in, price_out) in enumerate(endpoints, start=1):
        parts.append(
            f'[[models.endpoints]]\nprovider = "{provider}"\nupstream_model = "fake-model"\n'
            f'priority = {priority}\nprice = {{ input = "{price_in}", output = "{price_out}" }}\n'
        )
    return "".join(parts)


def sqlite_site(folder: Path, upstream: Upstream, **env: str) -> Server:
    """A server on a SQLite file of its own, not started."""
    folder.mkdir(parents=True, exist_ok=True)
    path = make_sqlite_template(folder / "turnpike.db")
    return Server(folder, f"sqlite:///{path}", config_for(upstream), env)


def postgres_site(
    folder: Path, upstream: Upstream, database_url: str, redis_port: int, **env: str
) -> Server:
    """A server of two workers on Postgres and Redis, not started."""
    shared = {"REDIS_URL": f"redis://127.0.0.1:{redis_port}/0", "WEB_CONCURRENCY": "2"}
    return Server(folder, database_url, config_for(upstream), {**shared, **env})


def all_at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """What `work` returns for each of so many threads that start together."""
    line = Barrier(count)

    def go(number: int) -> T:
        line.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(go, range(count)))


def wait_until(is_met: Callable[[], T | None], timeout_s: float = 10.0, every_s: float = 0.02) -> T:
    """Return the first true answer, and fail when there is none in time."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        found = is_met()
        if found:
            return found
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not in {timeout_s} s: {is_met.__qualname__} gives {found!r}")
        time.sleep(every_s)


def has_no_open_hold() -> bool:
    """Whether every hold in the database in use is resolved."""
    with db.reading() as session:
        return not session.scalar(
            select(func.count()).select_from(Hold).where(Hold.state == "open")
        )


def has_workers(count: int) -> bool:
    """Whether so many workers have come up."""
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Worker)) == count


def assert_whole_books(timeout_s: float = 10.0) -> None:
    """Wait until no call is under way any more, and check every invariant."""
    wait_until(has_no_open_hold, timeout_s)
    with db.reading() as session:
        report = verify(session)
    assert report.ok, report.violations


def wallet_of(actor: Actor) -> tuple[int, int]:
    """What the workspace has, and what of it is held."""
    with db.reading() as session:
        wallet = session.get_one(Wallet, actor.workspace_id)
        return wallet.posted_nusd, wallet.held_nusd


def generations_of(actor: Actor) -> list[Generation]:
    """The rows of the key's calls, oldest first."""
    with db.reading() as session:
        query = select(Generation).where(Generation.key_id == actor.key_id)
        return list(session.scalars(query.order_by(Generation.created_at, Generation.id)))


def only_generation(actor: Actor) -> Generation:
    """The row of the only call of the key, once it is there."""
    [row] = wait_until(lambda: generations_of(actor))
    return row


def attempts_of(generation_id: str) -> list[Attempt]:
    """The tries of one call, in order."""
    with db.reading() as session:
        query = select(Attempt).where(Attempt.generation_id == generation_id)
        return list(session.scalars(query.order_by(Attempt.number)))


def body_of(actor: Actor, text: str = "hi", **fields: Any) -> dict[str, Any]:
    """The body of a chat call; `model` may be given without its space."""
    model = f"{actor.space}/{fields.pop('model', 'large')}"
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
