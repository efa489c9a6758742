"""What commands have in common: JSON or a sentence on stdout, one line on stderr, the exit code.

0 is done; 1 is that something was found to be wrong, such as a database that is away; 2 is that
the arguments can't be used.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import click
from sqlalchemy.exc import ProgrammingError
from typing_extensions import override

from errors import InvalidParameterError, TurnpikeError
from money import parse_usd

OUR_FAULT = 500
"""Statuses from here on aren't the arguments' fault."""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")

NO_TABLE = "no such table"
UNMIGRATED = "The database has no tables yet, or old ones. Run: .venv/bin/flask db upgrade"


class Refused(click.ClickException):
    """Why a command did nothing, as the one line that goes to stderr."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


class Failed(Refused):
    """The same where it isn't the arguments' fault."""

    exit_code = 1


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the domain and the arguments' parser raise into a refusal.

    Raises: Refused.
    """
    try:
        yield
    except TurnpikeError as error:
        if NO_TABLE in (error.detail or ""):
            raise Failed(UNMIGRATED) from error
        kind = Refused if error.status < OUR_FAULT else Failed
        raise kind(error.message) from error
    except ProgrammingError as error:
        if "UndefinedTable" not in str(error.orig.__class__):
            raise
        raise Failed(UNMIGRATED) from error
    except ValueError as error:
        raise Refused(str(error)) from error
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise Refused(error.format_message()) from error


class Command(click.Command):
    """A command whose refusals are one line."""

    @override
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with refusals():
            return super().make_context(*args, **kwargs)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        with refusals():
            return super().invoke(ctx)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    @override
    def invoke(self, ctx: click.Context) -> Any:
        with refusals():
            return super().invoke(ctx)


def emit(facts: Mapping[str, object], *, as_json: bool, text: str) -> None:
    """Print the facts as one JSON object, or the text."""
    click.echo(json.dumps(facts) if as_json else text)


def amount_nusd(usd: str, option: str) -> int:
    """Return the nano-USD of an option's value. Raises: InvalidParameterError."""
    try:
        return parse_usd(usd)
    except ValueError as error:
        raise InvalidParameterError(f"{option}: {error}.", param=option) from error


def instant_ms(text: str, option: str) -> int:
    """Return the instant of an option's value. Raises: InvalidParameterError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidParameterError(
            f"{option}: write an instant with its offset, such as 2027-01-01T00:00:00Z.",
            param=option,
        )
    return int(moment.timestamp() * 1000)
