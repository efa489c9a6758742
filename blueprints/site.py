"""What stands outside the API: the landing page, set-up, and the signs of life."""

import hmac
import ipaddress

import msgspec
from flask import Blueprint, Response, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST

from blueprints.arrival import address_of, settings
from blueprints.description import description
from errors import ConflictError, InvalidParameterError, NotFoundError, TurnpikeError
from gateway import health, setup

bp = Blueprint("site", __name__)

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
"""How the headers begin that a proxy adds."""


@bp.get("/")
def index() -> str:
    """GET /: what this is, and where to go on."""
    return render_template("site/index.html", base_url=_base_url())


@bp.get("/setup")
def show_setup() -> str:
    """GET /setup?code=…: the first operator's form, while nobody has been set up."""
    setup.check_open()
    code = request.args.get("code", "").strip()
    return render_template("site/setup.html", code=code, email="", problem=None)


@bp.post("/setup")
def create_operator() -> tuple[str, int] | str:
    """POST /setup: make the first operator, who owns the first workspace."""
    form = request.form
    email, code = form.get("email", "").strip(), form.get("code", "").strip()
    try:
        user, workspace_id = setup.claim(code, email, form.get("password", ""))
    except (InvalidParameterError, ConflictError) as error:
        return render_template("site/setup.html", code=code, email=email, problem=error), 422
    return render_template(
        "site/setup_done.html", email=user.email, workspace_id=workspace_id, base_url=_base_url()
    )


@bp.get("/healthz")
def healthz() -> Response:
    """GET /healthz: the process answers."""
    return _json({"status": "ok"})


@bp.get("/readyz")
def readyz() -> Response:
    """GET /readyz: the database is there and current, and the server isn't shutting down."""
    try:
        health.check_ready()
    except TurnpikeError as error:
        return _json({"status": error.code}, 503)
    return _json({"status": "ok"})


@bp.get("/metrics")
def metrics() -> Response:
    """GET /metrics: Prometheus, for the holder of the token, or on this machine without a proxy."""
    token = settings().metrics_token
    if token is not None:
        sent = request.headers.get("Authorization", "")
        if not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
            raise NotFoundError("There is no GET /metrics. Send the metrics token as a bearer.")
    elif any(name.startswith(FORWARDED) for name in request.environ) or not _is_loopback():
        raise NotFoundError("There is no GET /metrics. Set TURNPIKE_METRICS_TOKEN.")
    return Response(health.metrics(), content_type=CONTENT_TYPE_LATEST)


@bp.get("/openapi.json")
def openapi() -> Response:
    """GET /openapi.json: every path of the API, for this server's address."""
    response = Response(description(_base_url()), mimetype="application/json")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _is_loopback() -> bool:
    return ipaddress.ip_address(address_of(request)).is_loopback


def _base_url() -> str:
    return settings().public_url or request.host_url.rstrip("/")


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status=status, mimetype="application/json")
