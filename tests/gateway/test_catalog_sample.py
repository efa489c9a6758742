from pathlib import Path

from gateway import catalog
from gateway.catalog import vendored

SAMPLE = Path(__file__).parent.parent.parent / "turnpike.sample.toml"


def catalog_sample() -> catalog.CatalogFile:
    return catalog.read(SAMPLE, {})


def test_the_sample_passes_without_any_variable() -> None:
    wanted = catalog_sample().wanted
    assert len(wanted.models) == 16
    assert set(wanted.options) == {
        "gateway", "plans", "topups", "trial", "demo_key", "byok", "batch",
    }  # fmt: skip


def test_the_sample_has_the_numbers_of_the_documents() -> None:
    options = catalog_sample().wanted.options
    for amount in ("12000000000", "39000000000", "89000000000", "299000000000"):
        assert f'"price_nusd_month":{amount}' in options["plans"]
    assert '"first_bonus_nusd":1000000000' in options["topups"]  # B-34
    assert '"from_nusd":2000000000000,"percent":35' in options["topups"]  # B-35
    price = catalog_sample().wanted.models["openai/gpt-5"].config.price  # B-22
    assert price is not None
    assert (price.input, price.output) == (3_000_000_000, 18_000_000_000)


def test_the_sample_names_every_smart_model() -> None:
    aliases = set(catalog_sample().wanted.aliases)
    assert aliases >= {"auto", "auto-cheap", "auto-best", "auto-code", "auto-fast", "auto-free"}
    smart = {"smart-code", "smart-write", "smart-reason", "smart-analyze"}
    assert aliases >= smart | {f"ama/{name}" for name in smart}


def test_what_the_sample_refers_to_is_a_model_of_it_or_of_the_list() -> None:
    wanted = catalog_sample().wanted
    known = set(wanted.models) | set(vendored.price_list().by_model)
    for alias in wanted.aliases.values():
        named = [*alias.config.candidates, *(m for ms in alias.config.tasks.values() for m in ms)]
        assert [name for name in named if name not in known] == []
    for model in wanted.models.values():
        for endpoint in model.config.endpoints:
            listed = vendored.price_list().by_place
            assert (endpoint.provider, endpoint.upstream_model) in listed
