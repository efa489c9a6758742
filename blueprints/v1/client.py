"""The client's connection while its call is under way: noticing that it has been closed."""

from collections.abc import Callable
from typing import Any

import gevent
from flask import request
from gevent import socket

SLOWEST_READER_S = 60.0


class ClientLine:
    """Watches the client's socket for its end, without reading what belongs to the next request.

    A client that half-closes is gone. Where the server gives no socket (tests), nobody is watched.
    """

    def __init__(self) -> None:
        self._socket: Any = request.environ.get("gunicorn.socket")
        self._watcher: Any = None
        self._on_gone: Callable[[], None] | None = None

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back, once and in a greenlet of its own, when the client has closed."""
        if self._socket is None:
            return
        self._socket.settimeout(SLOWEST_READER_S)
        self._on_gone = on_gone
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), 1)
        self._watcher.start(self._look)

    def unwatch(self) -> None:
        """Stop watching; more than once is fine."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def _look(self) -> None:
        try:
            is_gone = not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            is_gone = True
        self.unwatch()
        if is_gone and self._on_gone is not None:
            gevent.spawn(self._on_gone)
