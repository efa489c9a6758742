"""`flask users create` and `flask keys create`: flags, JSON and exit codes."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

import db
from errors import NotFoundError
from gateway import callers, key_text, passwords, setup
from models import Cap, Key, User

Run = Callable[..., Result]
Answer = Callable[..., Any]
USD = 1_000_000_000


def refusal(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    return result.stderr


def workspace_of(answer: Answer) -> str:
    workspace_id: str = answer("users", "create", "ada@example.com")["workspace_id"]
    return workspace_id


def test_a_user_is_made_with_a_workspace(answer: Answer) -> None:
    made = answer("users", "create", "Ada@Example.com")
    assert set(made) == {"user_id", "workspace_id"}
    with db.reading() as session:
        user = session.get_one(User, made["user_id"])
    assert (user.email, user.is_operator, user.password_hash) == ("ada@example.com", False, None)


def test_a_password_is_read_from_standard_input_without_its_line_end(answer: Answer) -> None:
    made = answer(
        "users", "create", "ada@example.com", "--password-stdin", input="a fine long phrase \r\n"
    )
    with db.reading() as session:
        user = session.get_one(User, made["user_id"])
    assert passwords.verify(user.password_hash, "a fine long phrase ")


def test_an_operator_made_by_command_closes_set_up(answer: Answer, run: Run) -> None:
    setup.first_run()
    answer("users", "create", "ada@example.com", "--operator")
    with pytest.raises(NotFoundError):
        setup.check_open()
    assert "set up already" in refusal(run("setup-code"))


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (("nobody",), "", "e-mail address"),
        (("ada@example.com", "--password-stdin"), "short\n", "too short"),
        (("ada@example.com", "--bogus"), "", "--bogus"),
        ((), "", "EMAIL"),
    ],
)
def test_a_user_that_cannot_be_is_one_line_and_exit_2(
    run: Run, words: tuple[str, ...], typed: str, sentence: str
) -> None:
    assert sentence in refusal(run("users", "create", *words, "--json", input=typed))
    with db.reading() as session:
        assert session.scalars(select(User)).all() == []


def test_an_address_that_is_taken_is_exit_2(answer: Answer, run: Run) -> None:
    workspace_of(answer)
    assert "taken" in refusal(run("users", "create", "ADA@example.com"))


def test_a_key_is_printed_once_and_works(answer: Answer) -> None:
    workspace_id = workspace_of(answer)
    made = answer("keys", "create", "--workspace", workspace_id, "--name", "laptop")
    assert set(made) == {"id", "key"}
    with db.reading() as session:
        caller = callers.load(session, key_text.hash_of(made["key"]))
    assert caller is not None
    assert (caller.key_id, caller.workspace_id, caller.kind) == (
        made["id"], workspace_id, "inference"
    )  # fmt: skip


def test_every_option_of_a_key_is_kept(answer: Answer) -> None:
    made = answer(
        "keys", "create", "--workspace", workspace_of(answer), "--name", "ci",
        "--limit-usd", "2.50", "--limit-reset", "weekly", "--rpm", "30",
        "--models", "sandbox/echo, sandbox/lorem", "--expires-at", "2099-01-01T01:00:00+01:00",
    )  # fmt: skip
    with db.reading() as session:
        key, cap = session.get_one(Key, made["id"]), session.scalars(select(Cap)).one()
    assert (key.name, key.rpm, key.expires_at) == ("ci", 30, 4_070_908_800_000)
    assert key.models == '["sandbox/echo","sandbox/lorem"]'
    assert (cap.subject_id, cap.period, cap.limit_nusd) == (key.id, "week", 5 * USD // 2)


def test_a_management_key_has_its_own_prefix(answer: Answer) -> None:
    words = ("--workspace", workspace_of(answer), "--name", "boss", "--management")
    assert answer("keys", "create", *words)["key"].startswith("tp_mgmt_")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--workspace", "wks_nobody"), "wks_nobody"),
        (("--limit-usd", "-1"), "--limit-usd"),
        (("--limit-usd", "1e3"), "--limit-usd"),
        (("--limit-reset", "hourly"), "--limit-reset"),
        (("--rpm", "many"), "--rpm"),
        (("--rpm", "-1"), "rpm"),
        (("--expires-at", "tomorrow"), "--expires-at"),
        (("--expires-at", "2020-01-01T00:00:00"), "--expires-at"),
        (("--expires-at", "2020-01-01T00:00:00Z"), "expires_at"),
    ],
)
def test_a_key_that_cannot_be_is_one_line_and_exit_2(
    answer: Answer, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    workspace_id = workspace_of(answer)
    result = run("keys", "create", "--workspace", workspace_id, "--name", "x", *words, "--json")
    assert sentence in refusal(result)
    with db.reading() as session:
        assert session.scalars(select(Key)).all() == []
