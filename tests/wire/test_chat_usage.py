from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.chat_usage import BAD, MISSING, read_usage, shown_usage, usage_object
from wire.usage import LARGEST_COUNT, Usage


def usage(prompt: Any = 100, completion: Any = 50, **rest: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **rest}


def read(obj: object, **bounds: int) -> Usage:
    reading = read_usage(obj, **bounds)
    assert not reading.is_flagged
    assert reading.usage is not None
    return reading.usage


def test_parts_are_taken_out_of_their_wholes() -> None:
    seen = read(
        usage(
            total_tokens=150,
            prompt_tokens_details={
                "cached_tokens": 40,
                "cache_write_tokens": 5,
                "audio_tokens": 10,
                "image_tokens": 20,
                "text_tokens": 70,
            },
            completion_tokens_details={
                "reasoning_tokens": 30,
                "audio_tokens": 8,
                "image_tokens": 2,
                "accepted_prediction_tokens": 1,
                "rejected_prediction_tokens": 1,
            },
        )
    )
    assert seen == Usage(
        input_tokens=25,
        cached_input_tokens=40,
        cache_write_tokens=5,
        audio_input_tokens=10,
        image_input_tokens=20,
        output_tokens=10,
        reasoning_tokens=30,
        audio_output_tokens=8,
        image_output_tokens=2,
    )


@pytest.mark.parametrize(
    "obj",
    [
        usage(),
        usage(total_tokens=150),
        usage(total_tokens=None, prompt_tokens_details=None, completion_tokens_details=None),
        usage(prompt_tokens_details={}, completion_tokens_details={"reasoning_tokens": None}),
        usage(cost=0.1, something={"new": 1}),
    ],
)
def test_absent_and_null_parts_are_zero(obj: dict[str, Any]) -> None:
    assert read(obj) == Usage(input_tokens=100, output_tokens=50)


def test_nothing_used_is_a_usage_too() -> None:
    assert read(usage(0, 0, total_tokens=0)) == Usage()


@pytest.mark.parametrize(
    "obj",
    [
        usage(prompt_tokens_details={"cached_tokens": 40}),
        usage(prompt_cache_hit_tokens=40, prompt_cache_miss_tokens=60),
        usage(prompt_cache_hit_tokens=40),
        usage(cached_tokens=40),
        usage(cached_tokens=40, prompt_tokens_details={"cached_tokens": 40}),
        usage(prompt_cache_hit_tokens=40, prompt_tokens_details={"cached_tokens": 0}),
    ],
)
def test_each_vendors_cached_tokens_are_found(obj: dict[str, Any]) -> None:
    assert read(obj) == Usage(input_tokens=60, cached_input_tokens=40, output_tokens=50)


def test_parts_that_overlap_keep_the_sum() -> None:
    details = {"cached_tokens": 90, "audio_tokens": 30, "image_tokens": 5}
    seen = read(usage(prompt_tokens_details=details))
    assert (seen.cached_input_tokens, seen.audio_input_tokens) == (90, 10)
    assert (seen.image_input_tokens, seen.input_tokens) == (0, 0)
    assert seen.all_input_tokens == 100


def test_reasoning_outside_the_completion_is_told_by_the_total() -> None:
    details = {"reasoning_tokens": 320}
    outside = usage(32, 9, total_tokens=361, completion_tokens_details=details)
    assert read(outside) == Usage(input_tokens=32, output_tokens=9, reasoning_tokens=320)
    inside = usage(32, 400, total_tokens=432, completion_tokens_details=details)
    assert read(inside) == Usage(input_tokens=32, output_tokens=80, reasoning_tokens=320)
    assert read_usage(outside, bound_output=328) == BAD


@pytest.mark.parametrize("obj", [None, {}, {"cost": 1}, usage(None, None), {"total_tokens": 5}])
def test_a_usage_without_counts_is_missing_and_not_bad(obj: object) -> None:
    assert read_usage(obj) == MISSING


NO_COUNTS = [-1, 1.0, 1.5, "5", True, False, [], {}, 10**18, 10**400, LARGEST_COUNT + 1]


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize(
    "field",
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
    ],
)
def test_what_is_no_count_is_flagged(field: str, value: Any) -> None:
    assert read_usage({**usage(), field: value}) == BAD


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize(
    ("details", "field"),
    [
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_tokens_details", "audio_tokens"),
        ("prompt_tokens_details", "image_tokens"),
        ("prompt_tokens_details", "cache_write_tokens"),
        ("completion_tokens_details", "reasoning_tokens"),
        ("completion_tokens_details", "audio_tokens"),
        ("completion_tokens_details", "image_tokens"),
    ],
)
def test_what_is_no_count_within_the_details_is_flagged(
    details: str, field: str, value: Any
) -> None:
    assert read_usage(usage(**{details: {field: value}})) == BAD


@pytest.mark.parametrize(
    "obj",
    [
        "many",
        5,
        [],
        [usage()],
        usage(completion=None),
        usage(prompt=None),
        usage(prompt_tokens_details=[]),
        usage(completion_tokens_details="x"),
        usage(prompt_tokens_details={"cached_tokens": 101}),
        usage(prompt_tokens_details={"image_tokens": 101}),
        usage(completion_tokens_details={"reasoning_tokens": 51}),
        usage(completion_tokens_details={"audio_tokens": 51}),
        usage(cached_tokens=101),
        usage(prompt_cache_hit_tokens=101),
        usage(prompt_cache_hit_tokens=40, prompt_cache_miss_tokens=40),
        usage(total_tokens=0),
        usage(total_tokens=149),
        usage(total_tokens=151),
        usage(total_tokens=180, completion_tokens_details={"reasoning_tokens": 20}),
    ],
)
def test_what_contradicts_itself_is_flagged(obj: object) -> None:
    assert read_usage(obj) == BAD


def test_counts_beyond_the_bounds_are_flagged() -> None:
    assert read(usage(), bound_input=100, bound_output=50).all_input_tokens == 100
    assert read_usage(usage(), bound_input=99) == BAD
    assert read_usage(usage(), bound_output=49) == BAD


COUNTS = st.integers(0, 200) | st.none()
ANYTHING = st.one_of(
    COUNTS, st.integers(), st.floats(), st.text(max_size=2), st.booleans(), st.just([])
)
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens", "image_tokens"]),
    ANYTHING,
)


@settings(deadline=None, max_examples=300)
@given(ANYTHING, ANYTHING, ANYTHING, DETAILS, DETAILS)
def test_buckets_never_are_negative_and_always_sum_to_what_was_said(
    prompt: Any, completion: Any, total: Any, inside: Any, outside: Any
) -> None:
    obj = usage(
        prompt,
        completion,
        total_tokens=total,
        prompt_tokens_details=inside,
        completion_tokens_details=outside,
    )
    reading = read_usage(obj, bound_input=150, bound_output=150)
    if reading.usage is None:
        return
    seen = reading.usage
    assert not reading.is_flagged
    assert seen.all_input_tokens == prompt <= 150
    assert seen.all_output_tokens in (completion, (total or 0) - prompt)
    assert seen.all_output_tokens <= 150
    assert min(seen.input_tokens, seen.output_tokens, seen.cached_input_tokens) >= 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=9, max_size=9))
def test_a_usage_we_render_is_read_back_the_same(counts: list[int]) -> None:
    names = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]
    names.remove("cache_write_1h_tokens")
    ours = msgspec.convert(dict(zip(names, counts, strict=True)), Usage)
    assert read(usage_object(ours)) == ours


def test_only_an_estimate_is_marked_as_one() -> None:
    assert "estimated" not in usage_object(Usage())
    assert usage_object(Usage(), is_estimated=True)["estimated"] is True


def test_what_a_provider_charges_the_operator_is_not_shown() -> None:
    theirs = usage(cost=9, cost_details={"upstream_inference_cost": 9}, is_byok=False, x=1)
    shown = shown_usage(theirs, read_usage(theirs), {"cost": 0.5}, None)
    assert shown == {**usage(), "x": 1, "cost": 0.5}


def test_a_bad_usage_is_not_shown() -> None:
    theirs = usage(prompt=-5)
    assert shown_usage(theirs, read_usage(theirs), {"cost": 0}, None) == {"cost": 0}
    shown = shown_usage(theirs, read_usage(theirs), {"cost": 0}, Usage(input_tokens=3))
    assert (shown["prompt_tokens"], shown["estimated"], shown["cost"]) == (3, True, 0)
