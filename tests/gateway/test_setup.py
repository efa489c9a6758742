"""The first start and the one set-up: each happens once, whoever races."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import MappingProxyType
from typing import TypeVar

import pytest
from sqlalchemy import Engine, select

import db
from errors import ConflictError, InvalidParameterError, NotFoundError, TurnpikeError
from gateway import callers, key_text, ledger, passwords, setup, workspaces
from gateway.catalog import Catalog, GatewayOptions
from models import Audit, Key, Member, Option, User, Workspace
from money import USD
from settings import Settings

T = TypeVar("T")
RACERS = 20
PASSWORD = "a fine long phrase"
NO_MODELS = Catalog(
    revision=0, models=MappingProxyType({}), aliases=MappingProxyType({}), options=GatewayOptions()
)


def race(work: Callable[[int], T]) -> list[T | TurnpikeError]:
    """What each of twenty threads got that all begin at once."""
    barrier = Barrier(RACERS)

    def run(number: int) -> T | TurnpikeError:
        barrier.wait()
        try:
            return work(number)
        except TurnpikeError as error:
            return error

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(run, range(RACERS)))


def begun() -> setup.FirstRun:
    first = setup.first_run()
    assert first is not None
    return first


def test_a_first_run_makes_credit_and_a_key_that_works(database: Engine) -> None:
    first = begun()
    with db.reading() as session:
        assert ledger.balance_nusd(session, first.workspace_id) == (5 * USD, 0)
        assert session.get_one(Workspace, first.workspace_id).has_every_class
        caller = callers.load(session, key_text.hash_of(first.key))
        assert session.scalars(select(User)).all() == []
    assert caller is not None
    assert caller.workspace_id == first.workspace_id


def test_only_the_hash_of_code_and_key_are_kept(database: Engine) -> None:
    first = begun()
    with db.reading() as session:
        option = session.get_one(Option, "setup")
        key = session.scalars(select(Key)).one()
        audit = "".join((row.after or "") for row in session.scalars(select(Audit)))
    assert first.code not in option.value
    assert first.key not in (key.hash + key.hint + audit)
    assert first.code not in audit


def test_a_second_run_finds_it_done(database: Engine) -> None:
    begun()
    assert setup.first_run() is None


def test_a_database_with_users_has_no_first_run(database: Engine) -> None:
    with db.transaction() as session:
        workspaces.create_user(session, "ada@example.com", actor="cli")
    assert setup.first_run() is None


def test_of_twenty_first_runs_one_makes_a_workspace(database: Engine) -> None:
    found = [first for first in race(lambda _: setup.first_run()) if first is not None]
    assert len(found) == 1
    with db.reading() as session:
        assert len(session.scalars(select(Workspace)).all()) == 1
        assert len(session.scalars(select(Key)).all()) == 1


def test_a_claim_makes_the_operator_who_owns_the_first_workspace(database: Engine) -> None:
    first = begun()
    setup.check_open()
    user, workspace_id = setup.claim(first.code, " Ada@Example.com ", PASSWORD)
    assert (user.email, user.is_operator, workspace_id) == (
        "ada@example.com", True, first.workspace_id
    )  # fmt: skip
    assert passwords.verify(user.password_hash, PASSWORD)
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
        actions = session.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert (member.workspace_id, member.role) == (first.workspace_id, "owner")
    assert actions[-2:] == ["users.create", "setup.claim"]


def test_set_up_is_closed_for_good_after_a_claim(database: Engine) -> None:
    first = begun()
    setup.claim(first.code, "ada@example.com", PASSWORD)
    with pytest.raises(NotFoundError):
        setup.check_open()
    with pytest.raises(NotFoundError):
        setup.claim(first.code, "eve@example.com", PASSWORD)
    with pytest.raises(ConflictError):
        setup.new_code()
    with db.transaction() as session:
        session.scalars(select(User)).one().is_operator = False
    with pytest.raises(NotFoundError):
        setup.check_open()
    with pytest.raises(ConflictError):
        setup.new_code()


def test_of_twenty_claims_one_makes_an_operator(database: Engine) -> None:
    first = begun()
    got = race(lambda number: setup.claim(first.code, f"racer{number}@example.com", PASSWORD))
    assert sum(not isinstance(one, TurnpikeError) for one in got) == 1
    assert sum(isinstance(one, NotFoundError) for one in got) == RACERS - 1
    with db.reading() as session:
        assert len(session.scalars(select(User)).all()) == 1
        assert len(session.scalars(select(Member)).all()) == 1


@pytest.mark.parametrize("code", ["", "nope", "\ud800", "é" * 40])
def test_a_wrong_code_is_refused_with_the_way_to_a_new_one(database: Engine, code: str) -> None:
    begun()
    with pytest.raises(InvalidParameterError, match="flask setup-code") as refused:
        setup.claim(code, "eve@example.com", PASSWORD)
    assert refused.value.param == "code"
    setup.check_open()


@pytest.mark.parametrize(
    ("email", "password", "param"),
    [("nobody", PASSWORD, "email"), ("ada@example.com", "short", "password")],
)
def test_a_claim_that_is_refused_leaves_the_code_as_it_was(
    database: Engine, email: str, password: str, param: str
) -> None:
    first = begun()
    with pytest.raises(InvalidParameterError) as refused:
        setup.claim(first.code, email, password)
    assert refused.value.param == param
    setup.claim(first.code, "ada@example.com", PASSWORD)


def test_a_taken_address_leaves_set_up_open(database: Engine) -> None:
    first = begun()
    with db.transaction() as session:
        workspaces.create_user(session, "ada@example.com", actor="cli")
    with pytest.raises(ConflictError):
        setup.claim(first.code, "ada@example.com", PASSWORD)
    setup.check_open()
    setup.claim(first.code, "grace@example.com", PASSWORD)


def test_a_new_code_takes_the_place_of_the_one_before(database: Engine) -> None:
    first = begun()
    code = setup.new_code()
    with pytest.raises(InvalidParameterError):
        setup.claim(first.code, "ada@example.com", PASSWORD)
    _, workspace_id = setup.claim(code, "ada@example.com", PASSWORD)
    assert workspace_id == first.workspace_id


def test_without_a_first_run_a_claim_makes_a_workspace_of_its_own(database: Engine) -> None:
    with db.transaction() as session:
        workspaces.create_user(session, "ada@example.com", actor="cli")
    _, workspace_id = setup.claim(setup.new_code(), "grace@example.com", PASSWORD)
    with db.reading() as session:
        assert session.get_one(Workspace, workspace_id).name == "grace"


def test_an_operator_made_by_command_closes_set_up(database: Engine) -> None:
    first = begun()
    with db.transaction() as session:
        workspaces.create_user(session, "ada@example.com", is_operator=True, actor="cli")
        setup.close(session)
    with pytest.raises(NotFoundError):
        setup.claim(first.code, "eve@example.com", PASSWORD)


@pytest.mark.parametrize(
    ("options", "base"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80"),  # noqa: S104 - only printed
        ({"host": "::"}, "http://[::1]:8000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"public_url": "https://ai.example.com"}, "https://ai.example.com"),
    ],
)
def test_the_address_is_one_that_can_be_visited(options: dict[str, object], base: str) -> None:
    assert setup.base_url(Settings(**options)) == base  # type: ignore[arg-type]


def test_a_later_start_prints_the_address_only() -> None:
    assert setup.welcome(Settings(), None, NO_MODELS) == "Turnpike is at http://127.0.0.1:8000"


def test_without_a_model_the_welcome_says_what_to_set() -> None:
    first = setup.FirstRun("tp_live_x", "code", "wks_1")
    text = setup.welcome(Settings(), first, NO_MODELS)
    assert "http://127.0.0.1:8000/setup?code=code" in text
    assert "OPENAI_API_KEY" in text
    assert "curl" not in text


def test_the_curl_line_carries_json_and_the_key() -> None:
    line = setup.curl_line("http://127.0.0.1:8000", "tp_live_x", "sandbox/echo")
    body = line.partition("-d '")[2].removesuffix("'")
    assert json.loads(body)["model"] == "sandbox/echo"
    assert line.startswith("curl http://127.0.0.1:8000/v1/chat/completions ")
    assert '"Authorization: Bearer tp_live_x"' in line
