"""A model that can't do what is asked, on the live server (D-21)."""

import pytest

from tests.live import Actor

pytestmark = [pytest.mark.live]


def test_a_picture_for_a_model_that_reads_only_is_refused_with_models_that_see(
    alice: Actor,
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    body = {
        "model": f"{alice.space}/gemini",
        "messages": [{"role": "user", "content": [picture]}],
    }
    status, _, told = alice.post("/v1/chat/completions", body)
    assert status == 400
    assert told["error"]["code"] == "unsupported_by_model"
    assert "pictures" in told["error"]["message"]
    assert "/large" in told["error"]["message"]
    assert alice.asked() == []
