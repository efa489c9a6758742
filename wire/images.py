"""POST /images/generations: pictures, counted by size and quality or by their tokens."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import msgspec
from typing_extensions import override

from errors import InvalidParameterError
from wire.chat_usage import Reading
from wire.json_call import JsonAnswer, JsonCall, value_of
from wire.usage import Usage, is_count

MOST_IMAGES = 10
IMAGE_TOKENS = 8192
"""What one picture is bounded by where it is billed by tokens: gpt-image-1 takes 6,208 for its
largest. Source: platform.openai.com/docs/guides/image-generation (read 2026-11-21)."""

USUAL_TOKENS = 1056
"""What a square picture of medium quality takes, of the same source: our estimate where an answer
that is sold by tokens tells none."""

_ANY = ("auto", None)


class ImagesCall(JsonCall):
    """A checked request for pictures."""

    api = "images"
    path = "/images/generations"
    inputs = ("prompt",)
    outputs = "data"

    @classmethod
    @override
    def parse(cls, raw: bytes) -> Self:
        call = super().parse(raw)
        output_limit, units = bounds_of(call.body)
        return replace(call, output_limit=output_limit, units=units)

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/images/create (read 2026-11-21)."""
        if not isinstance(body.get("prompt"), str) or not body["prompt"]:
            raise InvalidParameterError("prompt must be a text that isn't empty.", param="prompt")
        count = body.get("n")
        if count is not None and not (is_count(count) and 1 <= count <= MOST_IMAGES):
            raise InvalidParameterError(
                f"n must be a whole number from 1 to {MOST_IMAGES}.", param="n"
            )
        for name in ("size", "quality"):
            if body.get(name) is not None and not isinstance(body[name], str):
                raise InvalidParameterError(f"{name} must be a text.", param=name)
        if body.get("stream"):
            raise InvalidParameterError(
                "Pictures aren't streamed here yet. Leave stream out.", param="stream"
            )

    @override
    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> "ImagesAnswer":
        answer = ImagesAnswer.parse(raw, self.outputs, self.read_usage, bound_input)
        answer.prompt = str(self.body.get("prompt") or "")
        answer.kind, answer.pictures = self._came(answer.fields)
        return answer

    def _came(self, fields: Mapping[str, msgspec.Raw]) -> tuple[str, int]:
        """Return the size and quality of what came, and how many pictures it is."""
        items = value_of(fields.get("data"))
        told = {name: value_of(fields[name]) for name in ("size", "quality") if name in fields}
        count = sum(_is_picture(item) for item in items) if isinstance(items, list) else 0
        return _kind({**self.body, **told}), count

    @override
    def read_usage(self, fields: Mapping[str, msgspec.Raw], bound_input: int) -> Reading:
        """Count the pictures that came, by the size and quality that the answer names."""
        kind, delivered = self._came(fields)
        tokens = _tokens(value_of(fields.get("usage")))
        if tokens is None:
            return Reading(None, is_flagged=True)
        return Reading(Usage(images={kind: delivered} if delivered else {}, **tokens))


def bounds_of(body: Mapping[str, Any]) -> tuple[int, Usage]:
    """Return the most that the pictures of a checked body can come to: tokens, and units."""
    count = body.get("n") or 1
    return IMAGE_TOKENS * count, Usage(requests=0, images={_kind(body): count})


class ImagesAnswer(JsonAnswer):
    """An answer with pictures, which can be counted where its usage says nothing of their price."""

    __slots__ = ("kind", "pictures", "prompt")

    kind: str
    pictures: int
    prompt: str

    def delivered(self, count: Callable[[str], int]) -> Usage:
        """Count what came ourselves: the pictures, and about what they take in tokens."""
        if not self.pictures:
            return Usage(requests=0)
        return Usage(
            input_tokens=count(self.prompt) if self.prompt else 0,
            images={self.kind: self.pictures},
            image_output_tokens=self.pictures * USUAL_TOKENS,
        )


def _kind(body: Mapping[str, Any]) -> str:
    size, quality = body.get("size"), body.get("quality")
    if size in _ANY or quality in ("auto",):
        return "*"
    return f"{size}/{quality}" if isinstance(quality, str) else str(size)


def _is_picture(item: object) -> bool:
    return isinstance(item, dict) and bool(item.get("b64_json") or item.get("url"))


def _tokens(usage: object) -> dict[str, int] | None:
    """Return the token buckets of an image answer; None when they make no sense."""
    if usage is None:
        return {}
    if not isinstance(usage, dict):
        return None
    total_in, total_out = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    details = usage.get("input_tokens_details")
    pictures = details.get("image_tokens", 0) if isinstance(details, dict) else 0
    if not (is_count(total_in) and is_count(total_out) and is_count(pictures)):
        return None
    if pictures > total_in or total_out > IMAGE_TOKENS * MOST_IMAGES:
        return None
    return {
        "input_tokens": total_in - pictures,
        "image_input_tokens": pictures,
        "image_output_tokens": total_out,
    }
