"""The text of a key: recognized without a look-up, never guessed, never shown whole."""

import re
import zlib

import pytest

from gateway import key_text

KEYS = [key_text.mint("inference") for _ in range(10_000)]


def test_keys_are_a_prefix_and_43_characters_and_never_the_same() -> None:
    assert len(set(KEYS)) == len(KEYS)
    assert all(re.fullmatch(r"tp_live_[A-Za-z0-9_-]{43}", text) for text in KEYS)
    assert re.fullmatch(r"tp_mgmt_[A-Za-z0-9_-]{43}", key_text.mint("management"))


def test_every_character_is_as_likely_as_any_other() -> None:
    drawn = "".join(text[8:45] for text in KEYS)
    counts = [drawn.count(character) for character in key_text.ALPHABET]
    expected = len(drawn) / len(key_text.ALPHABET)
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < 120  # 63 degrees of freedom: once in 50,000 runs


def test_a_minted_key_is_sound() -> None:
    assert all(key_text.is_sound(text) for text in KEYS)
    assert key_text.is_sound(key_text.mint("management"))


def test_a_key_with_one_wrong_character_is_not() -> None:
    text = KEYS[0]
    for place in range(8, len(text)):
        wrong = "x" if text[place] != "x" else "y"
        assert not key_text.is_sound(text[:place] + wrong + text[place + 1 :])


@pytest.mark.parametrize("around", ["", "{}a", "{}\n", " {}", "{0}{0}", "{:.50}", "Bearer {}"])
def test_more_or_less_than_a_key_is_not_a_key(around: str) -> None:
    assert not key_text.is_sound(around.format(KEYS[0]))


def test_another_prefix_or_alphabet_is_not_a_key() -> None:
    assert not key_text.is_sound(KEYS[0].upper())
    assert not key_text.is_sound(KEYS[0].replace("tp_live_", "tp_mgmt_"))
    assert not key_text.is_sound("tp_live_" + "é" * 43)
    assert not key_text.is_sound("sk-" + "a" * 48)


def test_the_checksum_can_be_computed_by_a_secret_scanner() -> None:
    body = "tp_live_" + "A" * 37
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        check = digits[rest] + check
    assert key_text.is_sound(body + check)


def test_the_hint_has_the_kind_and_four_characters() -> None:
    assert key_text.hint_of("tp_live_" + "A" * 39 + "c91f") == "tp_live_…c91f"


def test_a_key_in_a_text_is_cut_down_to_its_hint() -> None:
    text = KEYS[0]
    assert key_text.redacted(f"use {text}, please") == f"use {key_text.hint_of(text)}, please"
    assert key_text.is_in(f"use {text}, please")
    assert not key_text.is_in(f"use {key_text.hint_of(text)}, please")
