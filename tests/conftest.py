"""What every test may ask for. The test process is not gevent's: the live server is another one.

`database` runs a test once on SQLite and once on Postgres, each time on a fresh and migrated
database that is the one in use; `sqlite_database` and `postgres_database` ask for one of them only.
No test reaches beyond this machine. The fixtures that start a server live in `tests/live.py`.
"""

import ipaddress
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

import clock as house_clock
from tests.clocks import StoppedClock
from tests.servers import Postgres, engine_in_use, make_sqlite_template, redis_server, run_id


def _stay_on_this_machine(event: str, values: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"} and isinstance(values[1], tuple):
        host = str(values[1][0])
        if host != "localhost" and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            raise ConnectionRefusedError(f"a test may only talk to loopback, not to {host}")


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture
def clock() -> Iterator[StoppedClock]:
    """The time, stopped; it moves when a test says so."""
    stopped = StoppedClock()
    house_clock.set_source(stopped.read)
    yield stopped
    house_clock.set_source(None)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Engine:
    """A fresh, migrated database, in use; the test runs on both kinds."""
    engine: Engine = request.getfixturevalue(f"{request.param}_database")
    return engine


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Engine]:
    """A fresh, migrated SQLite file, in use."""
    path = tmp_path / "turnpike.db"
    shutil.copyfile(sqlite_template, path)
    with engine_in_use(f"sqlite:///{path}") as engine:
        yield engine


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[Engine]:
    """A fresh, migrated Postgres database, in use. Mark its tests `postgres`."""
    url = postgres.new_database()
    with engine_in_use(url) as engine:
        yield engine
    postgres.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied and never opened."""
    return make_sqlite_template(tmp_path_factory.mktemp("sqlite") / "template.db")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The run's Postgres cluster, shared by the suite's processes."""
    folder = tmp_path_factory.getbasetemp()
    is_worker = folder.name.startswith("popen-")
    cluster = Postgres(run_id(), (folder.parent if is_worker else folder) / "postgres.lock")
    yield cluster
    cluster.stop()


@pytest.fixture
def redis_url(redis_port: int) -> str:
    """An empty Redis."""
    url = f"redis://127.0.0.1:{redis_port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of this process's own Redis server."""
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port
