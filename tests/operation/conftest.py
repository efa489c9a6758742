"""The live servers of this folder's tests, one on each database, and the people who call them."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.live import Actor, Server, make_actor
from tests.operation.sites import SPACES, assert_whole_books, postgres_site, sqlite_site
from tests.servers import Postgres, engine_in_use
from tests.upstream import Upstream

_spaces = itertools.count()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The provider that the live servers call."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Server]:
    """One process on SQLite."""
    running = sqlite_site(tmp_path_factory.mktemp("sqlite_server"), upstream)
    yield from _served(running)


@pytest.fixture(scope="session")
def postgres_server(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    postgres: Postgres,
    redis_port: int,
) -> Iterator[Server]:
    """Two workers on Postgres and Redis."""
    url = postgres.new_database()
    folder = tmp_path_factory.mktemp("postgres_server")
    yield from _served(postgres_site(folder, upstream, url, redis_port))
    postgres.drop(url)


def _served(site: Server) -> Iterator[Server]:
    with engine_in_use(site.database_url):
        site.start()
        try:
            yield site
        finally:
            exit_code = site.stop()
    assert exit_code == 0, site.tail()


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("operation-sqlite")),
        pytest.param(
            "postgres",
            marks=[
                pytest.mark.postgres,
                pytest.mark.redis,
                pytest.mark.xdist_group("operation-postgres"),
            ],
        ),
    ]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server on either database, which is in use here too; its books are whole afterwards."""
    running: Server = request.getfixturevalue(f"{request.param}_server")
    yield from _in_use(running)


@pytest.fixture
def on_sqlite(sqlite_server: Server) -> Iterator[Server]:
    """The server on SQLite, for what doesn't depend on the database."""
    yield from _in_use(sqlite_server)


@pytest.fixture
def on_postgres(postgres_server: Server) -> Iterator[Server]:
    """The server of two workers on Postgres."""
    yield from _in_use(postgres_server)


def _in_use(running: Server) -> Iterator[Server]:
    with engine_in_use(running.database_url):
        yield running
        assert_whole_books()


@pytest.fixture
def new_actor(upstream: Upstream) -> Callable[..., Actor]:
    """Make somebody on a server, with a workspace, a key and a provider of their own."""

    def make(server: Server, **options: object) -> Actor:
        space = f"s{next(_spaces) % SPACES}"
        for place in range(4):
            upstream.forget(f"{space}-{place}")
        return make_actor(server, upstream, space=space, **options)  # type: ignore[arg-type]

    return make
