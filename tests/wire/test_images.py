"""What a picture's answer tells, and what we count where it tells nothing."""

from wire.images import USUAL_TOKENS, ImagesCall

ASKED = b'{"model": "m", "prompt": "a bridge", "size": "1024x1024", "quality": "high"}'


def test_pictures_without_usage_are_counted_in_pictures_and_in_tokens() -> None:
    call = ImagesCall.parse(ASKED)
    raw = b'{"created": 1, "data": [{"url": "https://x/1"}, {"url": "https://x/2"}]}'
    answer = call.parse_answer(raw, bound_input=100, bound_output=100)
    counted = answer.delivered(len)
    assert counted.images == {"1024x1024/high": 2}
    assert counted.image_output_tokens == 2 * USUAL_TOKENS
    assert counted.input_tokens == len("a bridge")


def test_what_is_no_picture_is_not_counted() -> None:
    answer = ImagesCall.parse(ASKED).parse_answer(
        b'{"created": 1, "data": [{"b64_json": ""}]}', bound_input=100, bound_output=100
    )
    assert answer.delivered(len).images == {}
    assert answer.delivered(len).image_output_tokens == 0
