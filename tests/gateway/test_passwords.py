"""Passwords: which are refused, and that a right one is known again."""

import time

import pytest

from errors import InvalidParameterError
from gateway import passwords


def test_a_right_password_is_known_again_and_a_wrong_one_is_not() -> None:
    kept = passwords.hash_password("a fine long phrase")
    assert passwords.verify(kept, "a fine long phrase")
    assert not passwords.verify(kept, "a fine long phrasE")
    assert not passwords.verify(kept, "")


def test_a_hash_is_argon2id_with_its_own_salt() -> None:
    first, second = (passwords.hash_password("a fine long phrase") for _ in range(2))
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "phrase" not in first


@pytest.mark.parametrize("password", ["", "short", "elevenchars"])
def test_a_short_password_is_refused(password: str) -> None:
    with pytest.raises(InvalidParameterError, match="too short") as refused:
        passwords.hash_password(password)
    assert refused.value.param == "password"


def test_twelve_characters_are_enough_and_128_are_not_too_many() -> None:
    passwords.check("abcde fghij!")
    passwords.check("abcdefgh" * 16)
    with pytest.raises(InvalidParameterError, match="too long"):
        passwords.check("abcdefgh" * 16 + "x")


@pytest.mark.parametrize(
    "password", ["password1234", "PassWord1234", "qwertyuiop123", "123456789012", "a" * 40,
                 "abababababab", "CorrectHorseBatteryStaple"],
)  # fmt: skip
def test_the_commonest_are_refused(password: str) -> None:
    with pytest.raises(InvalidParameterError, match="first to be guessed"):
        passwords.check(password)


@pytest.mark.parametrize(
    "password",
    [
        "пароль для дома",
        "密码很长并且没有人会猜到它的",
        "🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧",
        "tab\tand\0nul!",
    ],
)
def test_any_character_may_be_used(password: str) -> None:
    assert passwords.verify(passwords.hash_password(password), password)


def test_a_letter_that_another_keyboard_composes_differently_is_the_same() -> None:
    kept = passwords.hash_password("cafe\u0301 au lait, tous les jours")
    assert passwords.verify(kept, "caf\u00e9 au lait, tous les jours")


@pytest.mark.parametrize("kept", [None, "", "not a hash", "$argon2id$v=19$broken"])
def test_without_a_sound_hash_no_password_is_right(kept: str | None) -> None:
    assert not passwords.verify(kept, "a fine long phrase")


def test_a_user_without_a_password_takes_as_long_as_one_with() -> None:
    kept = passwords.hash_password("a fine long phrase")
    took_s = {}
    for name, stored in (("nobody", None), ("somebody", kept)):
        best_s = float("inf")
        for _ in range(3):
            began_s = time.perf_counter()
            passwords.verify(stored, "some other long phrase")
            best_s = min(best_s, time.perf_counter() - began_s)
        took_s[name] = best_s
    assert took_s["nobody"] > took_s["somebody"] / 3
