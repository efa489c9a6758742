"""The worker class of gunicorn: gevent's, with a shutdown that lets streams end and idle lines go.

gunicorn counts a kept-alive connection that waits for its next request as busy, and would wait for
it until the grace is over; here such connections are closed as soon as the server drains.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gunicorn.http import wsgi
from gunicorn.workers.ggevent import GeventWorker

wsgi.SERVER = "turnpike"


class OneWriteResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, with the head and a whole body in one write instead of two."""

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


wsgi.Response = OneWriteResponse

GRACE_S = 5
"""What gunicorn's own grace has over ours, for cut streams to say so and be settled."""

HEAD_S = 12.0
"""How long a connection may take over its next request's head: slow ones are cut."""


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

    def init_signals(self) -> None:
        """Leave Ctrl-C to the master, which drains."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain: no new calls, running ones end or are cut, idle connections close."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._drain)

    def _drain(self) -> None:
        from wsgi import runtime  # noqa: PLC0415 - the app is loaded after this class

        gevent.spawn(runtime.drain, self.cfg.graceful_timeout - GRACE_S)
        while True:
            for greenlet, timer in list(self._waiting.items()):
                gevent.kill(greenlet, exception=timer)
            gevent.sleep(0.1)
