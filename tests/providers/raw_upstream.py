"""A provider made of bytes: each connection to it follows a script, on a thread of its own."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from providers.transport import Exchange, Origin, Transport

HEAD = b"HTTP/1.1 200 OK\r\n"


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.requests: list[bytes] = []
        self._rest = b""

    def request(self) -> bytes:
        """Read one whole request; OSError when the other side has closed."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, _ = self._rest.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        size = len(head) + 4 + length
        while len(self._rest) < size:
            self._more()
        request, self._rest = self._rest[:size], self._rest[size:]
        self.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, pause_s: float = 0.0) -> None:
        for offset in range(len(data)):
            self.sock.sendall(data[offset : offset + 1])
            time.sleep(pause_s)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def wait_for_close(self) -> None:
        while self.sock.recv(65536):
            pass

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError
        self._rest += data


Script = Callable[[Peer], object]


class RawUpstream:
    """Accepts within its `with`; the nth connection follows the nth script, or the last."""

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self._scripts = scripts
        self._context = context
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    def origin(self, **named: Any) -> Origin:
        scheme = "https" if self._context else "http"
        host = named.pop("host", "localhost" if self._context else "127.0.0.1")
        return Origin(f"{scheme}://{host}:{self.port}/v1", **{"allow_private": True, **named})

    def __enter__(self) -> "RawUpstream":
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for peer in self.peers:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _begin(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                peer = Peer(sock)
                self.peers.append(peer)
                script = self._scripts[min(len(self.peers), len(self._scripts)) - 1]
                self._begin(self._serve, peer, script)

    def _serve(self, peer: Peer, script: Script) -> None:
        try:
            with contextlib.suppress(OSError):
                if self._context:
                    peer.sock = self._context.wrap_socket(peer.sock, server_side=True)
                script(peer)
        finally:
            peer.sock.close()


def answer(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """A whole response with its length."""
    head = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, headers, len(body))
    return head + body


def chunked(*chunks: bytes, headers: bytes = b"") -> bytes:
    """A whole response in chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + headers + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def once(data: bytes) -> Script:
    """Answer one request with these bytes, then wait for the other side to close."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.wait_for_close()

    return script


def once_and_close(data: bytes) -> Script:
    """Answer one request with these bytes and close."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return script


def always(data: bytes) -> Script:
    """Answer every request with these bytes."""

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(data)

    return script


def echo_path(peer: Peer) -> None:
    """Answer every request with its own path."""
    while True:
        peer.send(answer(peer.request().split(b" ", 2)[1]))


@contextlib.contextmanager
def exchange(
    transport: Transport,
    origin: Origin,
    path: str = "/chat/completions",
    body: bytes = b"{}",
    within_s: float = 5.0,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Iterator[Exchange]:
    """Open an exchange and close it, as every caller must."""
    opened = transport.open(origin, method, path, headers or {}, body, time.monotonic() + within_s)
    try:
        yield opened
    finally:
        opened.close()


def fetch(transport: Transport, origin: Origin, path: str = "/x", **named: Any) -> bytes:
    """One call, read to its end."""
    with exchange(transport, origin, path, **named) as opened:
        assert opened.wait_head(2)
        return opened.read_all(1 << 20, 2)
