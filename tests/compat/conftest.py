"""The live server of these tests, and whoever calls it: as those of tests/v1."""

from tests.v1.conftest import alice, new_actor, on_server, server, upstream

__all__ = ["alice", "new_actor", "on_server", "server", "upstream"]
