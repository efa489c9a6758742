"""A call whose client and provider speak different dialects, led through the neutral form.

`TranslatedCall` stands where the client's own call would: the same fields, the same three verbs.
What reads the answers has the interface of `wire.chat_answer.ChatAnswer` and
`wire.chat_stream.ChatStream`, so nobody above can tell.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import clock
from wire.anthropic_usage import bounded
from wire.chat_content import Counted, Delivered
from wire.chat_content import Message as DeliveredMessage
from wire.chat_usage import MISSING, Reading
from wire.neutral import (
    Audio,
    Dropped,
    Image,
    Message,
    Other,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    ToolCall,
    unsupported,
)
from wire.neutral_answer import (
    Answer,
    ArgumentsDelta,
    BlockStarted,
    Client,
    Ended,
    Event,
    EventReader,
    EventWriter,
    Failed,
    ReasoningDelta,
    Started,
    TextDelta,
    Upstream,
)
from wire.stops import TO_CHAT, Stop
from wire.strict_json import encode
from wire.usage import Usage


class TranslatedCall:
    """A checked call of one dialect, for providers of another.

    All that isn't here is the call's own: model, limits, needs, session, input_bound. Make one for
    each route: `max_output_tokens` and `can_reason` are the route's model's. After `upstream_body`,
    `dropped` names what the provider couldn't be told.
    """

    def __init__(
        self,
        call: Any,
        client: Client,
        upstream: Upstream,
        *,
        max_output_tokens: int | None = None,
        can_reason: bool = True,
        request: Request | None = None,
    ) -> None:
        """`request` is the call as another route has already read it.

        Raises: InvalidParameterError.
        """
        self.call = call
        self.request = client.read_request(call.body) if request is None else request
        self.dropped: tuple[str, ...] = ()
        self._client = client
        self._upstream = upstream
        self._max_output_tokens = max_output_tokens
        self._can_reason = can_reason
        self.upstream_api = upstream.api
        self.upstream_path = ""

    def __getattr__(self, name: str) -> Any:
        """Give what the client's own call has."""
        return getattr(self.call, name)

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return what goes to one provider, and set `dropped` and `upstream_path`.

        No hosted tool goes to a vendor that isn't its own: `without_tools` is always all of them.

        Raises: UnsupportedByModelError, InvalidParameterError.
        """
        target = Target(
            model=upstream_model,
            output_bound=output_bound,
            max_output_tokens=self._max_output_tokens,
            can_reason=self._can_reason,
            limit_field=limit_field,
        )
        dropped = Dropped()
        self._refuse_forced()
        body = self._upstream.write_request(self.request, target, dropped)
        self.dropped = dropped.names
        self.upstream_path = self._upstream.path(target, is_streamed=self.request.is_streamed)
        return body

    def _refuse_forced(self) -> None:
        forced = self.call.forced_tool
        if forced is not None:
            raise unsupported(
                "tool_choice", f"this model has no tool {forced}", "Choose another model."
            )
        choice = self.request.tool_choice
        if choice is None or choice.mode != "named":
            return
        for tool in self.request.tools:
            if isinstance(tool, Other) and tool.value.get("name") in choice.names:
                raise unsupported(
                    "tool_choice", f"this model has no tool {tool.kind}", "Choose another model."
                )

    def parse_answer(
        self, raw: bytes, *, bound_input: int, bound_output: int
    ) -> "TranslatedAnswer":
        """Read a plain answer to this call.

        Raises: ValueError.
        """
        answer = self._upstream.read_answer(raw)
        return TranslatedAnswer(answer, self._client, bound_input, bound_output)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> "TranslatedStream":
        """Return what reads a streamed answer to this call."""
        writer = self._client.new_writer(
            generation_id,
            model,
            created=created,
            wants_usage=self.call.wants_usage,
            request=self.request,
        )
        return TranslatedStream(self._upstream.new_reader(), writer, bound_input, bound_output)


def _count(delivered: Delivered, text: str) -> None:
    if text:
        delivered.add(DeliveredMessage(content=text))


class TranslatedAnswer(Counted):
    """A plain answer in the client's dialect; `finish_reason` is in OpenAI's words."""

    __slots__ = (
        "_answer",
        "_client",
        "error",
        "finish_reason",
        "has_output",
        "is_error_finish",
        "reading",
        "upstream_id",
    )

    def __init__(self, answer: Answer, client: Client, bound_input: int, bound_output: int) -> None:
        super().__init__()
        self._answer = answer
        self._client = client
        self.error = answer.error
        self.upstream_id = answer.id
        self.is_error_finish = answer.stop is Stop.ERROR
        self.finish_reason = _finish_reason(answer.stop)
        self.reading = bounded(answer.reading, bound_input, bound_output)
        for item in answer.items:
            for text in _texts(item):
                _count(self._delivered, text)
        self.has_output = self._delivered.events > 0

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
        created: int = 0,
    ) -> bytes:
        """Return the answer for the caller; `estimate` stands in for usage that wasn't sound."""
        return self._client.write_answer(
            self._answer,
            generation_id,
            model,
            self.reading.usage if estimate is None else estimate,
            usage_extra,
            created=created or self._answer.created or clock.now_ms() // 1000,
            is_estimated=estimate is not None,
        )


class TranslatedStream(Counted):
    """A streamed answer, rewritten for the client as it comes; as `wire.chat_stream.ChatStream`."""

    __slots__ = (
        "_ended",
        "_reader",
        "_started",
        "_tail",
        "_writer",
        "bound_input",
        "bound_output",
        "error",
        "has_content",
        "upstream_id",
    )

    def __init__(
        self, reader: EventReader, writer: EventWriter, bound_input: int, bound_output: int
    ) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._ended: Ended | None = None
        self._started: Started | None = None
        self._tail = b""
        self.bound_input = bound_input
        self.bound_output = bound_output
        self.error: dict[str, Any] | None = None
        self.has_content = False
        self.upstream_id: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the stream is whole."""
        return self._ended is not None

    def feed(self, data: bytes) -> bytes | None:
        """Take the data of one event and return the frames for the caller; None to send nothing.

        Raises: ValueError for what isn't of the provider's dialect.
        """
        return self._take(self._reader.feed(data)) if data else None

    def _take(self, events: Sequence[Event]) -> bytes | None:
        written = b""
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta:
                self.has_content = True
                self._delivered.add(DeliveredMessage(content=event.text))  # type: ignore[union-attr]
            else:
                self._look(event)
            if self.error is not None:
                return written or None
            written += self._writer.write(event)
        return written or None

    def _look(self, event: Event) -> None:
        if isinstance(event, ArgumentsDelta):
            self.has_content = True
            _count(self._delivered, event.fragment)
        elif isinstance(event, BlockStarted):
            if text := "".join(_texts(event.head)):
                self.has_content = True
                _count(self._delivered, text)
        elif isinstance(event, Started):
            self._started = event
            self.upstream_id = event.id or ""
        elif isinstance(event, Ended):
            self._ended = event
        elif isinstance(event, Failed):
            self.error = event.error

    def end(self) -> bool:
        """Tell that upstream's stream has ended; returns `is_done`."""
        if self._ended is None and self.error is None:
            self._tail = self._take(self._reader.end()) or b""
        return self.is_done

    @property
    def finish_reason(self) -> str | None:
        """Why it ended, in OpenAI's words; None while it runs."""
        return None if self._ended is None else _finish_reason(self._ended.stop)

    @property
    def reading(self) -> Reading | None:
        """What the usage said; None when none has come."""
        told = MISSING
        if self._ended is not None:
            told = self._ended.reading
        elif self._started is not None:
            told = self._started.reading
        return None if told == MISSING else bounded(told, self.bound_input, self.bound_output)

    def last_events(self, usage_extra: Mapping[str, Any], estimate: Usage | None) -> bytes:
        """Return what ends a sound stream in the client's dialect."""
        reading = self.reading or MISSING
        return self._tail + self._writer.finish(
            self._ended or Ended(stop=None),
            reading.usage if estimate is None else estimate,
            usage_extra,
            is_estimated=estimate is not None,
        )

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed."""
        return self._writer.error_event(rendered)


def _finish_reason(stop: Stop | None) -> str | None:
    return None if stop is None else TO_CHAT[stop]


def _texts(item: Any) -> list[str]:
    """Return what counts as output in an item, a block or the head of one."""
    if isinstance(item, Message):
        return [text for block in item.content for text in _texts(block)]
    if isinstance(item, Text | Refusal):
        return [item.text]
    if isinstance(item, Reasoning):
        return [item.text or "".join(item.summary) or item.encrypted or ""]
    if isinstance(item, ToolCall):
        return [item.name + item.arguments]
    if isinstance(item, Audio):
        return [item.transcript or "sound"]
    if isinstance(item, Image):
        return ["image"]
    return [encode(item.value).decode()]
