"""Event streams (text/event-stream): one reader and one writer for every provider and every route.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (9.2.6), read 2026-11-21.
"""

from typing import NamedTuple

DONE = b"data: [DONE]\n\n"
"""How the OpenAI dialects say that a stream is whole."""

LIMIT_BYTES = 8 * 1024 * 1024
"""The largest event that a splitter waits for, unless told otherwise."""

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: the value of its `event:` line, or "", and its data lines joined by line feeds."""

    name: str
    data: bytes


class EventTooBigError(ValueError):
    """One event of a stream outgrew the bound of its splitter."""


class EventSplitter:
    """Cut a byte stream into events, wherever the reads happen to fall.

    `id:` and `retry:` are ignored. `comments` counts the comment lines of the blocks that are
    complete. An event without data is none, as the standard has it.
    """

    __slots__ = ("_has_begun", "_is_after_cr", "_limit_bytes", "_pending", "comments")

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.comments = 0
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._has_begun = False
        self._is_after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes and return the events that they complete.

        Raises: EventTooBigError; the splitter is of no use after that.
        """
        if (
            not self._pending
            and self._has_begun
            and data[:6] == b"data: "
            and data.find(b"\n") == len(data) - 2
            and data[-1:] == b"\n"
            and b"\r" not in data
            and len(data) <= self._limit_bytes
        ):
            self._is_after_cr = False
            return [Event("", data[6:-2])]
        if not self._has_begun:
            data = self._begin(data)
        if self._is_after_cr or b"\r" in data:
            data = self._with_plain_line_ends(data)
        return self._split(data)

    def finish(self) -> list[Event]:
        """Return the event that the end of the stream left without its blank line.

        Many vendors end like that. What doesn't end with a line end was cut, and is dropped.
        """
        rest = bytes(self._pending)
        self._pending.clear()
        event = self._event(rest) if rest.endswith(b"\n") else None
        return [event] if event else []

    def _begin(self, data: bytes) -> bytes:
        """Take a byte order mark off the start; wait while what is here may still become one."""
        data = bytes(self._pending) + data
        self._pending.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pending += data
            return b""
        self._has_begun = True
        return data.removeprefix(_BOM)

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        """A CR ends its line at once; an LF right after it, even in the next read, is of it."""
        if self._is_after_cr and data:
            data = data.removeprefix(b"\n")
            self._is_after_cr = False
        if data.endswith(b"\r"):
            self._is_after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _split(self, data: bytes) -> list[Event]:
        pending = self._pending
        if pending:
            searched = max(len(pending) - 1, 0)
            pending += data
            if pending.find(b"\n\n", searched) < 0:
                self._check(len(pending))
                return []
            data = bytes(pending)
            pending.clear()
        *blocks, rest = data.split(b"\n\n")
        pending += rest
        self._check(len(rest))
        events = []
        for block in blocks:
            self._check(len(block))
            event = self._event(block)
            if event is not None:
                events.append(event)
        return events

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise EventTooBigError(f"an event is larger than {self._limit_bytes} bytes")

    def _event(self, block: bytes) -> Event | None:
        if block[:6] == b"data: " and b"\n" not in block:
            return Event("", block[6:])
        name = ""
        lines = []
        for line in block.split(b"\n"):
            if line[:1] == b":":
                self.comments += 1
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                lines.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ").decode("utf-8", "replace")
        return Event(name, b"\n".join(lines)) if lines else None


def event(data: bytes, name: str = "") -> bytes:
    """Write one event; data of several lines gets a `data:` for each.

    Raises: ValueError for a name that would break out of its line.
    """
    if "\n" in name or "\r" in name:
        raise ValueError("the name of an event is one line")
    head = b"event: %b\n" % name.encode() if name else b""
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    return b"%bdata: %b\n\n" % (head, data)


def comment(text: str) -> bytes:
    """Write a comment, which keeps a silent stream alive and that no client shows.

    Raises: ValueError for text of several lines.
    """
    if "\n" in text or "\r" in text:
        raise ValueError("a comment is one line")
    return b": %b\n\n" % text.encode()
