"""POST /v1/audio/speech."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.speech import SpeechCall

bp = Blueprint("speech", __name__)


@bp.post("/audio/speech")
@accepts("inference")
def create() -> Response:
    """POST /v1/audio/speech: a text, spoken (E-10)."""
    return answer(SpeechCall.parse(read_json_body()))
