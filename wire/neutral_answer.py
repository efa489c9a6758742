"""What a model gives back, in the form between the dialects: whole, or as the events of a stream.

A provider's dialect has an `EventReader`, a client's an `EventWriter`; `wire/translated.py` puts
one behind the other. The order of events: `Started`; then for each block `BlockStarted`, its deltas
and `BlockStopped`, blocks of different indexes possibly interleaved; then `Ended` or `Failed`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from wire.chat_usage import MISSING, Reading
from wire.neutral import (
    Audio,
    Dropped,
    Extra,
    Image,
    Item,
    Other,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    ToolCall,
)
from wire.stops import Stop
from wire.usage import Usage


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A plain answer, once read.

    `error`: a 200 that carries a failure, as upstream put it. `stop_sequence`: which of the
    client's hit, where the vendor tells. `reading`: what it used, not yet held against any bound.

    Units: `created` seconds of the epoch.
    """

    items: tuple[Item, ...] = ()
    stop: Stop | None = None
    stop_sequence: str | None = None
    reading: Reading = MISSING
    id: str | None = None
    model: str | None = None
    created: int | None = None
    error: dict[str, Any] | None = None
    extra: Extra | None = None


Head = Text | Refusal | Reasoning | ToolCall | Image | Audio | Other
"""How a block begins: what is known of it before its first delta, mostly with empty text."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The model has begun; `reading` where the vendor tells the input's usage now (Anthropic)."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    reading: Reading = MISSING


class BlockStarted(msgspec.Struct, frozen=True):
    """Another block begins; `index` rises by one with each, from 0."""

    index: int
    head: Head


class TextDelta(msgspec.Struct, frozen=True):
    """More of a `Text`, or of a `Refusal`."""

    index: int
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More of a `Reasoning`; `summary_index`: of that part of its summary."""

    index: int
    text: str
    summary_index: int | None = None


class SignatureDelta(msgspec.Struct, frozen=True):
    """The seal of a `Reasoning` or a `ToolCall`, whole or the next piece of it."""

    index: int
    signature: str
    signed_by: str


class ArgumentsDelta(msgspec.Struct, frozen=True):
    """More of the arguments of a `ToolCall`."""

    index: int
    fragment: str


class OtherDelta(msgspec.Struct, frozen=True):
    """Something of a block that only one dialect knows: a citation, a piece of sound."""

    index: int
    dialect: str
    value: dict[str, Any]


class BlockStopped(msgspec.Struct, frozen=True):
    """A block is whole."""

    index: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is whole, and its usage is in, if there will be any."""

    stop: Stop | None
    stop_sequence: str | None = None
    reading: Reading = MISSING
    extra: Extra | None = None


class Failed(msgspec.Struct, frozen=True):
    """Upstream told of a failure within the stream, as it put it."""

    error: dict[str, Any]


Event = (
    Started
    | BlockStarted
    | TextDelta
    | ReasoningDelta
    | SignatureDelta
    | ArgumentsDelta
    | OtherDelta
    | BlockStopped
    | Ended
    | Failed
)


class EventReader(Protocol):
    """Makes neutral events of a provider's, one at a time.

    `is_done`: upstream has said that the stream is whole, and `Ended` has been given.
    """

    is_done: bool

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the data of one event.

        Raises: ValueError for what isn't of this dialect.
        """

    def end(self) -> Sequence[Event]:
        """Tell that upstream's stream has ended; gives `Ended` when it can be taken for whole."""


class EventWriter(Protocol):
    """Makes a client's stream of neutral events: whole frames, ready to be sent."""

    def write(self, event: Event) -> bytes:
        """Return what the client is sent for an event, nothing for `Ended` and `Failed`."""

    def finish(
        self,
        ended: Ended,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        is_estimated: bool,
    ) -> bytes:
        """Return the end of a sound stream, with its usage."""

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed."""


class Client(Protocol):
    """A dialect as clients speak it."""

    dialect: str

    def read_request(self, body: dict[str, Any]) -> Request:
        """Read a body that the dialect's call has checked.

        Raises: InvalidParameterError for what has no meaning even in its own dialect.
        """

    def write_answer(
        self,
        answer: Answer,
        generation_id: str,
        model: str,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        created: int,
        is_estimated: bool,
    ) -> bytes:
        """Return a plain answer for the client; without usage it has only `usage_extra`."""

    def new_writer(
        self, generation_id: str, model: str, *, created: int, wants_usage: bool, request: Request
    ) -> EventWriter:
        """Return what writes a streamed answer."""


class Upstream(Protocol):
    """A dialect as providers speak it."""

    dialect: str
    api: str

    def path(self, target: Target, *, is_streamed: bool) -> str:
        """Return the path below the provider's base URL."""

    def write_request(self, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
        """Return the body for a provider.

        Raises: UnsupportedByModelError, InvalidParameterError.
        """

    def read_answer(self, raw: bytes) -> Answer:
        """Read a plain answer.

        Raises: ValueError for what is none of this dialect.
        """

    def new_reader(self) -> EventReader:
        """Return what reads a streamed answer."""
