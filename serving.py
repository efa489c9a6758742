"""The worker class of gunicorn: gevent's, with a shutdown that lets streams end and idle lines go.

gunicorn counts a kept-alive connection that waits for its next request as busy, and would wait for
it until the grace is over; here such connections are closed as soon as the server drains.
"""

import contextlib
import json
import logging
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent import socket
from gunicorn import glogging
from gunicorn.http import wsgi
from gunicorn.workers.ggevent import GeventWorker
from typing_extensions import override

wsgi.SERVER = "turnpike"


class OneWriteResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, with the head and a whole body in one write instead of two."""

    headers_sent: bool
    is_draining = False
    """Whether the worker is: then an answer that begins is the last one on its connection."""

    def write(self, arg: bytes) -> None:
        """Write a piece of the body, and the head before the first one."""
        is_whole = not self.headers_sent and len(arg) == self.response_length
        if not is_whole or self._omits_body:
            super().write(arg)
            return
        head = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
        self.headers_sent = True
        self.sent += len(arg)
        self.sock.sendall("".join(head).encode("latin-1") + b"\r\n" + arg)

    def should_close(self) -> bool:
        """Close rather than read on what the app has left of a body, or while the worker drains."""
        if self.is_draining and not self.headers_sent:
            self.force_close()
        return bool(super().should_close()) or has_rest(self.req.body)


wsgi.Response = OneWriteResponse

GRACE_S = 5
"""What gunicorn's own grace has over ours, for cut streams to say so and be settled."""

HEAD_S = 12.0
"""How long a connection may take over its next request's head: slow ones are cut."""


REST_BYTES = 64 * 1024
"""So much of an unwanted body is read for the connection's sake; with more it is closed."""

LINGER_S = 2.0
LINGER_BYTES = 64 * 1024 * 1024
"""How long, and how much, a client that is still sending is listened to after its answer: without
that the answer could be lost in the reset of the connection."""


def has_rest(body: Any) -> bool:
    """Whether too much of a request's body is left, or where it ends can't be known."""
    reader = body.reader
    if body.failed:
        return True
    if hasattr(reader, "length"):
        return bool(reader.length > REST_BYTES)
    return getattr(reader, "parser", None) is not None


def linger(sock: Any) -> None:
    """Say that we are done, and read what the client still sends, for a moment."""
    left = LINGER_BYTES
    with contextlib.suppress(OSError), gevent.Timeout(LINGER_S, exception=False):
        sock.shutdown(socket.SHUT_WR)
        while left > 0 and (data := sock.recv(REST_BYTES)):
            left -= len(data)


KEY = re.compile(r"\b(tp_live_|tp_mgmt_|sk-)[\w-]{8,}")


class JsonLine(logging.Formatter):
    """A record as one line of JSON, its traceback within, less what looks like a key."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return KEY.sub(r"\1…", json.dumps(line, ensure_ascii=False))


class Log(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log, and everybody's who logs the standard way: a line of JSON each."""

    def setup(self, cfg: Any) -> None:
        """Give every handler our format, and the root one of them."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLine())
        logging.basicConfig(handlers=self.error_log.handlers, level=logging.WARNING, force=True)


class Worker(GeventWorker):  # type: ignore[misc]
    """gevent's worker, with an orderly end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Any, gevent.Timeout] = {}

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Bound the wait for a request, and remember who waits."""
        with gevent.Timeout(HEAD_S, exception=False) as timer:
            me = gevent.getcurrent()
            self._waiting[me] = timer
            try:
                yield
            finally:
                del self._waiting[me]

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request; a client that is still sending what nobody reads is let go gently."""
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            if has_rest(req.body):
                linger(sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what can't be parsed as everything else is answered."""
        import refusals  # noqa: PLC0415 - the app is loaded after this class

        error = refusals.refusal_of(exc)
        address = addr[0] if addr else ""
        if error.status < 500:
            self.log.warning("refused %s: %s", address, type(exc).__name__)
        else:
            self.log.error("a request failed", exc_info=exc)
        with contextlib.suppress(OSError):
            client.sendall(refusals.response(error, getattr(req, "uri", None) or "", address))
            linger(client)

    def init_signals(self) -> None:
        """Leave Ctrl-C to the master, which drains."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain: no new calls, running ones end or are cut, idle connections close."""
        super().handle_exit(sig, frame)
        OneWriteResponse.is_draining = True
        gevent.spawn(self._drain)

    def _drain(self) -> None:
        from wsgi import runtime  # noqa: PLC0415 - the app is loaded after this class

        gevent.spawn(runtime.drain, self.cfg.graceful_timeout - GRACE_S)
        while True:
            for greenlet, timer in list(self._waiting.items()):
                gevent.get_hub().loop.run_callback(self._let_go, greenlet, timer)
            gevent.sleep(0.1)

    def _let_go(self, greenlet: Any, timer: gevent.Timeout) -> None:
        """End a wait, unless the request that it was for has come in the meantime."""
        if self._waiting.get(greenlet) is timer:
            greenlet.throw(timer)
