"""A sound on its way to the client: bytes with no place for a comment or an error among them."""

import errno
from collections.abc import Generator

from typing_extensions import override

from errors import TurnpikeError
from gateway.dialects import ClientGoneError
from gateway.relay import Relay


class SoundRelay(Relay):
    """Hands a sound on as it comes. One that breaks off cuts the client's connection."""

    waiting = b""

    @property
    @override
    def headers(self) -> dict[str, str]:
        assert self._reply is not None  # noqa: S101 - made with one
        return {**super().headers, "Content-Type": self._reply.reading.stream.content_type}

    @override
    def _guarded(self) -> Generator[bytes]:
        try:
            yield from filter(None, self._relayed())
        except ClientGoneError:
            return
        except TurnpikeError as error:  # settled; the server closes without the body's proper end
            raise ConnectionResetError(errno.ECONNRESET, error.message) from error
