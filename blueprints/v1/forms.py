"""Reading a form with files as it comes: each file goes straight to where it is sent from."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import gevent
from flask import request
from gevent import monkey
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from errors import InvalidRequestError, MediaTypeError, TooLargeError
from wire.form import FORM_LIMIT_BYTES, MOST_PARTS, TEXTS_LIMIT_BYTES, Form

CHUNK_BYTES = 64 * 1024
HEAD_LIMIT_BYTES = 16 * 1024
LONGEST_BOUNDARY = 200
PATIENCE_S = 120.0


def read_form(limits: Mapping[str, int]) -> Form:
    """Return the form of a request; `limits` says how large the files of each field may be.

    Raises: TooLargeError before reading on, MediaTypeError for what is no form or compressed,
    InvalidRequestError for one that can't be told apart or doesn't arrive within two minutes.
    """
    boundary = _boundary()
    if (request.content_length or 0) > FORM_LIMIT_BYTES:
        raise _too_large()
    request.max_content_length = FORM_LIMIT_BYTES + 1
    reading = _Reading(Form(), MultipartDecoder(boundary), limits)
    with _in_time():
        try:
            for data in _chunks():
                reading.feed(data)
            reading.feed(None)
        except (ClientDisconnected, ParseException, OSError) as error:
            raise InvalidRequestError(
                "The form broke off before its end, or its chunks can't be told apart. "
                "Send it again."
            ) from error
    return reading.form


class _Reading:
    """A form that is coming in."""

    def __init__(self, form: Form, decoder: MultipartDecoder, limits: Mapping[str, int]) -> None:
        self.form = form
        self._decoder = decoder
        self._limits = limits
        self._limit_bytes = 0
        self._part: Field | File | None = None
        self._text = bytearray()
        self._parts = 0

    def feed(self, data: bytes | None) -> None:
        """Take the next bytes; None is their end.

        Raises: InvalidRequestError, TooLargeError.
        """
        try:
            self._decoder.receive_data(data)
            while True:
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    break
                if isinstance(event, Epilogue):
                    self.form.close()
                    return
                self._take(event)
        except RequestEntityTooLarge as error:
            raise _too_large() from error
        except ValueError as error:
            raise InvalidRequestError(
                "The form can't be read. Send it as multipart/form-data, each part with a name."
            ) from error
        if len(self._decoder.buffer) > HEAD_LIMIT_BYTES + CHUNK_BYTES:
            raise TooLargeError("The head of a part is too long. Send shorter names.")

    def _take(self, event: object) -> None:
        if isinstance(event, File):
            self._parts += 1
            name = event.name or ""
            limit_bytes = self._limits.get(name.removesuffix("[]"))
            if limit_bytes is None:
                taken = " and ".join(self._limits)
                raise InvalidRequestError(f"The form has a file beside {taken}. Leave it out.")
            self._limit_bytes = limit_bytes
            self.form.begin_file(name, event.filename, event.headers.get("content-type", ""))
            self._part = event
        elif isinstance(event, Field):
            self._parts += 1
            self._part = event
            self._text.clear()
        elif isinstance(event, Data):
            self._write(event)
        if self._parts > MOST_PARTS:
            raise TooLargeError(f"The form has more than {MOST_PARTS} parts. Send fewer.")

    def _write(self, event: Data) -> None:
        part = self._part
        if isinstance(part, File):
            self.form.write(event.data, self._limit_bytes)
            if not event.more_data:
                self.form.end_file()
        elif part is not None:
            self._text += event.data
            if len(self._text) > TEXTS_LIMIT_BYTES:
                raise TooLargeError("The texts of the form are larger than 1 MB. Send less.")
            if not event.more_data:
                self.form.add_text(part.name or "", bytes(self._text))


def _boundary() -> bytes:
    environ = request.environ
    coding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise MediaTypeError("Compressed bodies aren't read here. Send the form as it is.")
    kind, options = parse_options_header(environ.get("CONTENT_TYPE", ""))
    if kind != "multipart/form-data":
        raise MediaTypeError("This endpoint reads a form. Send it as multipart/form-data.")
    boundary = options.get("boundary", "")
    if not boundary or len(boundary) > LONGEST_BOUNDARY or not boundary.isascii():
        raise InvalidRequestError("The form's boundary is missing or too long. Send one.")
    return boundary.encode()


def _chunks() -> Iterator[bytes]:
    size_bytes = 0
    while data := request.stream.read(CHUNK_BYTES):
        size_bytes += len(data)
        if size_bytes > FORM_LIMIT_BYTES:
            raise _too_large()
        yield data
        time.sleep(0)  # a client that always has more would keep every other greenlet waiting


@contextmanager
def _in_time() -> Iterator[None]:
    if not monkey.is_module_patched("socket"):
        yield
        return
    late = InvalidRequestError("The form took too long. Send it again.")
    with gevent.Timeout(PATIENCE_S, late):
        yield


def _too_large() -> TooLargeError:
    return TooLargeError(
        f"The form is larger than {FORM_LIMIT_BYTES // 1024 // 1024} MB. Send less at once."
    )
