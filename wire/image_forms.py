"""POST /images/edits and /images/variations: pictures in as a form, pictures out."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from errors import InvalidParameterError
from wire.form import Form
from wire.images import ImagesCall, bounds_of
from wire.json_call import OWN_FIELDS, check_common

PICTURE_LIMIT_BYTES = 20 * 1024 * 1024
MOST_PICTURES = 16

_NOT_STREAMED = ("", "false", "False", "0")


@dataclass(slots=True, kw_only=True)
class ImageEditsCall(ImagesCall):
    """A checked request to change pictures by a prompt."""

    path = "/images/edits"
    most: ClassVar[int] = MOST_PICTURES

    form: Form

    @classmethod
    def of(cls, form: Form) -> Self:
        """Check a form.

        Raises: InvalidParameterError.
        """
        body = _typed(form)
        check_common(body)
        cls.check(body)
        pictures = [part for part in form.files if part.name in ("image", "image[]")]
        if not all(part.size_bytes for part in form.files) or not 1 <= len(pictures) <= cls.most:
            raise InvalidParameterError(
                f"image must be from 1 to {cls.most} files that aren't empty.", param="image"
            )
        output_limit, units = bounds_of(body)
        return cls(
            body=body,
            model=body["model"],
            session_id=body.get("session_id"),
            output_limit=output_limit,
            units=units,
            form=form,
        )

    @property
    def content_type(self) -> str:
        """What goes upstream."""
        return self.form.content_type

    @override
    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Bound the prompt, and each picture by what the model takes for one."""
        prompt = self.body.get("prompt", "")
        texts = exact(prompt) if exact is not None else len(prompt.encode())
        return texts + max_image_tokens * len(self.form.files)

    @override
    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> Any:
        return self.form.pieces(upstream_model, OWN_FIELDS)


class ImageVariationsCall(ImageEditsCall):
    """A checked request for pictures like another."""

    path = "/images/variations"
    most = 1

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/images/createVariation (2026-11-21)."""
        super().check({"prompt": "none", **body})


def _typed(form: Form) -> dict[str, Any]:
    """Return the texts of a form as a JSON request would have them."""
    body: dict[str, Any] = dict(form.texts)
    count = body.get("n")
    if count is not None and count.isascii() and count.isdecimal():
        body["n"] = int(count[:6])
    if body.get("stream") in _NOT_STREAMED:
        body.pop("stream")
    return body
