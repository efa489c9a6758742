"""Gemini's generateContent on the provider's side of the neutral form; no client speaks it here."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from msgspec import structs

from wire.gemini_events import GeminiReader
from wire.gemini_parts import DIALECT
from wire.gemini_write import write_request
from wire.neutral import Dropped, Item, Message, Other, Reasoning, Request, Target, Text, ToolCall
from wire.neutral_answer import (
    Answer,
    ArgumentsDelta,
    BlockStarted,
    Ended,
    Event,
    Failed,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)


class GeminiUpstream:
    """How a provider of this dialect is asked and answers."""

    dialect = DIALECT
    api = "gemini"

    def path(self, target: Target, *, is_streamed: bool) -> str:
        """Return the path below the provider's base URL, which ends in the API's version."""
        name = quote(target.model.removeprefix("models/"), safe="")
        return f"/models/{name}:" + (
            "streamGenerateContent?alt=sse" if is_streamed else "generateContent"
        )

    def write_request(self, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
        """Return the body for a provider.

        Raises: UnsupportedByModelError, InvalidParameterError.
        """
        return write_request(request, target, dropped)

    def read_answer(self, raw: bytes) -> Answer:
        """Read a plain answer.

        Raises: ValueError for what is none of this dialect.
        """
        reader = GeminiReader()
        events = [*reader.feed(raw), *reader.end()]
        error = next((event.error for event in events if isinstance(event, Failed)), None)
        if not reader.is_done and error is None:
            raise ValueError("it has neither an answer's end nor an error")
        ended = next((event for event in events if isinstance(event, Ended)), None)
        started = next((event for event in events if isinstance(event, Started)), None)
        return Answer(
            items=tuple(_items(events)),
            stop=ended.stop if ended is not None else reader.stop if error is None else None,
            reading=reader.reading,
            id=started.id if started is not None else None,
            error=error,
        )

    def new_reader(self) -> GeminiReader:
        """Return what reads a streamed answer."""
        return GeminiReader()


def _items(events: Iterable[Event]) -> list[Item]:
    """Put an answer together from its events: texts and pictures in a row are one message."""
    items: list[Item] = []
    for event in events:
        if isinstance(event, BlockStarted):
            head = event.head
            if isinstance(head, Reasoning | ToolCall | Other):
                items.append(head)
            elif items and isinstance(last := items[-1], Message):
                items[-1] = structs.replace(last, content=(*last.content, head))
            else:
                items.append(Message(role="assistant", content=(head,)))
        elif items:
            items[-1] = _grown(items[-1], event)
    return items


def _grown(item: Item, event: Event) -> Item:
    if isinstance(item, Message) and isinstance(event, TextDelta):
        *before, last = item.content
        if isinstance(last, Text):
            grown = structs.replace(last, text=last.text + event.text)
            return structs.replace(item, content=(*before, grown))
    if isinstance(item, Reasoning) and isinstance(event, ReasoningDelta):
        return structs.replace(item, text=item.text + event.text)
    if isinstance(item, Reasoning) and isinstance(event, SignatureDelta):
        return structs.replace(item, signature=event.signature)
    if isinstance(item, ToolCall) and isinstance(event, ArgumentsDelta):
        return structs.replace(item, arguments=event.fragment)
    return item
