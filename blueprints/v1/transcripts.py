"""POST /v1/audio/transcriptions and /v1/audio/translations."""

from flask import Blueprint, Response

from blueprints.v1.door import accepts
from blueprints.v1.forms import read_form
from blueprints.v1.inference import answer
from wire.transcripts import FILE_LIMIT_BYTES, TranscriptionsCall, TranslationsCall

bp = Blueprint("transcripts", __name__)

LIMITS = {"file": FILE_LIMIT_BYTES}


@bp.post("/audio/transcriptions")
@accepts("inference")
def create_transcription() -> Response:
    """POST /v1/audio/transcriptions: what is said in a file (E-11)."""
    return answer(TranscriptionsCall.of(read_form(LIMITS)))


@bp.post("/audio/translations")
@accepts("inference")
def create_translation() -> Response:
    """POST /v1/audio/translations: what is said in a file, in English (E-11)."""
    return answer(TranslationsCall.of(read_form(LIMITS)))
