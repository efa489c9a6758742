import hashlib
from collections.abc import Iterator

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gateway import tokenizer


@pytest.fixture(scope="module")
def tiktokens_own() -> Iterator[tiktoken.Encoding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(tokenizer.VOCABULARY.parent))
        tokenizer.count("the vocabulary is read here, and not on a test's time")
        yield tiktoken.get_encoding("o200k_base")


@given(st.text())
def test_texts_are_counted_as_tiktoken_counts_them(
    tiktokens_own: tiktoken.Encoding, text: str
) -> None:
    assert tokenizer.count(text) == len(tiktokens_own.encode_ordinary(text))


def test_words_are_tokens_more_or_less() -> None:
    assert tokenizer.count("") == 0
    assert tokenizer.count("hello world") == 2


def test_what_looks_like_a_special_token_is_text() -> None:
    assert tokenizer.count("<|endoftext|>") > 1


def test_a_long_text_is_counted_too() -> None:
    assert tokenizer.count("hello world " * 5000) >= 10_000


def test_a_long_run_of_one_character_ends_soon() -> None:
    assert tokenizer.count("a" * 100_000) > 1000


def test_the_vocabulary_is_the_one_that_tiktoken_demands() -> None:
    content = tokenizer.VOCABULARY.read_bytes()
    assert hashlib.sha256(content).hexdigest() == tokenizer.SHA256


def test_only_models_of_that_vocabulary_are_counted_exactly() -> None:
    exact = ("openai/gpt-4o", "gpt-4o-mini", "openai/gpt-5.4-mini", "openai/o1", "openai/o4-mini")
    assert all(tokenizer.has_exact(model_id) for model_id in exact)
    others = (
        "openai/gpt-4-turbo", "openai/gpt-oss-120b", "anthropic/claude-opus",
        "openai/gpt-4o-mini-tts",
        "qwen/qwen-max", "openai/omni-moderation-latest", "local/gpt-4o", "openai/gpt-50",
    )  # fmt: skip
    assert not any(tokenizer.has_exact(model_id) for model_id in others)
