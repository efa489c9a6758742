"""POST /v1/images/generations, /v1/images/edits and /v1/images/variations."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.forms import read_form
from blueprints.v1.inference import answer
from wire.image_forms import PICTURE_LIMIT_BYTES, ImageEditsCall, ImageVariationsCall
from wire.images import ImagesCall

bp = Blueprint("images", __name__)

LIMITS = {"image": PICTURE_LIMIT_BYTES, "mask": PICTURE_LIMIT_BYTES}


@bp.post("/images/generations")
@accepts("inference")
def create() -> Response:
    """POST /v1/images/generations: pictures of a prompt (E-08, E-09)."""
    return answer(ImagesCall.parse(read_json_body()))


@bp.post("/images/edits")
@accepts("inference")
def edit() -> Response:
    """POST /v1/images/edits: pictures, changed by a prompt (E-09)."""
    return answer(ImageEditsCall.of(read_form(LIMITS)))


@bp.post("/images/variations")
@accepts("inference")
def vary() -> Response:
    """POST /v1/images/variations: pictures like another (E-09)."""
    return answer(ImageVariationsCall.of(read_form(LIMITS)))
