"""HTTP/1.1 to providers over pooled connections: the hot path's client.

It does what a gateway needs and nothing else: no redirects, no proxies, no cookies, no credentials
of its own, nothing read from the environment. `requests` serves everything that isn't hot.
"""

import ssl
import time
from collections.abc import Mapping

from providers.connection import Connection
from providers.origin import Origin, request_head
from providers.pool import Pool
from providers.response_parser import ResponseParser
from providers.transport_errors import (
    AddressRefusedError,
    ConnectFailedError,
    ConnectionBrokenError,
    DeadlineError,
    ResponseTooBigError,
    TransportAbortedError,
    TransportError,
)

__all__ = [
    "AddressRefusedError",
    "ConnectFailedError",
    "ConnectionBrokenError",
    "DeadlineError",
    "Exchange",
    "Origin",
    "ResponseTooBigError",
    "Transport",
    "TransportAbortedError",
    "TransportError",
]

_JOINED_BYTES = 64 * 1024
"""A larger body is written by itself rather than copied behind its head."""

_READS_IN_A_ROW = 64


class Transport:
    """Pooled connections to upstream hosts, for threads or greenlets; to be made after the fork."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = Pool(ssl_context)

    def open(
        self,
        origin: Origin,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | tuple[bytes | bytearray, ...],
        deadline_s: float,
    ) -> "Exchange":
        """Send a request and return without waiting for the answer.

        The path, with its query, is appended to that of the base URL. A pooled connection that
        turns out stale before any byte came back is replaced once, here or in `wait_head`. A peer
        that stops reading the request may still answer it. A body in pieces is never joined.

        Units: `deadline_s` is on the monotonic clock and bounds everything up to the last byte.
        Raises: ConnectFailedError, AddressRefusedError, DeadlineError; ValueError for a request
        that can't be written.
        """
        pieces = body if isinstance(body, tuple) else (body,)
        head = request_head(origin, method, path, headers, sum(map(len, pieces)))
        exchange = Exchange(self._pool, origin, head, pieces, deadline_s)
        exchange.start()
        return exchange

    def close(self) -> None:
        """Close what is idle; what is under way is closed when its exchange is."""
        self._pool.close()


class Exchange:
    """One request and its answer. Whoever opened it closes it, whatever happened.

    `status` and `headers` (names in lower case, repeated ones joined by ", ", no Set-Cookie) hold
    once `wait_head` has returned True. `bytes_received` counts all that came over the socket. Only
    `abort` may be called from elsewhere than the greenlet that reads.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_deadline_s",
        "_head",
        "_is_aborted",
        "_is_sent",
        "_origin",
        "_pool",
        "_reads",
        "_response",
        "bytes_received",
        "first_byte_at",
        "headers",
        "status",
    )

    def __init__(
        self,
        pool: Pool,
        origin: Origin,
        head: bytes,
        body: tuple[bytes | bytearray, ...],
        deadline_s: float,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.bytes_received = 0
        self.first_byte_at: float | None = None
        self._pool = pool
        self._origin = origin
        self._head = head
        self._body = body
        self._deadline_s = deadline_s
        self._connection: Connection | None = None
        self._response = ResponseParser()
        self._is_aborted = False
        self._is_sent = False
        self._reads = 0

    def start(self) -> None:
        """Send on a pooled connection, or on a fresh one if there is none or it is stale."""
        is_started = False
        try:
            self._connection = self._pool.take(self._origin.key)
            if self._connection is None or not self._send(self._connection):
                self._send_afresh()
            is_started = True
        finally:
            if not is_started:  # nobody else will: the caller has no exchange to close
                self.close()

    def wait_head(self, timeout_s: float) -> bool:
        """Return True when the head is in, False when it isn't within the time: wait again, or not.

        Replacing a stale connection may take `connect_timeout_s` on top.

        Raises: TransportError
        """
        until_s = time.monotonic() + timeout_s
        while not self._response.has_head:
            if not self._receive(until_s):
                return False
        self.status = self._response.status
        self.headers = self._response.headers
        return True

    def read(self, timeout_s: float) -> bytes | None:
        """Return the next bytes of the body as soon as some are in, at most 64 KiB of them.

        b"" is the end; None means that it was silent for so long, and may be read again. Waits for
        the head first when nobody has.

        Raises: TransportError
        """
        self._check_not_aborted()
        until_s = time.monotonic() + timeout_s
        if not self.status and not self.wait_head(timeout_s):
            return None
        while True:
            try:
                data = self._response.take()
            except ConnectionBrokenError:
                self._give_up()
                raise
            if data is not None:
                return data
            if not self._receive(until_s):
                return None

    def read_all(self, limit_bytes: int, timeout_s: float) -> bytes:
        """Return the whole body, or what is left of it.

        Units: `timeout_s` is the longest silence within it.
        Raises: TransportError; ResponseTooBigError beyond the limit, DeadlineError for the silence
        """
        pieces: list[bytes] = []
        size_bytes = 0
        while True:
            data = self.read(timeout_s)
            if data is None:
                self._give_up()
                raise DeadlineError(f"silent for {timeout_s:g} s within the body")
            if not data:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            size_bytes += len(data)
            if size_bytes > limit_bytes:
                self._give_up()
                raise ResponseTooBigError(f"a body of more than {limit_bytes} bytes")
            pieces.append(data)

    def abort(self) -> None:
        """Break off at once: whoever waits in this exchange gets a TransportAbortedError.

        It may be called at any time and more than once, and does nothing after `close`, which is
        still owed.
        """
        with self._pool.lock:
            if self._connection is not None:
                self._is_aborted = True
                self._connection.shut()

    def close(self) -> None:
        """Return the connection to the pool if the response was read to its end, else close it."""
        with self._pool.lock:  # after this, no abort can reach a connection that is pooled
            connection, self._connection = self._connection, None
        if connection is None:
            return
        response = self._response
        may_pool = response.is_reusable and self._is_sent and not self._is_aborted
        if may_pool and not connection.has_unread_records():
            self._pool.put(connection)
        else:
            connection.close()
        response.release()

    def _send_afresh(self) -> None:
        connection = Connection(self._origin.key)
        with self._pool.lock:
            stale, self._connection = self._connection, connection
        if stale is not None:
            stale.close()
        try:
            self._check_not_aborted()
            self._pool.connect(connection, self._origin, self._deadline_s)
        except TransportError:
            self._check_not_aborted()  # the connection failed because it was cut short
            self._give_up()
            raise
        self._check_not_aborted()
        self._send(connection)

    def _send(self, connection: Connection) -> bool:
        """Write the request; return False when a pooled connection proves stale.

        On a fresh one, a failure is left to the read that follows: the peer may have answered
        before it closed, and what it said (413, 401) explains more than a broken pipe.
        """
        try:
            if sum(map(len, self._body)) <= _JOINED_BYTES:
                connection.send(b"".join((self._head, *self._body)), self._deadline_s)
            else:
                for piece in (self._head, *self._body):
                    connection.send(piece, self._deadline_s)
        except TimeoutError as error:
            self._give_up()
            raise DeadlineError("the request was not taken before the deadline") from error
        except OSError:
            return not connection.is_reused or connection.has_input()
        self._is_sent = True
        return True

    def _receive(self, until_s: float) -> bool:
        """Feed the parser with what comes next; return False when nothing came in time."""
        self._check_not_aborted()
        connection = self._connection
        if connection is None:
            raise ConnectionBrokenError("the exchange is closed")
        left_s = min(self._check_deadline(), until_s - time.monotonic())
        cause: OSError | None = None
        try:
            data = connection.receive(max(left_s, 0.0))
        except OSError as error:
            data, cause = b"", error
        self._check_not_aborted()
        if data:
            self._feed(data)
        elif data is None:
            self._check_deadline()
            return False
        elif connection.is_reused and not self.bytes_received:
            self._send_afresh()
        else:
            self._feed_end(cause)
        return True

    def _feed(self, data: bytes) -> None:
        if self.first_byte_at is None:
            self.first_byte_at = time.monotonic()
            self._head, self._body = b"", ()  # it can't be sent again
        self.bytes_received += len(data)
        self._reads += 1
        if not self._reads % _READS_IN_A_ROW:
            time.sleep(0)  # a socket that always has more would keep every other greenlet waiting
        try:
            self._response.feed(data)
        except ConnectionBrokenError:
            self._give_up()
            raise

    def _feed_end(self, cause: OSError | None) -> None:
        if cause is not None:
            self._give_up()
            raise ConnectionBrokenError("the connection broke") from cause
        try:
            self._response.feed_end()
        except ConnectionBrokenError:
            self._give_up()
            raise

    def _check_deadline(self) -> float:
        """Return how long there is still."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            self._give_up()
            raise DeadlineError("the exchange took too long")
        return left_s

    def _check_not_aborted(self) -> None:
        if self._is_aborted:
            self._give_up()
            raise TransportAbortedError("aborted")

    def _give_up(self) -> None:
        """Close a connection that can't be used again, now and not when somebody thinks of it."""
        self._response.is_reusable = False
        self.close()
