"""POST /v1/responses: OpenAI's newer dialect, for any model."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.responses_call import ResponsesCall

bp = Blueprint("responses", __name__)


@bp.post("/responses")
@accepts("inference")
def create() -> Response:
    """POST /v1/responses: one paid response, whole or streamed (B-19)."""
    return answer(ResponsesCall.parse(read_json_body()))
