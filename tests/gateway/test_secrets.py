import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.secrets import FILE, SecretBox, SecretKeyError, derive, load_or_make
from settings import Settings, SettingsError

BOX = SecretBox(("new", "old"))


@given(st.text(), st.text())
def test_what_is_sealed_opens_only_where_it_is_bound_to(plain: str, bound_to: str) -> None:
    sealed = BOX.seal(plain, bound_to)
    assert BOX.open_sealed(sealed, bound_to) == plain
    with pytest.raises(SecretKeyError, match="altered or belongs to another row"):
        BOX.open_sealed(sealed, f"{bound_to}!")


def test_two_seals_of_one_secret_differ() -> None:
    assert BOX.seal("x", "a") != BOX.seal("x", "a")


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    old = SecretBox(("old",)).seal("x", "a")
    assert BOX.open_sealed(old, "a") == "x"
    assert not BOX.is_newest(old)
    assert BOX.is_newest(BOX.seal("x", "a"))


def test_a_wrong_key_is_refused_in_words() -> None:
    sealed = SecretBox(("other",)).seal("plain-secret", "providers:acme")
    with pytest.raises(SecretKeyError) as caught:
        BOX.open_sealed(sealed, "providers:acme")
    assert "TURNPIKE_SECRET_KEYS has no key that opens the secret of providers:acme" in str(
        caught.value
    )
    assert "plain-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "v1", "v1..", "v2.a.b", "nonsense"])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(SecretKeyError):
        BOX.open_sealed(text, "a")


def test_an_altered_secret_is_refused() -> None:
    sealed = BOX.seal("x", "a")
    for altered in (sealed[:-4] + "AAAA", sealed + "!", sealed[:20]):
        with pytest.raises(SecretKeyError):
            BOX.open_sealed(altered, "a")


def test_a_box_needs_a_key_and_prints_none() -> None:
    with pytest.raises(SecretKeyError, match="TURNPIKE_SECRET_KEYS"):
        SecretBox(())
    assert "old" not in repr(BOX)


def test_purposes_give_unrelated_keys() -> None:
    assert derive("k", "a") != derive("k", "b")
    assert len(derive("k", "a")) == 32


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    made = load_or_make(Settings(), folder)
    assert load_or_make(Settings(), folder) == made
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_the_setting_goes_before_the_file(tmp_path: Path) -> None:
    assert load_or_make(Settings(secret_keys=("set",)), tmp_path / "none") == ("set",)
    assert not (tmp_path / "none").exists()


def test_several_kept_keys_are_read_newest_first(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("new\nold\n")
    assert load_or_make(Settings(), tmp_path) == ("new", "old")


def test_an_empty_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        load_or_make(Settings(), tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        load_or_make(Settings(), tmp_path)
