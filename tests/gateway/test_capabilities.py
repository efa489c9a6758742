"""What a model is known not to do."""

from gateway.capabilities import lacking
from gateway.catalog.entries import ModelConfig


def test_a_picture_needs_a_model_that_sees() -> None:
    assert lacking({"image"}, ModelConfig(input=("text",))) == ["pictures"]
    assert lacking({"image"}, ModelConfig(input=("text", "image"))) == []


def test_what_the_catalog_does_not_know_is_allowed() -> None:
    assert lacking({"tools", "schema", "reasoning"}, ModelConfig()) == []


def test_tools_need_a_model_whose_list_of_parameters_has_them() -> None:
    config = ModelConfig(supported_parameters=("temperature", "response_format"))
    assert lacking({"tools", "schema"}, config) == ["tools"]


def test_a_model_that_draws_takes_a_call_that_asks_for_pictures() -> None:
    assert lacking({"image"}, ModelConfig(output=("image",))) == []
