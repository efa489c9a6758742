"""A form with files, held once: what came is what goes upstream, behind our own boundary.

The files stand in one row of blocks, with the lines around them: a single buffer would be copied as
it grows. The texts are written anew in front of it for each provider, as they name its model. A
file's name is a label and never a path: what a path or a header could be made of is taken out.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from errors import InvalidParameterError, InvalidRequestError, TooLargeError

FORM_LIMIT_BYTES = 30 * 1024 * 1024
TEXTS_LIMIT_BYTES = 1024 * 1024
MOST_PARTS = 100
BLOCK_BYTES = 1024 * 1024
LONGEST_NAME = 100

_NAME = re.compile(r"[\w.\[\]-]{1,100}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[a-z]{1,30}/[\w.+-]{1,70}(?:; ?[\w.=+-]{1,60}){0,4}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the form: its field, and where it lies in the buffer."""

    name: str
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """What is in it."""
        return self.end - self.start


class Form:
    """A form as it grows: texts by `add_text`, files by `begin_file`, `write` and `end_file`."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.files: list[Part] = []
        self._boundary = f"turnpike-{secrets.token_hex(16)}"
        self._blocks = [bytearray()]
        self._end = 0
        self._texts_bytes = 0
        self._file = Part("", 0, 0)

    @property
    def content_type(self) -> str:
        """What goes upstream."""
        return f"multipart/form-data; boundary={self._boundary}"

    def add_text(self, name: str, value: bytes) -> None:
        """Add a text field; a repeated one replaces the earlier unless its name ends in `[]`.

        Raises: InvalidRequestError, InvalidParameterError, TooLargeError.
        """
        self._count(name)
        self._texts_bytes += len(value)
        if self._texts_bytes > TEXTS_LIMIT_BYTES:
            raise TooLargeError("The texts of the form are larger than 1 MB. Send less.")
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            raise InvalidParameterError(f"{name} isn't UTF-8. Send it so.", param=name) from error
        if not name.endswith("[]"):
            self.texts = [pair for pair in self.texts if pair[0] != name]
        self.texts.append((name, text))

    def begin_file(self, name: str, filename: str, content_type: str) -> None:
        """Begin a file; what is written belongs to it until it ends.

        Raises: InvalidRequestError, TooLargeError.
        """
        self._count(name)
        kind = content_type.lower().strip()
        if not _MEDIA_TYPE.fullmatch(kind):
            kind = "application/octet-stream"
        head = (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"; filename="{_label(filename)}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        self._append(head.encode())
        self._file = Part(name, self._end, self._end)

    def write(self, data: bytes, limit_bytes: int) -> None:
        """Go on with the file.

        Raises: TooLargeError.
        """
        if self._end + len(data) - self._file.start > limit_bytes:
            raise TooLargeError(
                f"The file is larger than {limit_bytes // 1024 // 1024} MB. Send a smaller one."
            )
        self._append(data)

    def end_file(self) -> None:
        """Close the file."""
        self.files.append(Part(self._file.name, self._file.start, self._end))
        self._append(b"\r\n")

    def close(self) -> None:
        """Close the form: nothing is added from here on."""
        self._append(f"--{self._boundary}--\r\n".encode())

    def text(self, name: str) -> str | None:
        """Return a text field, None where there is none."""
        return next((value for key, value in self.texts if key == name), None)

    def head_of(self, part: Part, size_bytes: int) -> bytes:
        """Return the first bytes of a file."""
        first, offset = divmod(part.start, BLOCK_BYTES)
        taken = min(part.size_bytes, size_bytes, BLOCK_BYTES)
        return b"".join(self._blocks[first : first + 2])[offset : offset + taken]

    def pieces(self, model: str, without: Collection[str]) -> tuple[bytes | bytearray, ...]:
        """Return the form as it goes to a provider: the texts with its model's name, the files."""
        kept = [pair for pair in self.texts if pair[0] not in without and pair[0] != "model"]
        head = "".join(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in [("model", model), *kept]
        )
        return head.encode(), *self._blocks

    def _count(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(
                "A part of the form has no name, or one that no field has. Name it."
            )
        if len(self.texts) + len(self.files) >= MOST_PARTS:
            raise TooLargeError(f"The form has more than {MOST_PARTS} parts. Send fewer.")

    def _append(self, data: bytes) -> None:
        self._end += len(data)
        view = memoryview(data)
        while view:
            if len(self._blocks[-1]) == BLOCK_BYTES:
                self._blocks.append(bytearray())
            block = self._blocks[-1]
            room = BLOCK_BYTES - len(block)
            block += view[:room]
            view = view[room:]


def _label(filename: str) -> str:
    """Return what is left of a file's name: its last part, in characters that mean nothing."""
    last = re.split(r"[/\\]", filename)[-1]
    return _UNSAFE.sub("_", last).lstrip(".")[-LONGEST_NAME:] or "file"
