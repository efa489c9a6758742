import timeit
from dataclasses import replace

import pytest

from errors import ModelNotFoundError
from gateway import catalog
from gateway.catalog.entries import bare_names
from gateway.pricing import Price, Tier

PROVIDER = catalog.ProviderEntry(
    "acme", "openai", catalog.ProviderConfig(apis=("chat", "images")), ("secret",), "file"
)


def catalog_route(**values: object) -> catalog.Route:
    route = catalog.Route(
        endpoint_id=1,
        model_id="acme/large",
        provider=PROVIDER,
        upstream_model="large",
        priority=1,
        weight=1,
        price_version_id=1,
        price=Price(input=10, output=20),
        markup_bps=0,
        cost=None,
        config=catalog.ModelConfig(),
        apis=("chat",),
    )
    return replace(route, **values)  # type: ignore[arg-type]


def catalog_of(
    *ids: str, aliases: tuple[str, ...] = (), idle: tuple[str, ...] = ()
) -> catalog.Catalog:
    models = {
        model_id: catalog.ModelEntry(
            model_id,
            model_id,
            catalog.ModelConfig(),
            () if model_id in idle else (catalog_route(model_id=model_id),),
            0,
            "file",
        )
        for model_id in ids
    }
    return catalog.Catalog(
        revision=1,
        models=models,
        aliases={name: catalog.AliasEntry(name, catalog.AliasConfig()) for name in aliases},
        options=catalog.GatewayOptions(),
        bare_names=bare_names(models),
    )


def test_a_model_is_found_by_its_id_or_by_a_bare_one_that_is_unique() -> None:
    found = catalog_of("openai/gpt-4o", "deepseek/deepseek-r1")
    assert found.find("openai/gpt-4o").id == "openai/gpt-4o"
    assert found.find("deepseek-r1").id == "deepseek/deepseek-r1"


def test_an_ambiguous_bare_id_names_the_candidates() -> None:
    found = catalog_of("openai/gpt-4o", "local/gpt-4o")
    with pytest.raises(ModelNotFoundError, match="local/gpt-4o, openai/gpt-4o") as caught:
        found.find("gpt-4o")
    assert caught.value.param == "model"


def test_a_model_that_cannot_be_called_makes_no_bare_id_ambiguous() -> None:
    found = catalog_of("openai/gpt-4o", "local/gpt-4o", idle=("local/gpt-4o",))
    assert found.find("gpt-4o").id == "openai/gpt-4o"


def test_an_unknown_model_is_told_what_is_near() -> None:
    found = catalog_of("openai/gpt-4o", "openai/gpt-4o-mini", "qwen/qwen-max")
    with pytest.raises(ModelNotFoundError) as caught:
        found.find("openai/gpt4o")
    message = caught.value.message
    assert "openai/gpt-4o" in message
    assert "qwen" not in message
    assert message.endswith("GET /v1/models lists all of them.")
    with pytest.raises(ModelNotFoundError, match="the nearest are qwen/qwen-max"):
        found.find("qwen-mex")


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        catalog_of("openai/gpt-4o").find("x" * 5000)
    assert len(caught.value.message) < 300


def test_an_alias_is_listed_and_not_routed_yet() -> None:
    with pytest.raises(ModelNotFoundError, match="auto is an alias") as caught:
        catalog_of("openai/gpt-4o", aliases=("auto",)).find("auto")
    assert caught.value.code == "model_not_found"


def test_a_route_serves_what_it_speaks_and_has_a_price_for() -> None:
    text = catalog_route()
    assert text.may_serve("chat")
    assert text.may_serve("responses")
    assert not text.may_serve("embeddings")
    assert not text.may_serve("images")
    image = catalog_route(
        config=catalog.ModelConfig(output=("image",)),
        apis=("images",),
        price=Price(per_image={"default": 0}),
    )
    assert image.may_serve("images")
    assert not replace(image, price=Price(input=10, output=20)).may_serve("images")
    assert not replace(image, apis=("chat",)).may_serve("images")
    heard = catalog_route(
        config=catalog.ModelConfig(input=("audio",)), apis=("audio",), price=Price(per_minute=1)
    )
    assert heard.may_serve("transcriptions")
    assert not heard.may_serve("chat")
    assert not catalog_route(price=Price(input=10)).may_serve("chat")


def test_a_listed_price_has_its_markup_in_every_bucket() -> None:
    price = Price(
        input=101, output=20, per_image={"default": 1}, above=(Tier(input_tokens=5, input=10),)
    )
    assert catalog.with_markup(price, 1000) == Price(
        input=112, output=22, per_image={"default": 2}, above=(Tier(input_tokens=5, input=11),)
    )
    dear, cheap = catalog_route(price=Price(input=50, output=50)), catalog_route(markup_bps=5000)
    entry = catalog.ModelEntry("a/b", "B", catalog.ModelConfig(), (dear, cheap), 0, "file")
    assert entry.describe() == Price(input=15, output=30)


def test_a_key_is_never_printed() -> None:
    assert "secret" not in repr(catalog_route())


def test_finding_a_model_costs_next_to_nothing() -> None:
    found = catalog_of(*(f"a/{number}" for number in range(500)))
    assert timeit.timeit(lambda: found.find("a/250"), number=1000) < 0.05
