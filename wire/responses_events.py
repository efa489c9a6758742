"""Streams of OpenAI's Responses: a provider's events read into the neutral ones.

Source: the types of openai-python 3.52, `responses/response_stream_event.py` (read 2026-11-21).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from wire.chat_stream import BrokenEventError
from wire.chat_usage import MISSING, Reading, usage_value
from wire.neutral import Other, Reasoning, Refusal, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Head,
    OtherDelta,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.responses_answer import UNKNOWN_ERROR, ending, read_response_usage
from wire.responses_read import DIALECT
from wire.responses_stream import Told, read_event, told_error
from wire.stops import FROM_RESPONSES_INCOMPLETE, Stop
from wire.usage import LARGEST_COUNT

_NO_EVENTS: tuple[Event, ...] = ()
_Key = tuple[int, int | None]
_PARTS: dict[Any, tuple[str, Head]] = {
    "output_text": ("text", Text(text="")),
    "refusal": ("refusal", Refusal(text="")),
}


class ResponsesReader:
    """Makes neutral events of a provider's. `is_done` as in `neutral_answer.EventReader`.

    A block begins with its first delta, or is told whole with its item where no delta came. The
    block of a message's part has the part's place for its key, that of any other item None.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._next = 0
        self._open: dict[_Key, int] = {}
        self._seen: set[_Key] = set()
        self._has_called = False

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the data of one event.

        Raises: ValueError for what isn't of this dialect.
        """
        if self.is_done or not data or data.strip() == b"[DONE]":
            return _NO_EVENTS
        told = read_event(data)
        if told.type == "response.output_text.delta":
            index = self._open.get((_number(told.output_index), _number(told.content_index)))
            if index is not None:
                return (TextDelta(index, _text(told.delta)),)
        read = _READERS.get(told.type)
        try:
            return list(read(self, told)) if read is not None else _NO_EVENTS
        except (TypeError, AttributeError) as error:
            raise BrokenEventError("an event has a field of another type") from error

    def end(self) -> Sequence[Event]:
        """Tell that upstream's stream has ended; without a terminal event it isn't whole."""
        return _NO_EVENTS

    def start(self, told: Told) -> Iterator[Event]:
        """Begin."""
        fields = told.response or {}
        upstream_id, created = usage_value(fields.get("id")), usage_value(fields.get("created_at"))
        yield Started(
            id=upstream_id if isinstance(upstream_id, str) else None,
            created=int(created) if isinstance(created, int | float) else None,
        )

    def _begin(self, key: _Key, head: Head) -> Iterator[Event]:
        if key not in self._open:
            self._seen.add(key)
            self._open[key] = self._next
            self._next += 1
            yield BlockStarted(self._open[key], head)

    def _stop(self, key: _Key) -> Iterator[Event]:
        index = self._open.pop(key, None)
        if index is not None:
            yield BlockStopped(index)

    def add_text(self, told: Told) -> Iterator[Event]:
        """Add to a text or a refusal, and begin it where nothing has."""
        key = (_number(told.output_index), _number(told.content_index))
        head = Refusal(text="") if told.type == "response.refusal.delta" else Text(text="")
        yield from self._begin(key, head)
        yield TextDelta(self._open[key], _text(told.delta))

    def add_annotation(self, told: Told) -> Iterator[Event]:
        """Add what only this dialect knows of a text."""
        index = self._open.get((_number(told.output_index), _number(told.content_index)))
        if index is not None and isinstance(told.annotation, dict):
            yield OtherDelta(index, DIALECT, told.annotation)

    def stop_part(self, told: Told) -> Iterator[Event]:
        """End a text or a refusal."""
        yield from self._stop((_number(told.output_index), _number(told.content_index)))

    def add_thought(self, told: Told) -> Iterator[Event]:
        """Add to what was thought, or to a part of its summary."""
        key = (_number(told.output_index), None)
        yield from self._begin(key, Reasoning(signed_by=DIALECT, id=_text(told.item_id) or None))
        part = None if told.summary_index is None else _number(told.summary_index)
        yield ReasoningDelta(self._open[key], _text(told.delta), part)

    def add_arguments(self, told: Told) -> Iterator[Event]:
        """Add to the arguments of a call that has begun."""
        key = (_number(told.output_index), None)
        index = self._open.get(key)
        if index is not None and told.delta:
            self._seen.add((key[0], -1))
            yield ArgumentsDelta(index, _text(told.delta))

    def start_item(self, told: Told) -> Iterator[Event]:
        """Begin a call; all other items begin with their first delta."""
        item = told.item or {}
        if item.get("type") in _CALLS:
            self._has_called = True
            yield from self._begin((_number(told.output_index), None), _called(item))

    def stop_item(self, told: Told) -> Iterator[Event]:
        """End an item; what no delta told of it is told now."""
        item, number = told.item or {}, _number(told.output_index)
        kind = item.get("type")
        if kind == "message":
            yield from self._stop_message(item, number)
        elif kind == "reasoning":
            yield from self._stop_reasoning(item, number)
        elif kind in _CALLS:
            yield from self._stop_call(item, number)
        elif type(kind) is str:
            yield from self._begin((number, None), Other(dialect=DIALECT, kind=kind, value=item))
        yield from self._stop((number, None))

    def _stop_message(self, item: dict[str, Any], number: int) -> Iterator[Event]:
        for place, part in enumerate(item.get("content") or ()):
            field, head = _PARTS.get(part.get("type")) or ("", Text(text=""))
            if (number, place) not in self._seen and part.get(field):
                yield from self._begin((number, place), head)
                yield TextDelta(self._next - 1, _text(part[field]))
            yield from self._stop((number, place))

    def _stop_reasoning(self, item: dict[str, Any], number: int) -> Iterator[Event]:
        """The seal comes last, and alone where nothing of the thinking is shown."""
        key, sealed = (number, None), item.get("encrypted_content")
        if key not in self._seen:
            for event in _told_reasoning(item):
                yield from self._begin(key, Reasoning(signed_by=DIALECT, id=item.get("id")))
                yield ReasoningDelta(self._open[key], *event)
        if not sealed or type(sealed) is not str:
            return
        if key in self._open:
            yield SignatureDelta(self._open[key], sealed, DIALECT)
        else:
            head = Reasoning(encrypted=sealed, signed_by=DIALECT, id=item.get("id"))
            yield from self._begin(key, head)

    def _stop_call(self, item: dict[str, Any], number: int) -> Iterator[Event]:
        self._has_called = True
        yield from self._begin((number, None), _called(item))
        arguments = item.get("arguments") or item.get("input")
        if arguments and (number, -1) not in self._seen:
            yield ArgumentsDelta(self._open[number, None], _text(arguments))

    def finish(self, told: Told) -> Iterator[Event]:
        """End what is open, and the answer."""
        fields = told.response or {}
        _, reason, error = ending(fields)
        if error is not None:
            yield Failed(error)
            return
        for key in list(self._open):
            yield from self._stop(key)
        self.is_done = True
        reading = read_response_usage(fields, LARGEST_COUNT, LARGEST_COUNT) if fields else MISSING
        yield Ended(stop=self._reason(told.type, reason), reading=reading)

    def _reason(self, kind: str, reason: str | None) -> Stop:
        if kind == "response.incomplete":
            return FROM_RESPONSES_INCOMPLETE.get(reason or "", Stop.LENGTH)
        return Stop.TOOLS if self._has_called else Stop.END

    def fail(self, told: Told) -> Iterator[Event]:
        """Tell of a failure."""
        if told.type == "error":
            yield Failed(told_error(told))
        else:
            yield Failed(ending(told.response or {})[2] or UNKNOWN_ERROR)

    @property
    def reading(self) -> Reading:
        """Usage comes with the end, and never before."""
        return MISSING


_CALLS = ("function_call", "custom_tool_call")


def _told_reasoning(item: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    for place, part in enumerate(item.get("summary") or ()):
        yield _text(part.get("text")), place
    for part in item.get("content") or ():
        yield _text(part.get("text")), None


def _called(item: dict[str, Any]) -> ToolCall:
    return ToolCall(
        id=_text(item.get("call_id")) or _text(item.get("id")),
        name=_text(item.get("name")),
        is_custom=item.get("type") == "custom_tool_call",
    )


def _number(value: object) -> int:
    return value if type(value) is int else 0


def _text(value: object) -> str:
    return value if type(value) is str else ""


_READERS: dict[str, Any] = {
    "response.created": ResponsesReader.start,
    "response.output_item.added": ResponsesReader.start_item,
    "response.output_item.done": ResponsesReader.stop_item,
    "response.output_text.delta": ResponsesReader.add_text,
    "response.refusal.delta": ResponsesReader.add_text,
    "response.output_text.annotation.added": ResponsesReader.add_annotation,
    "response.content_part.done": ResponsesReader.stop_part,
    "response.function_call_arguments.delta": ResponsesReader.add_arguments,
    "response.custom_tool_call_input.delta": ResponsesReader.add_arguments,
    "response.reasoning_summary_text.delta": ResponsesReader.add_thought,
    "response.reasoning_text.delta": ResponsesReader.add_thought,
    "response.completed": ResponsesReader.finish,
    "response.incomplete": ResponsesReader.finish,
    "response.failed": ResponsesReader.fail,
    "response.cancelled": ResponsesReader.fail,
    "error": ResponsesReader.fail,
}
