"""What the router asks of a provider, and how a provider's failures are told.

A provider opens an exchange in its own dialect; who called and what it costs is none of its
business. The exchange is a pair of waits that can be cut short, so that one greenlet can keep a
client's line alive while a provider thinks: `wait_head` and `read` return empty-handed when nothing
came in time, and may be called again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from errors import TurnpikeError


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One request as it goes to a provider, in the provider's dialect.

    `path` is below the provider's base URL ("/chat/completions"); `body` is what is serialized, or
    already bytes with their `content_type` (a form with files), in pieces where joining them would
    copy a file.
    """

    api: str
    path: str
    body: dict[str, Any] | bytes | tuple[bytes | bytearray, ...]
    is_streamed: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    method: str = "POST"


class Exchange(Protocol):
    """A request that is under way; `providers/transport.py` has the one over HTTP."""

    status: int
    headers: dict[str, str]
    bytes_received: int

    def wait_head(self, timeout_s: float) -> bool:
        """Wait for status and headers; False when they aren't in yet, and the wait may go on."""

    def read(self, timeout_s: float) -> bytes | None:
        """Return the next bytes of the body, b"" at its end, None when it was silent."""

    def read_all(self, limit_bytes: int, timeout_s: float) -> bytes:
        """Return the rest of the body; `timeout_s` is the longest silence within it."""

    def abort(self) -> None:
        """Break off, from whichever greenlet: a blocked wait ends with TransportAbortedError."""

    def close(self) -> None:
        """Let go of it; the connection is used again only when the answer was read to its end."""


class Provider(Protocol):
    """An upstream that speaks one dialect."""

    dialect: str

    def open(self, call: UpstreamCall, api_key: str, deadline_s: float) -> Exchange:
        """Send the request and return at once.

        Units: `deadline_s` is on the monotonic clock and bounds the whole exchange.
        Raises: TransportError.
        """

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> TurnpikeError:
        """Return what an answer other than 200 means, in our own words.

        The status decides; the body is read only for 400 and 422. A provider's 401, 402, 403 and
        429 are ours to hide: they are never the caller's.
        """
