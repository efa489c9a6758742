"""Ids are random, short, of one length, and written in base 62."""

import re

import pytest

import ids


def from_base62(text: str) -> int:
    number = 0
    for digit in text:
        number = number * len(ids.DIGITS) + ids.DIGITS.index(digit)
    return number


def test_an_id_is_its_prefix_and_seventeen_characters() -> None:
    for prefix in ("gen-", "key_", "resp_", ""):
        found = {ids.new_id(prefix) for _ in range(1000)}
        assert len(found) == 1000
        assert all(re.fullmatch(rf"{prefix}[0-9A-Za-z]{{17}}", one) for one in found)


def test_an_id_carries_ninety_six_random_bits() -> None:
    numbers = [from_base62(ids.new_id("")) for _ in range(4000)]
    assert max(numbers) < 2**96
    for bit in range(96):
        ones = sum(number >> bit & 1 for number in numbers)
        assert 1700 < ones < 2300, f"bit {bit} is one in {ones} of 4000"


def test_the_longest_random_number_fits_its_characters() -> None:
    assert len(ids.DIGITS) ** (ids.RANDOM_LENGTH - 1) < 2**96 < len(ids.DIGITS) ** ids.RANDOM_LENGTH
    assert from_base62(ids.base62(2**96 - 1, ids.RANDOM_LENGTH)) == 2**96 - 1


@pytest.mark.parametrize("length", [1, 2, 5, 6, 16, 17])
def test_base_62_is_filled_up_with_zeros_and_keeps_the_order_of_numbers(length: int) -> None:
    largest = 62**length - 1
    numbers = sorted({0, 1, 61, largest // 3, largest // 2, largest - 1, largest})
    written = [ids.base62(number, length) for number in numbers]
    assert [len(text) for text in written] == [length] * len(numbers)
    assert [from_base62(text) for text in written] == numbers
    assert written == sorted(written)


def test_every_checksum_of_32_bits_fits_six_characters() -> None:
    assert ids.base62(0, 6) == "000000"
    assert from_base62(ids.base62(2**32 - 1, 6)) == 2**32 - 1


def test_the_same_random_bits_may_stand_under_another_prefix() -> None:
    generation_id = ids.new_id("gen-")
    assert ids.same(generation_id, "hld_") == f"hld_{generation_id.removeprefix('gen-')}"
