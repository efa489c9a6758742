"""The load: requests over asyncio, as cheap as Python makes them, timed to the microsecond.

Every clock here is the monotonic one, which all processes of a machine share: the provider writes
it into the chunks that are to be timed.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
from typing_extensions import override

from bench.targets import Target

PROMPT = (
    "Say something of some length about the weather in spring, please, and be brief about it. "
    "Also say why."
)
_STAMP = re.compile(rb'"content":"([0-9]+\.[0-9]+) "')


@dataclass(slots=True)
class Load:
    """What came of it; times in seconds."""

    latencies: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    done: int = 0
    bad: int = 0
    why: str = ""
    chunks: int = 0
    seconds: float = 0.0


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them doesn't exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


async def plain(target: Target, model: str, connections: int, seconds: float) -> Load:
    """Ask over and over on each connection, the next once the last is answered."""
    run = _Run(_request(target, model, is_streamed=False), until_s=time.monotonic() + seconds)
    return await run.over(target, [0.0] * connections, limit_s=seconds + 30)


async def streams(
    target: Target, model: str, connections: int, each: int, *, within_s: float = 0.0
) -> Load:
    """Open so many streams on each connection, one after the other; all begin within that time."""
    run = _Run(_request(target, model, is_streamed=True), each=each)
    starts = [within_s * number / connections for number in range(connections)]
    return await run.over(target, starts, limit_s=within_s + 90)


def _request(target: Target, model: str, *, is_streamed: bool) -> bytes:
    body: dict[str, object] = {
        "model": f"{target.prefix}{model}",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 4096 if model.startswith("burst") else 256,
    }
    if is_streamed:
        body["stream"] = True
    data = json.dumps(body).encode()
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
        f"Authorization: Bearer {target.key}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nUser-Agent: bench\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


class _Run:
    """What the connections of one load share."""

    def __init__(self, request: bytes, *, each: int = 0, until_s: float = 0.0) -> None:
        self.request = request
        self.each = each
        self.until_s = until_s
        self.load = Load()
        self._open = 0
        self._is_over = asyncio.Event()

    async def over(self, target: Target, starts: list[float], limit_s: float) -> Load:
        """Run it to its end, or to its limit: what isn't done by then is bad."""
        begun = time.monotonic()
        self._open = len(starts)
        opening = [asyncio.create_task(self._connect(target, start)) for start in starts]
        made: list[_Connection] = []
        try:
            async with asyncio.timeout(limit_s):
                made = [each for each in await asyncio.gather(*opening) if each is not None]
                await self._is_over.wait()
        except TimeoutError:
            self.load.bad += self._open
            self.load.why = self.load.why or f"{self._open} weren't done in {limit_s:g} s"
        finally:
            for task in opening:
                task.cancel()
            for connection in made:
                connection.drop()
        self.load.seconds = time.monotonic() - begun
        if self.load.why:
            sys.stderr.write(f"bench: {target.name}: {self.load.bad} bad; {self.load.why}\n")
        return self.load

    async def _connect(self, target: Target, start_s: float) -> "_Connection | None":
        if start_s:
            await asyncio.sleep(start_s)
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", target.port
            )
        except OSError as error:
            self.end(f"no connection: {error}")
            return None
        return made

    def has_more(self, done: int) -> bool:
        """Whether a connection that has done so much goes on."""
        return done < self.each if self.each else time.monotonic() < self.until_s

    def end(self, fault: str = "") -> None:
        """One connection less."""
        if fault:
            self.load.bad += 1
            self.load.why = self.load.why or fault
        self._open -= 1
        if not self._open:
            self._is_over.set()


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._begun_at = 0.0
        self._first_at = 0.0
        self._tail = b""
        self._done = 0
        self._is_ended = False

    def drop(self) -> None:
        self._is_ended = True
        self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"not HTTP: {error}")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the connection ended: {exc or 'closed'}")

    def on_body(self, body: bytes) -> None:
        load = self._run.load
        now = time.monotonic()
        if not self._first_at:
            self._first_at = now
        data = self._tail + body
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            self._tail = data
            return
        self._tail = data[end:]
        load.chunks += data.count(b"data: ", 0, end)
        load.late += [now - float(stamp) for stamp in _STAMP.findall(data, 0, end)]
        if data.endswith(b"[DONE]\n\n"):
            self._tail = b"[DONE]"

    def on_message_complete(self) -> None:
        load = self._run.load
        now = time.monotonic()
        is_whole = not self._run.each or self._tail == b"[DONE]"
        if self._parser.get_status_code() == 200 and is_whole:
            load.done += 1
            load.latencies.append(now - self._begun_at)
            load.firsts.append(self._first_at - self._begun_at)
        else:
            load.bad += 1
            told = self._tail[:300].decode("utf-8", "replace")
            load.why = load.why or f"status {self._parser.get_status_code()}: {told}"
        self._done += 1
        if self._run.has_more(self._done):
            self._ask()
        else:
            self._end()

    def _ask(self) -> None:
        self._tail, self._first_at = b"", 0.0
        self._begun_at = time.monotonic()
        self._transport.write(self._run.request)

    def _end(self, fault: str = "") -> None:
        if not self._is_ended:
            self._is_ended = True
            self._transport.close()
            self._run.end(fault)
