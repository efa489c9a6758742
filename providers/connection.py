"""One connection to a provider, over plain or TLS sockets, patched by gevent or not.

Every wait is `settimeout` and one call on the socket, which means the same in both worlds.
"""

import contextlib
import ssl
import time
from collections.abc import Sequence
from socket import IPPROTO_TCP, MSG_PEEK, SHUT_RDWR, SOCK_STREAM, TCP_NODELAY, socket

from providers.addresses import Address
from providers.origin import OriginKey
from providers.response_parser import READ_BYTES
from providers.transport_errors import ConnectFailedError

# On a TLS socket these go past TLS to the socket beneath.
_receive_beneath = socket.recv
_shut_down_beneath = socket.shutdown


class Connection:
    """A socket with its origin; `is_reused` once it comes from the pool."""

    __slots__ = ("_is_shut", "_is_tls", "_socket", "idle_since", "is_reused", "key")

    def __init__(self, key: OriginKey) -> None:
        self.key = key
        self.is_reused = False
        self.idle_since = 0.0
        self._socket: socket | None = None
        self._is_tls = key.scheme == "https"
        self._is_shut = False

    def connect(
        self, addresses: Sequence[Address], context: ssl.SSLContext, until_s: float
    ) -> None:
        """Connect to the first address that answers; each gets its share of the time.

        Raises: ConnectFailedError
        """
        try:
            sock = self._connect_to_any(addresses, until_s)
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            if self._is_tls:
                self._start_tls(sock, context, until_s)
        except ssl.SSLCertVerificationError as error:
            raise self._failure(f"certificate refused: {error.verify_message}") from error
        except TimeoutError as error:
            raise self._failure("no connection in time") from error
        except OSError as error:
            raise self._failure(error.strerror or "no connection") from error

    def send(self, data: bytes | bytearray, deadline_s: float) -> None:
        """Write all of it.

        Raises: OSError, of which TimeoutError when the deadline comes first
        """
        sock = self._open_socket()
        view: bytes | bytearray | memoryview = data
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            sock.settimeout(left_s)
            sent = sock.send(view)
            if sent == len(view):
                return
            view = memoryview(view)[sent:]

    def receive(self, timeout_s: float) -> bytes | None:
        """Return what is there, b"" at the end, None when nothing came in time.

        Raises: OSError
        """
        sock = self._open_socket()
        if self._is_tls:
            return _receive_tls(sock, timeout_s)
        sock.settimeout(timeout_s)
        try:
            return sock.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):
            return None

    def is_silent(self) -> bool:
        """Tell whether an idle connection is still open, with nothing waiting to be read."""
        return self._peek() is None

    def has_input(self) -> bool:
        """Tell whether the peer has said something that isn't read yet."""
        return bool(self._peek())

    def has_unread_records(self) -> bool:
        """Tell whether TLS holds bytes that it has already decrypted."""
        sock = self._socket
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def shut(self) -> None:
        """Wake whoever waits on this connection; the socket stays theirs to close."""
        self._is_shut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                _shut_down_beneath(self._socket, SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, without a farewell to the peer."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _open_socket(self) -> socket:
        if self._socket is None:
            raise OSError("closed")
        return self._socket

    def _failure(self, reason: str) -> ConnectFailedError:
        self.close()
        return ConnectFailedError(f"{self.key.host}:{self.key.port}: {reason}")

    def _connect_to_any(self, addresses: Sequence[Address], until_s: float) -> socket:
        failure: OSError = TimeoutError()
        for index, address in enumerate(addresses):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or self._is_shut:
                break
            sock = self._socket = socket(address.family, SOCK_STREAM)
            try:
                sock.settimeout(left_s / (len(addresses) - index))
                sock.connect(address.sockaddr)
                return sock
            except OSError as error:
                failure = error
                self.close()
        raise failure

    def _start_tls(self, sock: socket, context: ssl.SSLContext, until_s: float) -> None:
        """Shake hands in steps: a time-out on the socket would start anew with each byte."""
        wrapped = context.wrap_socket(
            sock, do_handshake_on_connect=False, server_hostname=self.key.host.rstrip(".")
        )
        self._socket = wrapped
        while True:
            wrapped.settimeout(0.0)
            try:
                wrapped.do_handshake()
                return
            except ssl.SSLWantReadError:
                if not _wait_for_input(wrapped, until_s):
                    raise TimeoutError from None
            except ssl.SSLWantWriteError:
                time.sleep(0.01)
            if time.monotonic() >= until_s or self._is_shut:
                raise TimeoutError

    def _peek(self) -> bytes | None:
        """Return the next byte and leave it there; b"" at the end, None when there is none yet."""
        sock = self._socket
        if sock is None:
            return b""
        try:
            sock.settimeout(0.0)
            return _receive_beneath(sock, 1, MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""


def _receive_tls(sock: socket, timeout_s: float) -> bytes | None:
    """Read without waiting, wait beneath TLS: a record that drips in must not extend the time."""
    until_s = time.monotonic() + timeout_s
    while True:
        sock.settimeout(0.0)
        try:
            return sock.recv(READ_BYTES)
        except ssl.SSLWantReadError:
            if not _wait_for_input(sock, until_s):
                return None


def _wait_for_input(sock: socket, until_s: float) -> bool:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        return False
    sock.settimeout(left_s)
    try:
        _receive_beneath(sock, 1, MSG_PEEK)
    except TimeoutError:
        return False
    return True
