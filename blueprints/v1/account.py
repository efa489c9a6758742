"""The account endpoints of a key: its generations, receipts, credits and its own record."""

from flask import Blueprint, Response, g, request

from blueprints.v1.door import accepts
from blueprints.v1.inference import json_response
from errors import InvalidParameterError
from gateway import reports

bp = Blueprint("account", __name__)


@bp.get("/generation")
@accepts("inference", "management")
def generation() -> Response:
    """GET /v1/generation?id=: one generation, in OpenRouter's and E-13's fields."""
    generation_id = request.args.get("id", "")
    if not generation_id:
        raise InvalidParameterError("Say which one: /v1/generation?id=gen-….", param="id")
    return json_response({"data": reports.generation(g.caller, generation_id)})


@bp.get("/receipts/<generation_id>")
@accepts("inference", "management")
def receipt(generation_id: str) -> Response:
    """GET /v1/receipts/<id>: what a generation cost, line by line, to the nano-dollar."""
    return json_response({"data": reports.receipt(g.caller, generation_id)})


@bp.get("/credits")
@accepts("inference", "management")
def credits_() -> Response:
    """GET /v1/credits: the totals of E-14."""
    return json_response({"data": reports.credit_totals(g.caller)})


@bp.get("/key")
@accepts("inference", "management")
def key() -> Response:
    """GET /v1/key: the presented key's own record."""
    return json_response({"data": reports.key(g.caller)})
