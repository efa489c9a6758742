"""What a call used, in disjoint buckets, whatever the provider's way of counting."""

import msgspec

LARGEST_COUNT = 10**12
"""A count beyond this is no count: it is taken for absurd, and so for missing."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one call. The nine token buckets never overlap; their sum is the whole.

    OpenAI counts cached tokens inside `prompt_tokens`, reasoning inside `completion_tokens`,
    Anthropic counts cached ones outside `input_tokens`: either view is derived from these.

    Units: tokens; `images` a count by "size/quality", or by "*" where it may be any; `audio_ms`
    milliseconds; `characters`; `searches`.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    requests: int = 1
    audio_ms: int = 0
    characters: int = 0
    searches: int = 0
    images: dict[str, int] = {}

    @property
    def all_input_tokens(self) -> int:
        """OpenAI's `prompt_tokens`."""
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
            + self.image_input_tokens
        )

    @property
    def all_output_tokens(self) -> int:
        """OpenAI's `completion_tokens`."""
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.audio_output_tokens
            + self.image_output_tokens
        )


def is_count(value: object) -> bool:
    """Whether a number from outside can be a count: a whole one, not negative, not absurd."""
    return type(value) is int and 0 <= value <= LARGEST_COUNT
