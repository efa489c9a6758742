from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, func, select

import db
from gateway import catalog
from gateway.catalog import prices, sandbox, works
from gateway.pricing import Price
from gateway.secrets import SecretBox, SecretKeyError
from models import Audit, Endpoint, Model, Option, PriceVersion, Provider, Revision
from providers.sandbox import MODELS as SANDBOX_MODELS
from settings import Settings

BOX = SecretBox(("a key for tests",))
ENVIRON = {"ACME_KEY": "secret-1"}
FILE = """
[gateway]
name = "Acme AI"
markup_bps = 500
[[providers]]
slug = "acme"
base_url = "https://llm.acme.example/v1"
api_key = "${ACME_KEY}"
[[models]]
id = "acme/large"
price = { input = "2.50", output = "10.00" }
[[models.endpoints]]
provider = "acme"
upstream_model = "large"
priority = 2
cost = { input = "1.80", output = "7.20" }
[[models.endpoints]]
provider = "acme"
upstream_model = "large-cheap"
price = { input = "2.00", output = "8.00" }
[[aliases]]
id = "auto-code"
policy = "best"
[[plans]]
slug = "starter"
price_usd_month = "12.00"
tokens_month = 50000000
model_classes = ["standard"]
[trial]
calls = 10
model_classes = ["free", "standard"]
"""


def catalog_applied(text: str = FILE, box: SecretBox = BOX) -> catalog.Applied:
    file = catalog.parse(text, ENVIRON)
    with db.transaction() as session:
        return catalog.apply(session, file, "test", box)


def catalog_loaded(box: SecretBox = BOX) -> catalog.Catalog:
    with db.reading() as session:
        return catalog.load(session, 1, box.open_sealed)


def catalog_revision() -> int:
    with db.reading() as session:
        row = session.get(Revision, "catalog")
        assert row is not None
        return row.number


def catalog_provisioned(**values: object) -> catalog.Catalog:
    settings = Settings(secret_keys=("a key for tests",), **values)  # type: ignore[arg-type]
    with db.transaction() as session:
        wanted = catalog.wanted_of(settings, None)
        catalog.reconcile(session, wanted, "test", BOX, ("environment", "built-in"))
    return catalog_loaded()


def test_a_file_becomes_routes_with_prices(database: Engine) -> None:
    catalog_applied()
    loaded = catalog_loaded()
    routes = loaded.models["acme/large"].routes
    assert [route.upstream_model for route in routes] == ["large-cheap", "large"]
    cheap, dear = routes
    assert cheap.price == Price(input=2_000_000_000, output=8_000_000_000)
    assert dear.price == Price(input=2_500_000_000, output=10_000_000_000)
    assert dear.cost == Price(input=1_800_000_000, output=7_200_000_000)
    assert cheap.cost is None
    assert cheap.markup_bps == 500
    assert cheap.provider.api_keys == ("secret-1",)
    assert "secret-1" not in repr(loaded)
    assert loaded.options.name == "Acme AI"
    assert loaded.aliases["auto-code"].config.policy == "best"
    assert loaded.offers.plans[0].price_nusd_month == 12_000_000_000
    assert loaded.offers.trial is not None
    assert loaded.offers.topups is None


def test_keys_are_sealed_in_their_row(database: Engine) -> None:
    catalog_applied()
    with db.reading() as session:
        row = session.get(Provider, "acme")
        assert row is not None
        assert row.secrets is not None
        assert "secret-1" not in row.secrets
        assert not any("secret-1" in (a.after or "") for a in session.scalars(select(Audit)))


def test_the_same_file_again_changes_nothing(database: Engine) -> None:
    catalog_applied()
    before = catalog_revision()
    again = catalog_applied()
    assert again == catalog.Applied()
    assert catalog_revision() == before


def test_what_is_gone_from_the_file_is_disabled_and_kept(database: Engine) -> None:
    catalog_applied()
    applied = catalog_applied("")
    assert applied.disabled == 6
    assert not catalog_loaded().models
    with db.reading() as session:
        model = session.get(Model, "acme/large")
        assert model is not None
        assert not model.is_enabled
        assert session.scalar(select(func.count()).select_from(Option)) == 0
    catalog_applied()
    assert catalog_loaded().models["acme/large"].routes


def test_an_endpoint_that_is_gone_is_not_routed_to(database: Engine) -> None:
    catalog_applied()
    catalog_applied(FILE.replace('"large-cheap"', '"large-other"'))
    names = [route.upstream_model for route in catalog_loaded().models["acme/large"].routes]
    assert names == ["large-other", "large"]
    with db.reading() as session:
        states = {e.upstream_model: e.is_enabled for e in session.scalars(select(Endpoint))}
    assert states == {"large": True, "large-cheap": False, "large-other": True}


def test_a_changed_price_is_a_new_version_with_an_audit_row(database: Engine) -> None:
    catalog_applied()
    old = catalog_loaded().models["acme/large"].routes[0]
    applied = catalog_applied(FILE.replace('"8.00"', '"80.00"'))
    new = catalog_loaded().models["acme/large"].routes[0]
    assert applied.prices_set == 1
    assert new.price_version_id > old.price_version_id
    assert new.price.output == 80_000_000_000
    with db.reading() as session:
        kept = session.get(PriceVersion, old.price_version_id)
        assert kept is not None
        assert msgspec.json.decode(kept.price, type=Price) == old.price
        row = session.scalars(select(Audit).order_by(Audit.id.desc())).first()
        assert row is not None
        assert (row.actor, row.action) == ("test", "price.set")
        assert "8000000000" in (row.before or "")


def test_a_model_without_a_price_is_never_routable(database: Engine) -> None:
    text = FILE.replace('price = { input = "2.50", output = "10.00" }', "").replace(
        'price = { input = "2.00", output = "8.00" }', ""
    )
    catalog_applied(text)
    assert catalog_loaded().models["acme/large"].routes == ()
    catalog_applied()
    assert len(catalog_loaded().models["acme/large"].routes) == 2
    catalog_applied(text)
    entry = catalog_loaded().models["acme/large"]
    assert entry.routes == ()
    assert entry.describe() is None
    assert catalog_applied(text) == catalog.Applied()


def test_an_explicit_zero_is_free(database: Engine) -> None:
    catalog_applied(FILE.replace('"2.00", output = "8.00"', '"0", output = "0"'))
    entry = catalog_loaded().models["acme/large"]
    assert entry.is_free
    assert entry.routes[0].may_serve("chat")


def test_a_model_may_set_its_own_markup(database: Engine) -> None:
    catalog_applied(FILE.replace('id = "acme/large"', 'id = "acme/large"\nmarkup_bps = 0'))
    assert catalog_loaded().models["acme/large"].routes[0].markup_bps == 0


def test_a_wrong_secret_key_is_refused_and_nothing_is_sealed_over(database: Engine) -> None:
    catalog_applied()
    other = SecretBox(("another key",))
    with pytest.raises(SecretKeyError, match="TURNPIKE_SECRET_KEYS has no key"):
        catalog_loaded(other)
    with pytest.raises(SecretKeyError, match="providers:acme"):
        catalog_applied(box=other)
    assert catalog_loaded().models["acme/large"].routes[0].provider.api_keys == ("secret-1",)


def test_an_endpoint_may_refer_to_a_vendor_whose_key_is_not_set(database: Engine) -> None:
    catalog_applied(FILE.replace('provider = "acme"', 'provider = "openai"', 1))
    entry = catalog_loaded().models["acme/large"]
    assert [route.provider.slug for route in entry.routes] == ["acme"]


def test_a_vendor_key_brings_its_models_at_list_price_and_cost(database: Engine) -> None:
    loaded = catalog_provisioned(vendor_keys={"openai": "sk-test"})
    (route,) = loaded.models["openai/gpt-4o"].routes
    assert route.price.input == 2_500_000_000
    assert route.cost == route.price
    assert route.provider.config.base_url == "https://api.openai.com/v1"
    assert route.provider.api_keys == ("sk-test",)
    assert not any(model_id.startswith("sandbox/") for model_id in loaded.models)
    gone = catalog_provisioned()
    assert "openai/gpt-4o" not in gone.models
    assert gone.models["sandbox/echo"].routes[0].price.is_free


def test_a_vendor_at_another_address_keeps_its_models(database: Engine) -> None:
    loaded = catalog_provisioned(
        vendor_keys={"deepseek": "k"}, vendor_base_urls={"deepseek": "http://127.0.0.1:9/v1"}
    )
    config = loaded.models["deepseek/deepseek-chat"].routes[0].provider.config
    assert config.base_url == "http://127.0.0.1:9/v1"
    assert config.private_network


def test_a_model_that_two_vendors_serve_has_its_author_first(database: Engine) -> None:
    loaded = catalog_provisioned(vendor_keys={"openrouter": "a", "openai": "b"})
    slugs = [route.provider.slug for route in loaded.models["openai/gpt-4o"].routes]
    assert slugs == ["openai", "openrouter"]


def test_the_file_goes_before_the_environment_and_gives_back(database: Engine) -> None:
    settings = Settings(secret_keys=("k",), vendor_keys={"openai": "sk-test"})
    override = """
[[models]]
id = "openai/gpt-4o"
price = { input = "9.00", output = "9.00" }
[[models.endpoints]]
provider = "openai"
upstream_model = "gpt-4o"
"""

    def applied(text: str) -> catalog.Route:
        file = catalog.parse(text, {})
        with db.transaction() as session:
            wanted = catalog.wanted_of(settings, file)
            catalog.reconcile(session, wanted, "t", BOX, ("file", "environment", "built-in"))
        return catalog_loaded().models["openai/gpt-4o"].routes[0]

    route = applied(override)
    assert route.price == Price(input=9_000_000_000, output=9_000_000_000)
    assert route.cost is not None
    assert route.cost.input == 2_500_000_000
    assert applied("").price.input == 2_500_000_000


def test_a_list_price_that_jumps_waits_for_the_operator(database: Engine) -> None:
    catalog_provisioned(vendor_keys={"openai": "k"})
    with db.transaction() as session:
        endpoint = session.scalars(
            select(Endpoint).where(Endpoint.model_id == "openai/gpt-4o")
        ).one()
        in_force = prices.versions_in_force(session)[endpoint.id]
        jump = prices.Effective(Price(input=10**10, output=10**10), None, 0, prices.LIST)
        version = prices.add_version(session, endpoint.id, jump, in_force, "start")
        assert not version.is_confirmed
    route = catalog_loaded().models["openai/gpt-4o"].routes[0]
    assert route.price.input == 2_500_000_000


@pytest.mark.parametrize(
    ("new", "is_jump"),
    [
        (Price(input=300, output=100), False),
        (Price(input=301, output=100), True),
        (Price(input=34, output=100), False),
        (Price(input=33, output=100), True),
        (Price(input=0, output=100), True),
        (Price(input=100, output=100, per_minute=5), False),
    ],
)
def test_a_jump_is_more_than_threefold_in_any_bucket(new: Price, is_jump: bool) -> None:
    assert prices.jumps(Price(input=100, output=100), new) is is_jump


def test_the_sandbox_is_on_while_nothing_else_is_or_when_it_is_asked_for(database: Engine) -> None:
    assert "sandbox/echo" in catalog_provisioned().models
    assert "sandbox/echo" not in catalog_provisioned(sandbox="off").models
    both = catalog_provisioned(sandbox="on", vendor_keys={"groq": "k"})
    assert both.models["sandbox/echo"].routes
    assert {name.removeprefix("sandbox/") for name in both.models if "sandbox/" in name} == set(
        SANDBOX_MODELS
    )


def test_the_sandbox_models_can_do_what_they_are_for() -> None:
    expected = {
        "echo": "chat",
        "lorem": "responses",
        "embed": "embeddings",
        "image": "images",
        "speech": "speech",
        "transcribe": "transcriptions",
        "fault-cut": "chat",
    }
    for name, api in expected.items():
        config = sandbox.MODELS[name]
        assert config.price is not None
        served = works.served(
            config.input, config.output, sandbox.provider(is_enabled=True).config.apis, config.price
        )
        assert api in served


def test_a_file_may_price_the_sandbox(database: Engine) -> None:
    settings = Settings(secret_keys=("k",))
    file = catalog.parse(
        '[[models]]\nid = "sandbox/echo"\nprice = { input = "1.00", output = "2.00" }\n'
        '[[models.endpoints]]\nprovider = "sandbox"\nupstream_model = "echo"',
        {},
    )
    with db.transaction() as session:
        wanted = catalog.wanted_of(settings, file)
        catalog.reconcile(session, wanted, "t", BOX, ("file", "environment", "built-in"))
    loaded = catalog_loaded()
    assert loaded.models["sandbox/echo"].routes[0].price.output == 2_000_000_000
    assert loaded.models["sandbox/lorem"].is_free


def test_provision_needs_the_file_that_is_named(database: Engine, tmp_path: Path) -> None:
    settings = Settings(secret_keys=("k",), config=f"{tmp_path}/missing.toml")
    with pytest.raises(catalog.CatalogFileError, match=r"missing.toml can't be read"):
        catalog.provision(settings, {})


def test_provision_opens_the_catalog(database: Engine, tmp_path: Path) -> None:
    path = tmp_path / "turnpike.toml"
    path.write_text(FILE)
    settings = Settings(secret_keys=("k",), config=str(path))
    assert catalog.provision(settings, ENVIRON).created
    first = catalog.current()
    assert first.find("large").id == "acme/large"
    assert catalog.current() is first
    assert catalog.provision(settings, ENVIRON) == catalog.Applied()
