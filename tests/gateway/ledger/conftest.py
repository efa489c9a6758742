"""The ledger's own fixtures."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.clocks import StoppedClock
from tests.gateway.ledger.books import Books


@pytest.fixture
def books(database: Engine, clock: StoppedClock) -> Iterator[Books]:
    """The ledger on either database; the clock stands still."""
    books = Books(database)
    yield books
    books.close()


@pytest.fixture
def sqlite_books(sqlite_database: Engine, clock: StoppedClock) -> Iterator[Books]:
    """The ledger on SQLite."""
    books = Books(sqlite_database)
    yield books
    books.close()


@pytest.fixture
def postgres_books(postgres_database: Engine, clock: StoppedClock) -> Iterator[Books]:
    """The ledger on Postgres."""
    books = Books(postgres_database)
    yield books
    books.close()
