"""One HTTP/1.1 response: raw bytes to status, headers and decoded body, every part bounded."""

import zlib
from typing import Final, NoReturn

import httptools

from providers.transport_errors import ConnectionBrokenError

READ_BYTES: Final = 64 * 1024
"""The most that one read takes from a socket or gives to a caller."""

_HEAD_LIMIT_BYTES: Final = 64 * 1024
_HEADER_LIMIT: Final = 200
_CODINGS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What we can undo, with zlib's name for it (`wbits`)."""


class ResponseParser:
    """Takes what came over the socket and gives the body back piece by piece.

    Take everything there is before feeding more: what is held is bounded by one feed. Interim
    responses (100, 103) are skipped. Bytes after the end are dropped, and cost the connection.
    `headers` are those of the body as it is given: coding and length are gone if it was compressed.

    Raises: ConnectionBrokenError
    """

    __slots__ = (
        "_barren_bytes",
        "_head_bytes",
        "_header_count",
        "_inflater",
        "_is_interim",
        "_parser",
        "_pieces",
        "_refusal",
        "_runs_until_close",
        "has_head",
        "headers",
        "is_complete",
        "is_reusable",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = False
        self.is_complete = False
        self.is_reusable = False
        self._is_interim = False
        self._runs_until_close = False
        self._pieces: list[bytes] = []
        self._inflater: _Inflater | None = None
        self._barren_bytes = 0
        self._head_bytes = 0
        self._header_count = 0
        self._refusal = ""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        parser = self._parser
        if parser is None:
            self.is_reusable = False
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_reusable = False
            if not self.is_complete:
                self.release()
                raise ConnectionBrokenError(self._refusal or "not HTTP/1.1") from error
        if self.is_complete:
            self.release()
        elif self._pieces:
            self._barren_bytes = 0
        else:
            self._barren_bytes += len(data)
            if self._barren_bytes > _HEAD_LIMIT_BYTES:
                raise ConnectionBrokenError("endless framing without a body")

    def feed_end(self) -> None:
        """The peer closed the connection: fine for a body that runs until then."""
        self.is_reusable = False
        if self.is_complete:
            return
        self.release()
        if not self._runs_until_close:
            raise ConnectionBrokenError("closed before the end of the response")
        self.is_complete = True

    def take(self) -> bytes | None:
        """Return what there is of the body, b"" at its end, None when more has to come first."""
        if self._inflater is not None:
            return self._take_inflated(self._inflater)
        pieces = self._pieces
        if not pieces:
            return b"" if self.is_complete else None
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def release(self) -> None:
        """Break the cycle with the C parser, so that no garbage waits for the collector."""
        self._parser = None

    def _take_inflated(self, inflater: "_Inflater") -> bytes | None:
        if self._pieces:
            inflater.add(b"".join(self._pieces))
            self._pieces.clear()
        data = inflater.next_piece()
        if data or not self.is_complete:
            return data or None
        if not inflater.is_at_end:
            raise ConnectionBrokenError("a compressed body ended early")
        return b""

    # What follows is called by httptools.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the head, and the trailer, which is dropped."""
        self._header_count += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._header_count > _HEADER_LIMIT or self._head_bytes > _HEAD_LIMIT_BYTES:
            self._refuse("the head is too large")
        if self.has_head:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip(" \t")
        headers = self.headers
        if key in headers:
            text = f"{headers[key]}, {text}"
        elif key == "set-cookie":
            return
        headers[key] = text

    def on_headers_complete(self) -> None:
        """Decide what kind of body follows, if any."""
        parser = self._parser
        if self.has_head or parser is None:  # a second response behind a complete one
            self._refuse("more than one response")
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()
            self._is_interim = True
            return
        if not 200 <= status <= 599:
            self._refuse("an unusable status")
        if parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse("not HTTP/1.1")
        headers = self.headers
        transfer = headers.get("transfer-encoding")
        if transfer is not None and transfer.lower() != "chunked":
            self._refuse("an unknown transfer coding")
        self._runs_until_close = transfer is None and "content-length" not in headers
        coding = headers.get("content-encoding", "").lower()
        if coding and coding != "identity":
            if coding not in _CODINGS:
                self._refuse("an unknown content coding")
            self._inflater = _Inflater(_CODINGS[coding])
            headers.pop("content-length", None)
            del headers["content-encoding"]
        self.status = status
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        """Keep it until it is taken."""
        if not self.is_complete:
            self._pieces.append(body)

    def on_message_begin(self) -> None:
        """Whatever begins after the end is nobody's response."""
        if self.is_complete:
            self._refuse("more than one response")

    def on_message_complete(self) -> None:
        """The next response may follow on this connection, if both sides mean to go on."""
        if self._is_interim:
            self._is_interim = False
        elif self._parser is not None:
            self.is_complete = True
            self.is_reusable = self._parser.should_keep_alive()

    def _refuse(self, reason: str) -> NoReturn:
        self._refusal = reason
        raise ConnectionBrokenError(reason)


class _Inflater:
    """gzip or deflate undone in steps, so that a small body can't become a large one in memory.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1, read 2026-11-21: "deflate" is the
    zlib format, but some senders leave its wrapper out.
    """

    __slots__ = ("_input", "_is_stepping", "_wbits", "_zlib")

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._zlib: zlib._Decompress | None = None
        self._input = b""
        self._is_stepping = False

    @property
    def is_at_end(self) -> bool:
        """True for a body that is whole, or empty."""
        return not self._input and (self._zlib is None or self._zlib.eof)

    def add(self, data: bytes) -> None:
        """Hold the next bytes of the coded body."""
        self._input += data

    def next_piece(self) -> bytes:
        """Return up to READ_BYTES; b"" when more must be added first."""
        while self._input or self._is_stepping:
            piece = self._step()
            if piece:
                return piece
        return b""

    def _step(self) -> bytes:
        decoder = self._zlib
        if decoder is None or decoder.eof:
            decoder = self._begin(is_first=decoder is None)
        try:
            piece = decoder.decompress(self._input, READ_BYTES)
        except zlib.error as error:
            raise ConnectionBrokenError("a compressed body is damaged") from error
        self._input = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        self._is_stepping = len(piece) == READ_BYTES and not decoder.eof
        return piece

    def _begin(self, *, is_first: bool) -> "zlib._Decompress":
        is_gzip = self._wbits == _CODINGS["gzip"]
        if not is_first and not is_gzip:
            raise ConnectionBrokenError("a compressed body goes on after its end")
        is_raw = not is_gzip and self._input[0] & 0x0F != zlib.DEFLATED
        self._zlib = zlib.decompressobj(-15 if is_raw else self._wbits)
        return self._zlib
