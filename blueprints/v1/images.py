"""POST /v1/images/generations."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.images import ImagesCall

bp = Blueprint("images", __name__)


@bp.post("/images/generations")
@accepts("inference")
def create() -> Response:
    """POST /v1/images/generations: pictures of a prompt (E-08, E-09)."""
    return answer(ImagesCall.parse(read_json_body()))
