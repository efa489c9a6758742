import hashlib
import re
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.catalog import listed_rows, vendored
from gateway.catalog.vendors import VENDORS
from gateway.pricing import Price, Tier
from settings import VENDORS as VENDOR_SETTINGS

SEEDS = (
    "deepseek/deepseek-chat", "deepseek/deepseek-v4-flash", "deepseek/deepseek-reasoner",
    "qwen/qwen-max", "qwen/qwen-plus", "qwen/qwen-turbo", "zhipu/glm-5", "minimax/minimax-m2.5",
    "minimax/minimax-m3", "doubao/doubao-pro-256k", "doubao/doubao-lite-32k", "openai/gpt-4o",
    "openai/gpt-5", "openai/gpt-4o-mini", "anthropic/claude-opus", "anthropic/claude-sonnet",
    "google/gemini-2.5-pro", "google/gemini-2.5-flash", "zhipu/glm-5.1", "zhipu/glm-4-flash",
    "moonshot/kimi-k2.5", "moonshot/moonshot-v1-8k", "minimax/minimax-text-01", "openai/gpt-5.4",
    "anthropic/claude-opus-4-7", "google/gemini-3-pro", "deepseek/deepseek-v3.2",
    "mistral/mistral-large-3", "xai/grok-4", "openai/gpt-image-1", "google/imagen-4",
    "openai/gpt-4o-mini-tts", "openai/gpt-4o-transcribe", "meta-llama/llama-3.3-70b-instruct",
    "openai/gpt-5.5",
)  # fmt: skip
"""A-20, A-22, B-22, B-23, C-06, E-06, E-08, E-10, E-11, under their canonical ids."""


def catalog_row(model_id: str) -> vendored.Listed:
    return next(row for row in vendored.price_list().rows if row.model_id == model_id)


@pytest.mark.parametrize("model_id", SEEDS)
def test_the_list_has_the_models_of_the_documents(model_id: str) -> None:
    assert model_id in vendored.price_list().by_model


def test_every_vendor_of_the_settings_has_models() -> None:
    assert set(VENDORS) == {name.lower() for name in VENDOR_SETTINGS}
    assert {row.provider for row in vendored.price_list().rows} == set(VENDORS)


def test_a_float_of_the_list_becomes_the_exact_integer() -> None:
    assert catalog_row("openai/gpt-4o").price.input == 2_500_000_000
    assert catalog_row("openai/whisper-large-v3").price.per_minute == 1_849_800_000_000
    assert catalog_row("openai/tts-1").price.per_million_chars == 15_000_000_000


def test_tiers_begin_above_their_number() -> None:
    tier = catalog_row("google/gemini-2.5-pro").price.above[0]
    assert (tier.input_tokens, tier.input) == (200_001, 2_500_000_000)
    row = {
        "mode": "chat",
        "tiered_pricing": [
            {"input_cost_per_token": Decimal("4e-07"), "range": [0, 256000]},
            {"input_cost_per_token": Decimal("1.2e-06"), "range": [256000, 1000000]},
        ],
    }
    assert listed_rows.price_of(row, {}, may_be_free=False) == Price(
        input=400_000_000, above=(Tier(input_tokens=256_001, input=1_200_000_000),)
    )


def test_images_are_priced_by_size_and_quality() -> None:
    table = catalog_row("openai/gpt-image-1").price.per_image
    assert table is not None
    assert table["1024x1024/high"] == 167_000_000 * 10**6
    assert table["default"] == max(table.values())


def test_a_zero_that_nobody_vouches_for_is_no_price() -> None:
    row = {"mode": "chat", "input_cost_per_token": Decimal(0), "output_cost_per_token": Decimal(0)}
    assert listed_rows.price_of(row, {}, may_be_free=False) is None
    free = listed_rows.price_of(row, {}, may_be_free=True)
    assert free is not None
    assert free.is_free
    assert catalog_row("openai/omni-moderation-latest").price.is_free


def test_a_model_of_the_responses_dialect_says_so() -> None:
    assert catalog_row("openai/gpt-5-pro").apis == ("responses",)
    assert catalog_row("openai/gpt-4o").apis is None


def test_the_author_of_a_model_stays_its_author_at_another_host() -> None:
    assert catalog_row("openai/gpt-oss-120b").provider == "groq"
    places = vendored.price_list().by_place
    assert ("dashscope", "glm-5.1") in places
    assert not any(row.model_id == "qwen/glm-5.1" for row in vendored.price_list().rows)


def test_the_sums_of_the_vendored_files_are_those_written_down() -> None:
    written = (vendored.DATA / "VENDOR.md").read_text(encoding="utf-8")
    for name, told in re.findall(r"\| `([\w./]+)` \| `([0-9a-f]{64})` \|", written):
        content = Path(vendored.DATA / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == told, name
