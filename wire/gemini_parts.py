"""The parts of Gemini's contents: pictures, files and sound as it takes them."""

import mimetypes
from typing import Any
from urllib.parse import urlsplit

from wire.neutral import Audio, Document, Dropped, Image, unsupported

DIALECT = "gemini"

OWN_FILES = "https://generativelanguage.googleapis.com/"
"""Where the vendor keeps files; a client knows one by its whole address."""


def media_part(block: Image | Document | Audio, dropped: Dropped) -> dict[str, Any]:
    """Return the part for something that isn't text.

    Raises: UnsupportedByModelError for what another vendor keeps.
    """
    if isinstance(block, Image) and block.detail not in (None, "auto"):
        dropped.note("image_url.detail")
    if isinstance(block, Document) and block.text is not None:
        return {"text": block.text}
    media_type = block.media_type or _guessed(block)
    if block.data is not None:
        return {"inlineData": {"mimeType": media_type, "data": block.data}}
    address = block.url or block.file_id
    if block.file_id is not None and not block.file_id.startswith(OWN_FILES):
        raise unsupported(
            block.param or "messages", "a file that another vendor keeps", "Send its content."
        )
    return {"fileData": {"mimeType": media_type, "fileUri": address}}


def _guessed(block: Image | Document | Audio) -> str:
    """The API insists on a type: that of the address's ending, or the usual one of its kind."""
    path = urlsplit(block.url).path if block.url else ""
    if isinstance(block, Document) and block.name:
        path = block.name
    guessed, _ = mimetypes.guess_type(path)
    if guessed is not None:
        return guessed
    if isinstance(block, Audio):
        return f"audio/{block.format or 'wav'}"
    return "image/jpeg" if isinstance(block, Image) else "application/pdf"
