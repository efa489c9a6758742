"""POST /v1/completions: OpenAI's legacy dialect, for providers that speak it."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.completions import CompletionsCall

bp = Blueprint("completions", __name__)


@bp.post("/completions")
@accepts("inference")
def create() -> Response:
    """POST /v1/completions: the continuation of a prompt, whole or streamed."""
    return answer(CompletionsCall.parse(read_json_body()))
