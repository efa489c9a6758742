"""Every error of the tree in each of its three shapes. Over HTTP: `tests/v1/test_errors.py`."""

import re
from collections.abc import Iterator

import msgspec
import pytest

import errors
from errors import InvalidParameterError, TurnpikeError
from wire import errors as shapes


def kinds(kind: type[TurnpikeError] = TurnpikeError) -> Iterator[type[TurnpikeError]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds(below)


KINDS = sorted(
    (kind for kind in set(kinds()) if kind.__module__ == errors.__name__),
    key=lambda kind: kind.__name__,
)
"""The tree of `errors.py`; a subclass elsewhere is rendered as the class it stands under."""

KEY = "tp_live_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def told(kind: type[TurnpikeError]) -> TurnpikeError:
    return kind(
        "It went wrong. Try again.",
        param="messages[0].role",
        retry_after_s=2.5,
        provider="acme",
        detail="status 500 from 10.0.0.7 with sk-secret",
        facts={"affordable_max_tokens": 12},
    )


@each_kind
def test_openais_shape_has_a_code_of_text(kind: type[TurnpikeError]) -> None:
    body = shapes.openai(told(kind))
    assert list(body) == ["error"]
    assert body["error"] == {
        "message": "It went wrong. Try again.",
        "type": kind.type,
        "param": "messages[0].role",
        "code": kind.code,
        "metadata": {"affordable_max_tokens": 12},
    }
    assert re.fullmatch("[a-z_]+", kind.code)


@each_kind
def test_openrouters_shape_has_a_numeric_code_and_the_flat_one_beside_it(
    kind: type[TurnpikeError],
) -> None:
    body = shapes.openrouter(told(kind))
    assert set(body) == {"error", "code", "message"}
    assert (body["code"], body["message"]) == (kind.status, "It went wrong. Try again.")
    error = body["error"]
    assert (error["code"], error["message"], error["type"]) == (
        kind.status,
        "It went wrong. Try again.",
        kind.code,
    )
    assert error["metadata"]["provider_name"] == "acme"
    assert error["metadata"]["affordable_max_tokens"] == 12
    assert re.fullmatch("[a-z_]+", error["metadata"]["error_type"])


@each_kind
def test_anthropics_shape_names_one_of_its_own_types(kind: type[TurnpikeError]) -> None:
    body = shapes.anthropic(told(kind), "req_1")
    assert body == {
        "type": "error",
        "error": {"type": body["error"]["type"], "message": "It went wrong. Try again."},
        "request_id": "req_1",
    }
    assert body["error"]["type"] == shapes.ANTHROPIC_TYPES.get(kind.status, "api_error")


@each_kind
def test_what_is_meant_for_the_log_stays_out_of_every_shape(kind: type[TurnpikeError]) -> None:
    error = told(kind)
    for body in (shapes.openai(error), shapes.openrouter(error), shapes.anthropic(error, "req_1")):
        text = msgspec.json.encode(body)
        assert b"10.0.0.7" not in text
        assert b"sk-secret" not in text


def test_a_key_that_was_sent_in_the_wrong_place_isnt_repeated() -> None:
    error = InvalidParameterError(f"`{KEY}` isn't a model. Check the model name.", param=KEY)
    for body in (shapes.openai(error), shapes.openrouter(error), shapes.anthropic(error, "req_1")):
        text = msgspec.json.encode(body).decode()
        assert KEY not in text
        assert "tp_live_…" in text


def test_the_tree_in_the_docstring_has_every_class() -> None:
    drawn = set(re.findall(r"\w+Error", errors.__doc__ or ""))
    assert drawn == {"TurnpikeError", *(kind.__name__ for kind in KINDS)}


def test_statuses_and_codes_are_what_clients_may_branch_on() -> None:
    codes: dict[str, int] = {}
    for kind in KINDS:
        assert 400 <= kind.status <= 503
        assert codes.setdefault(kind.code, kind.status) == kind.status, kind.__name__
