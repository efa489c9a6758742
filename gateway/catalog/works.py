"""Which kinds of work there are, and what a model, a provider and a price need for each. Pure."""

from dataclasses import dataclass

from gateway.pricing import Price

APIS = (
    "chat", "completions", "responses", "messages",
    "embeddings", "moderations", "rerank", "images", "audio", "gemini",
)  # fmt: skip
"""What a provider or an endpoint can be said to speak."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a kind of work asks: modalities that must be there, others that mustn't, and a dialect.

    `buckets` are alternatives: a price serves when it has all of one of them.
    """

    takes: str
    gives: str
    spoken: frozenset[str]
    buckets: tuple[tuple[str, ...], ...]
    never_takes: str = ""
    never_gives: str = ""

    def fits(self, taken: tuple[str, ...], given: tuple[str, ...]) -> bool:
        """Whether a model of these modalities does such work."""
        return (
            self.takes in taken
            and self.gives in given
            and self.never_takes not in taken
            and self.never_gives not in given
        )


_TEXT = Needs(
    takes="text",
    gives="text",
    spoken=frozenset({"chat", "completions", "responses", "messages", "gemini"}),
    buckets=(("input", "output"), ("per_request",)),
)
_HEARD = Needs(
    takes="audio",
    gives="text",
    never_takes="text",
    spoken=frozenset({"audio"}),
    buckets=(("per_minute",), ("input", "output"), ("audio_input", "output")),
)
NEEDS = {
    "chat": _TEXT,
    "completions": _TEXT,
    "responses": _TEXT,
    "messages": _TEXT,
    "embeddings": Needs("text", "embeddings", frozenset({"embeddings"}), (("input",),)),
    "moderations": Needs(
        "text", "moderation", frozenset({"moderations"}), (("input",), ("per_request",))
    ),
    "rerank": Needs("text", "rerank", frozenset({"rerank"}), (("per_request",), ("input",))),
    "images": Needs("text", "image", frozenset({"images"}), (("per_image",), ("image_output",))),
    "speech": Needs(
        "text",
        "audio",
        frozenset({"audio"}),
        (("per_million_chars",), ("input", "audio_output"), ("input", "output"), ("per_minute",)),
        never_gives="text",
    ),
    "transcriptions": _HEARD,
    "translations": _HEARD,
}
"""Each kind of work. A model that also writes text talks by chat, so it is no speech model."""


def needs_of(api: str) -> Needs:
    """Return what a kind of work needs; KeyError for one that doesn't exist."""
    return NEEDS[api]


def may_be_billed(api: str, price: Price) -> bool:
    """Whether this price says what such work costs; a zero says so too."""
    return any(
        all(getattr(price, bucket) is not None for bucket in buckets)
        for buckets in NEEDS[api].buckets
    )


def served(
    taken: tuple[str, ...], given: tuple[str, ...], apis: tuple[str, ...], price: Price
) -> list[str]:
    """Return every kind of work that such a model, there, at that price, can be called for."""
    return [
        api
        for api, needs in NEEDS.items()
        if needs.fits(taken, given)
        and not needs.spoken.isdisjoint(apis)
        and may_be_billed(api, price)
    ]
