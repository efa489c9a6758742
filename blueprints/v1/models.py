"""GET /v1/models and /v1/models/<id>; the twins under /api/v1 are public and carry prices."""

from typing import Any

from flask import Blueprint, Response, request

from blueprints.v1.door import accepts
from blueprints.v1.inference import json_response
from gateway import listing

bp = Blueprint("models", __name__)
public = Blueprint("public_models", __name__)

FILTERS = ("category", "q", "supported_parameters", "output_modalities", "offset", "limit")


@bp.get("/models")
@accepts("inference")
def index() -> Response:
    """GET /v1/models: every model and alias, in OpenAI's shape with prices (A-21, B-20, C-18)."""
    return json_response({"object": "list", "data": listing.models(_filters())[0]})


@bp.get("/models/<path:model_id>")
@accepts("inference")
def show(model_id: str) -> Response:
    """GET /v1/models/<id>: one model or alias (C-19)."""
    return json_response(listing.model(model_id))


@public.get("/models")
@accepts("none")
def index_public() -> Response:
    """GET /api/v1/models: the public catalog, without a key (D-17, E-12)."""
    page, total = listing.models(_filters())
    return json_response({"object": "list", "data": page, "total_count": total})


@public.get("/models/<path:model_id>/endpoints")
@accepts("none")
def endpoints(model_id: str) -> Response:
    """GET /api/v1/models/<id>/endpoints: where a model runs, and at what price."""
    return json_response({"data": listing.endpoints(model_id)})


@public.get("/models/<path:model_id>")
@accepts("none")
def show_public(model_id: str) -> Response:
    """GET /api/v1/models/<id>: public detail (D-18)."""
    return json_response({"data": listing.model(model_id), **listing.model(model_id)})


def _filters() -> dict[str, Any]:
    return {name: request.args[name] for name in FILTERS if name in request.args}
