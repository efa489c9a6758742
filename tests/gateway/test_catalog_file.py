from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import catalog
from gateway.catalog.amounts import WrittenPrice, read_price, write_price
from gateway.catalog.places import line_of
from gateway.pricing import Price, Tier

ACME = """
[[providers]]
slug = "acme"
kind = "openai"
base_url = "https://llm.acme.example/v1"
api_key = "${ACME_KEY}"

[[models]]
id = "acme/large"
context_length = 128000
price = { input = "2.50", output = "10.00" }
[[models.endpoints]]
provider = "acme"
upstream_model = "large"
"""


def catalog_refusal(text: str, **environ: str) -> str:
    with pytest.raises(catalog.CatalogFileError) as caught:
        catalog.parse(text, {"ACME_KEY": "k", **environ})
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_becomes_providers_models_and_integers() -> None:
    wanted = catalog.parse(ACME, {"ACME_KEY": "secret-1"}).wanted
    assert wanted.providers["acme"].api_keys == ("secret-1",)
    assert "secret-1" not in repr(wanted)
    model = wanted.models["acme/large"]
    assert model.name == "acme/large"
    assert model.config.price == Price(input=2_500_000_000, output=10_000_000_000)
    assert model.config.endpoints[0].upstream_model == "large"


def test_units_are_written_for_one_and_kept_for_a_million() -> None:
    text = ACME.replace(
        '{ input = "2.50", output = "10.00" }',
        '{ per_minute = "0.006", per_request = "0.001", per_image = "0.04", '
        'per_million_chars = "15.00", above = [ { input_tokens = 200000, input = "5" } ] }',
    )
    price = catalog.parse(text, {"ACME_KEY": "k"}).wanted.models["acme/large"].config.price
    assert price == Price(
        per_minute=6_000_000 * 10**6,
        per_request=1_000_000 * 10**6,
        per_image={"default": 40_000_000 * 10**6},
        per_million_chars=15_000_000_000,
        above=(Tier(input_tokens=200_000, input=5_000_000_000),),
    )


def test_an_unknown_field_is_refused_with_its_line() -> None:
    message = catalog_refusal(ACME.replace('kind = "openai"', 'colour = "red"'))
    assert message.startswith(
        'turnpike.toml, line 4: [[providers]] "acme", colour: there is no field'
    )


def test_an_unknown_table_is_refused() -> None:
    assert "there is no field providres here" in catalog_refusal('[[providres]]\nslug = "a"')


def test_a_price_as_a_number_is_refused_with_the_remedy() -> None:
    message = catalog_refusal(ACME.replace('input = "2.50"', "input = 2.50"))
    assert 'line 11: [[models]] "acme/large", price.input' in message
    assert 'write amounts as strings, such as "2.50"' in message


@pytest.mark.parametrize("amount", ["-1", "1e3", "0.0000000001", "", "1,5", "99999999999"])
def test_a_price_that_is_no_plain_decimal_is_refused(amount: str) -> None:
    message = catalog_refusal(ACME.replace('"10.00"', f'"{amount}"'))
    assert 'line 11: [[models]] "acme/large", price.output' in message


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(catalog.CatalogFileError, match=r"line 6: .*api_key: ACME_KEY is not set"):
        catalog.parse(ACME, {})


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-file\n")
    wanted = catalog.parse(ACME, {"ACME_KEY_FILE": str(path)}).wanted
    assert wanted.providers["acme"].api_keys == ("from-file",)


def test_an_endpoint_at_an_unknown_provider_is_refused() -> None:
    message = catalog_refusal(ACME.replace('provider = "acme"', 'provider = "acmee"'))
    assert "line 13" in message
    assert "endpoints.0.provider: there is no provider acmee" in message


def test_a_vendor_or_the_sandbox_needs_no_table_of_its_own() -> None:
    for slug in ("openai", "sandbox"):
        text = ACME.replace('provider = "acme"', f'provider = "{slug}"')
        endpoint = catalog.parse(text, {"ACME_KEY": "k"}).wanted.models["acme/large"].config
        assert endpoint.endpoints[0].provider == slug


@pytest.mark.parametrize(
    ("twice", "what"),
    [
        (
            '[[providers]]\nslug = "acme"\nbase_url = "https://a.example/v1"',
            "acme is there already",
        ),
        ('[[models]]\nid = "acme/large"', "acme/large is there already"),
        ('[[aliases]]\nid = "acme/large"', "acme/large is there already"),
        (
            '[[models.endpoints]]\nprovider = "acme"\nupstream_model = "large"',
            "large at acme is there already",
        ),
    ],
)
def test_duplicates_are_refused(twice: str, what: str) -> None:
    assert what in catalog_refusal(ACME + "\n" + twice)


def test_a_local_model_may_only_be_at_local_providers() -> None:
    text = ACME.replace("acme/large", "local/large")
    assert "local/large says that it stays here, but acme is not local" in catalog_refusal(text)
    stays = text.replace('kind = "openai"', "local = true")
    assert "local/large" in catalog.parse(stays, {"ACME_KEY": "k"}).wanted.models


def test_one_key_or_several_but_not_both() -> None:
    assert "keep one of them" in catalog_refusal(
        ACME.replace('api_key = "${ACME_KEY}"', 'api_key = "a"\napi_keys = ["b"]')
    )


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    message = catalog_refusal(ACME, ACME_KEY="two words")
    assert "api_key: a key is printable ASCII without spaces" in message
    assert "two words" not in message


def test_an_address_is_checked() -> None:
    for address, what in {
        "ftp://a.example": "starts with https://",
        "https://user:pass@a.example": "has no user",
        "http://127.0.0.1:9901/v1": "private_network = true",
        "http://localhost/v1": "private_network = true",
        "http://[fe80::1]/v1": "private_network = true",
    }.items():
        assert what in catalog_refusal(ACME.replace("https://llm.acme.example/v1", address))
    private = ACME.replace("https://llm.acme.example/v1", "http://127.0.0.1:1/v1").replace(
        'kind = "openai"', "private_network = true"
    )
    assert catalog.parse(private, {"ACME_KEY": "k"}).wanted.providers["acme"].config.private_network


def test_an_unknown_kind_or_policy_is_refused() -> None:
    assert "kind" in catalog_refusal(ACME.replace('"openai"', '"cohere"'))
    assert "policy" in catalog_refusal(ACME + '\n[[aliases]]\nid = "auto"\npolicy = "random"')


def test_what_is_not_toml_is_refused() -> None:
    assert "this is not TOML" in catalog_refusal("[[models]\nid = 1")


def test_a_web_search_needs_a_price() -> None:
    text = ACME.replace('kind = "openai"', 'hosted_tools = ["web_search"]')
    assert "web_search has no price" in catalog_refusal(text)
    priced = text.replace('input = "2.50"', 'input = "2.50", web_search = "0.01"')
    model = catalog.parse(priced, {"ACME_KEY": "k"}).wanted.models["acme/large"]
    assert model.config.price is not None
    assert model.config.price.web_search == 10_000_000 * 10**6


def test_plans_and_bonuses_are_kept_in_integers() -> None:
    text = """
[[plans]]
slug = "starter"
price_usd_month = "12.00"
tokens_month = 50000000
model_classes = ["standard"]
[topups]
min_usd = "5.00"
bonus = [ { from_usd = "50", percent = 10 }, { from_usd = "100", percent = 20 } ]
"""
    options = catalog.parse(text, {}).wanted.options
    assert '"price_nusd_month":12000000000' in options["plans"]
    assert '"from_nusd":50000000000' in options["topups"]
    assert "[topups]" not in options
    message = catalog_refusal(text.replace('from_usd = "100"', 'from_usd = "10"'))
    assert "let them ascend" in message
    assert "min_usd" in catalog_refusal(text.replace('"5.00"', '"five"'))


def test_the_line_of_a_value_is_found_through_lists_of_tables() -> None:
    text = "[a]\nx = 1\n[[m]]\nid = 1\n[[m.e]]\np = 1\n[[m]]\n[[m.e]]\np = 1\n[[m.e]]\np = 2\n"
    assert line_of(text, ("a", "x")) == 2
    assert line_of(text, ("m", 0, "e", 0, "p")) == 6
    assert line_of(text, ("m", 1, "e", 1, "p", "deeper")) == 11
    assert line_of(text, ("m", 1)) == 7
    assert line_of(text, ("nowhere",)) is None


AMOUNT = st.integers(min_value=0, max_value=10**15)
PER_ONE = st.integers(min_value=0, max_value=10**11).map(lambda nusd: nusd * 10**6)


@given(
    st.builds(
        Price,
        input=st.none() | AMOUNT,
        output=st.none() | AMOUNT,
        cached_input=st.none() | AMOUNT,
        per_minute=st.none() | PER_ONE,
        web_search=st.none() | PER_ONE,
        per_image=st.none() | st.dictionaries(st.sampled_from(["default", "a/b"]), PER_ONE),
    )
)
def test_a_price_that_is_written_reads_the_same(price: Price) -> None:
    from_file = msgspec.convert(write_price(price), WrittenPrice)
    assert read_price(from_file) == price
