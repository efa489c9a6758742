"""Idle connections, kept for each origin, and the making of new ones."""

import ssl
import threading
import time
from collections import deque

import certifi

from providers.addresses import Resolver, check_public
from providers.connection import Connection
from providers.origin import Origin, OriginKey
from providers.transport_errors import ConnectFailedError, DeadlineError

IDLE_CONNECTIONS = 512
"""How many idle connections an origin keeps; more are closed."""

IDLE_S = 50.0
"""How long an idle connection is kept: less than the 60 s after which many servers close theirs."""

SWEEP_S = 10.0
"""How often, at most, connections that were idle for too long are looked for."""


class Pool:
    """Connections by origin, the one used last first. Safe for threads and greenlets.

    `lock` guards which exchange holds which connection; nothing waits while it is held.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None,
        idle_s: float = IDLE_S,
        idle_connections: int = IDLE_CONNECTIONS,
    ) -> None:
        self.lock = threading.Lock()
        self._idle_s = idle_s
        self._idle_connections = idle_connections
        self._context = ssl_context or _verifying_context()
        self._resolver = Resolver()
        self._idle: dict[OriginKey, deque[Connection]] = {}
        self._swept_at = time.monotonic()
        self._is_closed = False

    def take(self, key: OriginKey) -> Connection | None:
        """Return an idle connection that is still good, or None."""
        while True:
            with self.lock:
                kept = self._idle.get(key)
                if not kept:
                    return None
                connection = kept.pop()
            is_young = time.monotonic() - connection.idle_since < self._idle_s
            if is_young and connection.is_silent():
                connection.is_reused = True
                return connection
            connection.close()

    def put(self, connection: Connection) -> None:
        """Keep a connection whose response was read to its end."""
        now = connection.idle_since = time.monotonic()
        surplus: list[Connection] = []
        with self.lock:
            kept = self._idle.setdefault(connection.key, deque())
            if self._is_closed or len(kept) >= self._idle_connections:
                surplus.append(connection)
            else:
                kept.append(connection)
            if now - self._swept_at >= SWEEP_S:
                self._swept_at = now
                surplus += self._sweep(now)
        for each in surplus:
            each.close()

    def connect(self, connection: Connection, origin: Origin, deadline_s: float) -> None:
        """Make the connection to an address that the origin may reach.

        Raises: ConnectFailedError, AddressRefusedError, DeadlineError
        """
        host, port = origin.key.host, origin.key.port
        now = time.monotonic()
        until_s = min(now + origin.connect_timeout_s, deadline_s)
        try:
            addresses = self._resolver.resolve(host, port, until_s - now)
            if not origin.allow_private:
                check_public(host, addresses)
            connection.connect(addresses, self._context, until_s)
        except ConnectFailedError as error:
            self._resolver.forget(host, port)
            if time.monotonic() >= deadline_s:
                raise DeadlineError("no connection before the deadline") from error
            raise

    def close(self) -> None:
        """Close what is idle, and from now on whatever comes back."""
        with self.lock:
            self._is_closed = True
            idle = [connection for kept in self._idle.values() for connection in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _sweep(self, now: float) -> list[Connection]:
        """Take out what was idle for too long, also of origins that nobody calls anymore."""
        surplus = []
        for key, kept in list(self._idle.items()):
            while kept and now - kept[0].idle_since >= self._idle_s:
                surplus.append(kept.popleft())
            if not kept:
                del self._idle[key]
        return surplus


def _verifying_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
