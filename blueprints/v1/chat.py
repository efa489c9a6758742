"""POST /v1/chat/completions."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.chat import ChatCall

bp = Blueprint("chat", __name__)


@bp.post("/chat/completions")
@accepts("inference")
def create() -> Response:
    """POST /v1/chat/completions: one paid chat generation, whole or streamed."""
    return answer(ChatCall.parse(read_json_body()))
