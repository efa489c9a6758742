"""The server of the fake provider: HTTP/1.1 over asyncio, cheap enough to measure a gateway with.

A space is the first part of the path (`/<space>/v1/chat/completions`): tests that run at the same
time use one process, each in its own. `/control/…` scripts a space and tells what it was asked.
"""

import asyncio
import collections
import functools
import itertools
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools
import msgspec
from typing_extensions import override

from tests.upstream.answers import Answer, answer
from tests.upstream.behavior import Asked, Behavior, Script

RECORDS_MOST = 20_000
BACKLOG = 4096
LINGER_NOT = struct.pack("ii", 1, 0)

_numbers = itertools.count(1)


class Space:
    """The script and the records of one base URL."""

    def __init__(self, name: str) -> None:
        self.script = Script(space=name)
        self.records: collections.deque[Asked] = collections.deque(maxlen=RECORDS_MOST)
        self.held: list[Callable[[], None]] = []

    def behavior(self, asked: Asked) -> Behavior:
        script = self.script
        if script.queue:
            return script.queue.pop(0)
        if script.keys and asked.api_key in script.keys:
            return script.keys[asked.api_key]
        return script.models.get(asked.model, script.default) if script.models else script.default


class Connection(asyncio.Protocol):
    """One connection: requests in, answers out, one after the other."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._url = b""
        self._waiting: list[Asked] = []
        self._player: Player | None = None
        self._is_lost = False
        self.number = next(_numbers)
        self.is_paused = False
        self.transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # asyncio leaves it to us: what `create_server` listens on doesn't say that it is TCP.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.connections += 1

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    @override
    def eof_received(self) -> None:
        self._lose()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()
        self.server.connections -= 1

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            if self._player is not None:
                self._player.abort()

    @override
    def pause_writing(self) -> None:
        self.is_paused = True

    @override
    def resume_writing(self) -> None:
        self.is_paused = False
        if self._player is not None:
            self._player.unblock()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path = self._url.decode("latin-1")
        headers, body = self._headers, b"".join(self._body)
        self._url, self._headers, self._body = b"", {}, []
        method = self._parser.get_method().decode()
        if path.startswith("/control/"):
            self._control(method, path, body)
            return
        asked = Asked(
            number=next(_numbers),
            connection=self.number,
            method=method,
            path=path,
            api_path=path[path.find("/v1") + 3 :].partition("?")[0] if "/v1" in path else path,
            headers=headers,
            body=body,
            received_at=time.monotonic(),
            json=_parsed(body),
        )
        if self._player is None:
            self._serve(asked)
        else:
            self._waiting.append(asked)

    def _serve(self, asked: Asked) -> None:
        space = self.server.space(asked.path[1:].partition("/")[0])
        if space.script.is_recorded:
            space.records.append(asked)
        self._player = Player(self, asked, space)
        self._player.start()

    def go_on(self) -> None:
        """Take the next request, now that one is answered."""
        self._player = None
        if self._waiting:
            self._serve(self._waiting.pop(0))

    def reset(self) -> None:
        """Close with RST."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.transport.abort()

    def _control(self, method: str, path: str, body: bytes) -> None:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            told = self.server.control(parts.path, query, body)
            status = "200 OK"
        except (msgspec.MsgspecError, KeyError) as error:
            told, status = {"error": f"{method} {path}: {error!r}"}, "400 Bad Request"
        data = msgspec.json.encode(told)
        self.transport.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data
        )


class Player:
    """Plays one answer onto a connection, by the clock."""

    def __init__(self, connection: Connection, asked: Asked, space: Space) -> None:
        self._connection = connection
        self._asked = asked
        self._space = space
        self._how = space.behavior(asked)
        self._loop = connection.server.loop
        self._timer: asyncio.TimerHandle | None = None
        self._answer: Answer
        self._pieces: Iterator[bytes]
        self._due_at = self._loop.time()
        self._is_over = False
        self._is_released = False
        self._is_blocked = False

    def start(self) -> None:
        how = self._how
        if how.hang_up:
            self._hang_up(is_rst=how.hang_up == "rst")
        elif how.is_silent:
            return
        elif how.raw:
            self._connection.transport.write(how.raw.encode("latin-1"))
            self._hang_up(is_rst=False)
        elif how.delay_s:
            self._wait(how.delay_s, self._begin)
        else:
            self._begin()

    def abort(self) -> None:
        """Note when the client went away before it had everything."""
        if not self._is_over:
            self._is_over = True
            self._asked.aborted_at = time.monotonic()
            if self._timer is not None:
                self._timer.cancel()

    def unblock(self) -> None:
        """Go on writing, if the peer's reading is what it waited for."""
        if self._is_blocked:
            self._is_blocked = False
            self.step()

    def step(self) -> None:
        """Write what is due."""
        how, transport = self._how, self._connection.transport
        while not self._is_over and not self._connection.is_paused:
            sent = self._asked.pieces_sent
            if how.cut_after == sent or how.rst_after == sent:
                self._hang_up(is_rst=how.rst_after == sent)
                return
            if how.silent_after == sent or self._is_held(sent, self.step):
                return
            piece = None if how.end_after == sent else next(self._pieces, None)
            if piece is None:
                self._finish()
                return
            is_chunked = self._answer.is_chunked
            transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            self._asked.pieces_sent = sent + 1
            if how.gap_s:
                self._wait(how.gap_s, self.step)
                return
        self._is_blocked = self._connection.is_paused

    def _begin(self) -> None:
        if self._is_held(-1, self._begin):
            return
        how, transport = self._how, self._connection.transport
        self._answer = answer(self._asked, how, self._space.script.model_list)
        self._pieces = self._answer.pieces
        if self._is_simple():
            transport.write(self._answer.head + b"".join(self._pieces))
            self._asked.pieces_sent = 1
            self._finish()
            return
        transport.write(self._answer.head)
        if how.first_gap_s:
            self._wait(how.first_gap_s, self.step)
        else:
            self.step()

    def _is_simple(self) -> bool:
        how = self._how
        faults = (how.cut_after, how.rst_after, how.silent_after, how.end_after, how.hold_before)
        is_timed = bool(how.gap_s or how.first_gap_s)
        return faults == (None,) * 5 and not (self._answer.is_chunked or is_timed)

    def _is_held(self, number: int, go_on: Callable[[], None]) -> bool:
        if self._how.hold_before != number or self._is_released:
            return False
        self._is_released = True
        self._space.held.append(functools.partial(self._let_go, go_on))
        return True

    def _let_go(self, go_on: Callable[[], None]) -> None:
        self._due_at = self._loop.time()
        if not self._is_over:
            go_on()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._due_at = max(self._due_at + seconds, self._loop.time() - 1.0)
        self._timer = self._loop.call_at(self._due_at, then)

    def _finish(self) -> None:
        self._is_over = True
        self._asked.finished_at = time.monotonic()
        if self._answer.is_chunked:
            self._connection.transport.write(b"0\r\n\r\n")
        if self._answer.is_closed or self._asked.headers.get("connection") == "close":
            self._connection.transport.close()
        else:
            self._connection.go_on()

    def _hang_up(self, *, is_rst: bool) -> None:
        self._is_over = True
        self._asked.finished_at = time.monotonic()
        if is_rst:
            self._connection.reset()
        else:
            self._connection.transport.close()


class Door(asyncio.Protocol):
    """A port that doesn't speak HTTP: it closes, resets or says nothing at accept."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._kind == "rst":
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            transport.abort()
        elif self._kind == "close":
            transport.close()


class Server:
    """All spaces of the process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.connections = 0
        self._spaces: dict[str, Space] = {}
        self._doors: list[asyncio.Task[asyncio.Server]] = []

    def space(self, name: str) -> Space:
        found = self._spaces.get(name)
        if found is None:
            found = self._spaces[name] = Space(name)
        return found

    def control(self, path: str, query: dict[str, str], body: bytes) -> Any:
        """Answer `/control/…`.

        Raises: KeyError, msgspec.MsgspecError
        """
        if path == "/control/script":
            script = msgspec.json.decode(body, type=Script)
            self.space(script.space).script = script
            return {}
        if path == "/control/requests":
            return [asked.told() for asked in self.space(query["space"]).records]
        if path == "/control/release":
            space = self.space(query["space"])
            held, space.held = space.held, []
            for go_on in held:
                go_on()
            return {"released": len(held)}
        if path == "/control/forget":
            self._spaces.pop(query["space"], None)
            return {}
        if path == "/control/door":
            return {"port": self._open_door(query["kind"])}
        if path == "/control/state":
            return {"connections": self.connections}
        raise KeyError(path)

    def _open_door(self, kind: str) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        serving = self.loop.create_server(lambda: Door(kind), sock=listener)
        self._doors.append(self.loop.create_task(serving))
        return int(listener.getsockname()[1])


def _parsed(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body[:1] == b"{" else None
    except msgspec.DecodeError:
        return None


async def serve(port: int, told: Callable[[int], None]) -> None:
    """Serve until cancelled; `told` gets the port once it listens."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = asyncio.get_running_loop()
    server = Server(loop)
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    listening = await loop.create_server(lambda: Connection(server), sock=listener, backlog=BACKLOG)
    told(int(listener.getsockname()[1]))
    async with listening:
        await listening.serve_forever()
