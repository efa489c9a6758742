"""The application: which blueprints, which error renderers, which commands.

`create_app` builds it for whoever needs it (the server, commands, tests); `serve` starts what a
serving process has besides: its ledger writer, its heartbeat, its watch over changes.
"""

import logging
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from dotenv import load_dotenv
from flask import Flask, Response, g, render_template, request
from flask.json.provider import JSONProvider
from flask_sqlalchemy import SQLAlchemy
from typing_extensions import override
from werkzeug.exceptions import HTTPException

import db
from blueprints import site, v1
from blueprints.v1 import door
from blueprints.v1.shape import shape_of
from errors import (
    InternalError,
    InvalidRequestError,
    LedgerUnavailableError,
    MethodNotAllowedError,
    NotFoundError,
    TooLargeError,
    TurnpikeError,
)
from gateway import catalog, telemetry
from gateway.runtime import Runtime, use
from models import Base
from settings import Settings, SettingsError, environment
from wire import errors as shapes

log = logging.getLogger(__name__)

ROOT = Path(__file__).parent
START_PATIENCE_S = 20.0
START_AGAIN_S = 0.5
SQLITE_SOUND = (3, 51, 3)
MOST_BYTES = 30 * 1024 * 1024
TRANSIENT = (429, 503)
"""Statuses that say when to come again."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}

alchemy = SQLAlchemy(metadata=Base.metadata)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; without settings, from the environment and `.env`.

    Raises: SettingsError.
    """
    if settings is None:
        load_dotenv(ROOT / ".env")
        settings = Settings.from_env(environment())
    app = Flask("turnpike", root_path=str(ROOT), instance_path=str(ROOT / "instance"))
    app.config.update(
        TURNPIKE=settings,
        TURNPIKE_ENVIRON=environment(),
        SQLALCHEMY_DATABASE_URI=db.url_of(settings.database_url),
        SQLALCHEMY_ENGINE_OPTIONS=db.engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=MOST_BYTES,
    )
    app.json = _Json(app)
    app.url_map.merge_slashes = False  # `/v1//models` is no path: 404, and no redirect
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    alchemy.init_app(app)
    with app.app_context():
        db.use(alchemy.engine)
    v1.register(app)
    app.register_blueprint(site.bp)
    app.before_request(_enter)
    app.after_request(_leave)
    app.register_error_handler(TurnpikeError, _render)
    app.register_error_handler(HTTPException, _render_http)
    app.register_error_handler(Exception, _render_defect)
    _register_commands(app)
    return app


def create_for_commands() -> Flask:
    """Build the application for `flask`: a setting that can't be is one line and exit status 2."""
    try:
        return create_app()
    except SettingsError as error:
        sys.stderr.write(f"turnpike: {error}\n")
        sys.exit(2)


def serve(app: Flask) -> Runtime:
    """Start what a serving process has besides the app: once, after the fork.

    Raises: SettingsError, CatalogFileError, LedgerUnavailableError.
    """
    settings: Settings = app.config["TURNPIKE"]
    settings.check_safe_to_serve()
    telemetry.configure_logs()
    if settings.is_sqlite and sqlite3.sqlite_version_info < SQLITE_SOUND:
        log.warning(
            "SQLite %s has a defect that two writing processes can meet (mended in 3.51.3): run "
            "long commands while the server is stopped, or use Postgres.",
            sqlite3.sqlite_version,
        )
    _patiently(lambda: catalog.provision(settings, app.config["TURNPIKE_ENVIRON"]))
    runtime = Runtime(settings)
    use(runtime)
    _patiently(runtime.begin)
    return runtime


def _patiently(work: Callable[[], object]) -> None:
    """Do what needs the database, and wait a while for a Postgres that is away.

    A worker that can't start stops the whole server, and with it the calls of the others.
    """
    give_up_at = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            work()
        except LedgerUnavailableError as error:
            if db.is_sqlite() or time.monotonic() > give_up_at:
                raise
            log.warning("the database is away: %s", error.detail)
            time.sleep(START_AGAIN_S)
        else:
            return


class _Json(JSONProvider):
    """msgspec in Flask's place: as fast as any, and it refuses NaN."""

    @override
    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        return msgspec.json.encode(obj).decode()

    @override
    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        return msgspec.json.decode(s)


def _register_commands(app: Flask) -> None:
    import cli  # noqa: PLC0415 - the commands' libraries aren't the server's

    cli.register(app)


def _enter() -> None:
    if door.is_inside(request.path):
        door.enter()


def _leave(response: Response) -> Response:
    headers = response.headers
    if door.is_inside(request.path) and "request_id" in g:
        door.leave(response)
        if (
            response.mimetype == "text/html"
        ):  # the framework's own answer to OPTIONS, which is empty
            del headers["Content-Type"]
    elif response.mimetype == "text/html":
        headers.update(PAGE_HEADERS)
    headers.update(SECURITY_HEADERS)
    return response


def _render(error: TurnpikeError) -> Response:
    """Answer in the dialect of the path; a page for everybody else."""
    if error.detail:
        log.warning("%s: %s", error.code, error.detail, extra={"request_id": g.get("request_id")})
    path = request.path
    if door.is_inside(path) or request.accept_mimetypes.best == "application/json":
        shape = shape_of(path, g.get("request_id", ""))
        response = _json(shape(error), error)
    else:
        page = render_template("errors/error.html", error=error)
        response = Response(page, status=error.status, mimetype="text/html")
    wait_s = error.retry_after_s
    if wait_s is None and error.status in TRANSIENT:
        wait_s = 1
    if wait_s is not None:
        response.headers["Retry-After"] = str(max(int(wait_s + 0.999), 1))
    return response


def _json(body: dict[str, Any], error: TurnpikeError) -> Response:
    return Response(msgspec.json.encode(body), status=error.status, mimetype="application/json")


def _render_http(error: HTTPException) -> Response:
    """What the framework refuses, in our own words."""
    response = _render(_ours(error))
    if methods := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


def _ours(error: HTTPException) -> TurnpikeError:
    where = f"{request.method} {_printable(request.path)}"
    if error.code == NotFoundError.status:
        return NotFoundError(f"There is no {where}. The endpoints are listed in /openapi.json.")
    if error.code == MethodNotAllowedError.status:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return MethodNotAllowedError(f"{where} isn't answered. This path takes {allowed}.")
    if error.code == TooLargeError.status:
        return TooLargeError("The body is too large. Send less.")
    return InvalidRequestError("The request can't be read. Check its headers and its body.")


def _printable(path: str) -> str:
    return shapes.without_keys(re.sub(r"[^\x21-\x7e]", "?", path)[:200])


def _render_defect(error: Exception) -> Response:
    """A defect: the log has it under the request's id, the caller gets only that id."""
    request_id = g.get("request_id") or "-"
    log.error("defect in request %s", request_id, exc_info=error)
    return _render(
        InternalError(
            f"Something went wrong on our side. Try again; the log has it as {request_id}."
        )
    )
