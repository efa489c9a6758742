import tomllib

from sqlalchemy import Engine

import db
from gateway import catalog
from gateway.secrets import SecretBox
from settings import Settings
from tests.gateway.catalog_texts import FULL

BOX = SecretBox(("a key for tests",))
ENVIRON = {"ACME_ONE_KEY": "one", "MANY_KEY_1": "a", "MANY_KEY_2": "b"}


def catalog_exported(text: str) -> str:
    with db.transaction() as session:
        catalog.apply(session, catalog.parse(text, ENVIRON), "test", BOX)
    with db.reading() as session:
        return catalog.export(session, BOX.open_sealed)


def test_what_is_exported_reads_as_the_same_catalog(database: Engine) -> None:
    exported = catalog_exported(FULL)
    assert catalog.parse(exported, ENVIRON).wanted == catalog.parse(FULL, ENVIRON).wanted
    again = catalog_exported(exported)
    assert again == exported


def test_secrets_are_written_as_variables(database: Engine) -> None:
    exported = tomllib.loads(catalog_exported(FULL))
    keys = {row["slug"]: row.get("api_key", row.get("api_keys")) for row in exported["providers"]}
    assert keys == {
        "acme-one": "${ACME_ONE_KEY}",
        "many": ["${MANY_KEY_1}", "${MANY_KEY_2}"],
        "gpu": None,
    }


def test_the_environment_stays_out_unless_it_is_asked_for(database: Engine) -> None:
    settings = Settings(secret_keys=("k",), vendor_keys={"groq": "k"})
    with db.transaction() as session:
        wanted = catalog.wanted_of(settings, None)
        catalog.reconcile(session, wanted, "t", BOX, ("environment", "built-in"))
    with db.reading() as session:
        assert tomllib.loads(catalog.export(session, BOX.open_sealed)) == {}
        everything = catalog.export(session, BOX.open_sealed, everything=True)
    parsed = catalog.parse(everything, {"GROQ_KEY": "k"}).wanted
    assert "openai/gpt-oss-120b" in parsed.models
