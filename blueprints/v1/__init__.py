"""The API: every path under /v1, and again under /api/v1."""

from flask import Blueprint, Flask

from blueprints.v1 import (
    account,
    chat,
    completions,
    images,
    messages,
    models,
    responses,
    speech,
    transcripts,
    vectors,
)

RESOURCES = (
    chat.bp,
    completions.bp,
    responses.bp,
    messages.bp,
    vectors.bp,
    images.bp,
    speech.bp,
    transcripts.bp,
    account.bp,
)
"""What answers alike under both prefixes."""


def register(app: Flask) -> None:
    """Put the API on the app, under both prefixes."""
    for name, prefix, own in (("v1", "/v1", models.bp), ("api_v1", "/api/v1", models.public)):
        parent = Blueprint(name, __name__, url_prefix=prefix)
        for resource in (*RESOURCES, own):
            parent.register_blueprint(resource)
        app.register_blueprint(parent)
