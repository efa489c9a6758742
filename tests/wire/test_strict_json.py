import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import InvalidParameterError, InvalidRequestError
from wire.strict_json import (
    MOST_CONTAINERS,
    MOST_LEVELS,
    decode_object,
    decode_value,
    encode,
)

REMEDY = "Check the model name and the message format."
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


def refusal(raw: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        decode_object(raw)
    return caught.value


def test_a_plain_object_is_read() -> None:
    assert decode_object(b' {"model": "m", "n": 1, "t": 0.5, "x": [null, true]} ') == {
        "model": "m",
        "n": 1,
        "t": 0.5,
        "x": [None, True],
    }


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert decode_object(encode(value)) == value
    assert decode_object(json.dumps(value).encode()) == value


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=40) | st.text('{}[]",:\\ud8c0fe1N-.9 ', max_size=40).map(str.encode))
def test_any_bytes_are_an_object_or_a_400_and_never_a_lone_surrogate(raw: bytes) -> None:
    refused, value = "", None
    try:
        value = decode_object(b'{"a":' + raw + b"}")
    except InvalidRequestError as error:
        refused = error.message
    assert not refused or refused.endswith(REMEDY)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b"{",
        b'{"a":1',
        b"{}{}",
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":.5}',
        b'{"a":"\n"}',
        b'{"a":"\\q"}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":nan}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        b'\x00{"a":1}',
        b'{"a":1}\x00',
        b'{"a":\x001}',
        b'{"a":"\x00"}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xff":1}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud800 and much more text after it"}',
        b'{"a":"\\ud800\\ud800"}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"a":"\\udc00"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\ud800":1}',
    ],
)
def test_malformed_bodies_are_a_400_that_ends_in_a_remedy(raw: bytes) -> None:
    error = refusal(raw)
    assert error.status == 400
    assert error.message.endswith(REMEDY)


@pytest.mark.parametrize("raw", [b"[]", b"null", b"1", b'"model"', b"[{}]", b"true"])
def test_a_top_level_other_than_an_object_is_refused(raw: bytes) -> None:
    assert "one JSON object" in refusal(raw).message


def test_the_place_of_a_syntax_error_is_told() -> None:
    assert "byte 13" in refusal(b'{"model":"m",}').message


def test_of_a_duplicate_key_the_last_one_wins() -> None:
    assert decode_object(b'{"model":"a","model":"b"}') == {"model": "b"}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decode_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "😀"}


def test_an_escaped_nul_within_a_text_is_text() -> None:
    assert decode_object(b'{"a":"\\u0000"}') == {"a": "\0"}


@pytest.mark.parametrize(
    ("number", "is_read"),
    [
        ("9223372036854775807", True),
        ("18446744073709551615", True),
        ("18446744073709551616", False),
        ("-9223372036854775808", True),
        ("-9223372036854775809", False),
        ("99999999999999999999999", False),
        ("1" * 5_000, False),
        ("-" + "1" * 5_000, False),
        ("0.12345678901234567890123", True),
        ("1e400", False),
        ("-1e400", False),
        ("1e308", True),
        ("1e-400", True),
    ],
)
def test_numbers_beyond_64_bits_or_a_double_are_refused_with_their_path(
    number: str, is_read: bool
) -> None:
    raw = b'{"messages":[{},{"top k":[0,%s]}]}' % number.encode()
    if is_read:
        assert decode_object(raw)
        return
    error = refusal(raw)
    assert isinstance(error, InvalidParameterError)
    assert error.param == "messages[1].top k[1]"
    assert "`messages[1].top k[1]`" in error.message
    assert error.message.endswith(REMEDY)


def test_a_long_run_of_digits_in_a_text_is_no_number() -> None:
    assert decode_object(b'{"a":"%s"}' % (b"7" * 5_000)) == {"a": "7" * 5_000}


def test_a_path_never_echoes_a_key_that_could_forge_a_line() -> None:
    assert refusal(b'{"a\\nb":1e999}').param == "?"
    assert refusal(b'{"%s":1e999}' % (b"k" * 65)).param == "?"


def test_the_path_is_left_out_where_finding_it_would_cost_a_second_reading() -> None:
    error = refusal(b'{"pad":"%s","n":1e999}' % (b"x" * 70_000))
    assert isinstance(error, InvalidParameterError)
    assert error.param is None


def test_a_huge_number_below_deep_nesting_is_a_400() -> None:
    assert refusal(b'{"a":' * 500 + b"1e999" + b"}" * 500).status == 400


@pytest.mark.parametrize("opener", [b"[", b'{"a":'])
def test_nesting_is_bounded_to_the_level(opener: bytes) -> None:
    closer = b"]" if opener == b"[" else b"}"
    inner = MOST_LEVELS - 1
    assert decode_object(b'{"a":' + opener * inner + b"1" + closer * inner + b"}")
    for levels in (MOST_LEVELS, 900, 5_000, 100_000):
        raw = b'{"a":' + opener * levels + b"1" + closer * levels + b"}"
        assert f"deeper than {MOST_LEVELS} levels" in refusal(raw).message
    assert refusal(b'{"a":' + opener * 100_000).status == 400


def test_many_shallow_containers_are_not_deep() -> None:
    assert len(decode_object(b'{"a":[' + b"{}," * 5_000 + b"{}]}")["a"]) == 5_001


def test_millions_of_tiny_containers_are_refused_before_they_are_made() -> None:
    raw = b'{"a":[' + b"[]," * MOST_CONTAINERS + b"[]]}"
    began = time.process_time()
    assert "more than" in refusal(raw).message
    assert time.process_time() - began < 0.1


def test_ten_megabytes_of_an_inline_image_are_read_fast() -> None:
    raw = b'{"a":"' + b"QUJD0123" * 1_250_000 + b'"}'
    began = time.process_time()
    decode_object(raw)
    assert time.process_time() - began < 0.3


def test_other_json_is_read_by_the_same_rules() -> None:
    assert decode_value(b"[1]") == [1]
    with pytest.raises(ValueError, match="too large"):
        decode_value(b"[1e999]")
    with pytest.raises(ValueError, match="UTF-8"):
        decode_value(b'"\xff"')
