"""POST /v1/embeddings, /v1/moderations and /v1/rerank: one object in, one object out."""

from flask import Blueprint, Response

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer
from wire.json_call import EmbeddingsCall, ModerationsCall, RerankCall

bp = Blueprint("vectors", __name__)


@bp.post("/embeddings")
@accepts("inference")
def create_embeddings() -> Response:
    """POST /v1/embeddings: vectors of texts or tokens."""
    return answer(EmbeddingsCall.parse(read_json_body()))


@bp.post("/moderations")
@accepts("inference")
def create_moderation() -> Response:
    """POST /v1/moderations: whether texts or pictures are harmful."""
    return answer(ModerationsCall.parse(read_json_body()))


@bp.post("/rerank")
@accepts("inference")
def create_rerank() -> Response:
    """POST /v1/rerank: documents in the order of their use for a query."""
    return answer(RerankCall.parse(read_json_body()))
