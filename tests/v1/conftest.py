"""The live server of this folder's tests, and the people who call it."""

from collections.abc import Callable, Iterator

import pytest

import db
from gateway.ledger.verify import verify
from tests.live import Actor, Server, config_for, make_actor
from tests.servers import engine_in_use, make_sqlite_template
from tests.upstream import Upstream

USD = 1_000_000_000


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The provider that the live servers call."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Server]:
    """One server on SQLite for this process of the suite; its books are whole at the end."""
    folder = tmp_path_factory.mktemp("server")
    path = make_sqlite_template(folder / "turnpike.db")
    running = Server(folder, f"sqlite:///{path}", config_for(upstream))
    running.start()
    try:
        yield running
    finally:
        exit_code = running.stop()
    with engine_in_use(running.database_url), db.reading() as session:
        report = verify(session)
    assert report.ok, report.violations
    assert exit_code == 0, running.tail()


@pytest.fixture
def on_server(server: Server) -> Iterator[Server]:
    """The server, with its database in use in this process too."""
    with engine_in_use(server.database_url):
        yield server


@pytest.fixture
def new_actor(on_server: Server, upstream: Upstream) -> Callable[..., Actor]:
    """Make somebody with a workspace, a key and a provider of their own."""

    def make(**options: object) -> Actor:
        return make_actor(on_server, upstream, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def alice(new_actor: Callable[..., Actor]) -> Actor:
    """Somebody with five dollars."""
    return new_actor()
