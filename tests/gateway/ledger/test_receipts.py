"""A receipt shows how a charge came about, to the last fraction."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest

import db
from errors import NotFoundError
from gateway import pricing
from gateway.ledger.receipts import RULES, receipt
from gateway.ledger.records import GenerationRecord
from gateway.ledger.seals import Sealer
from gateway.pricing import Price
from models import Endpoint, Model, PriceVersion, Provider
from money import ceil_div
from tests.gateway.ledger.books import ALICE, USD, Books
from wire.usage import Usage

PRICE = Price(input=2_500_000_000, output=20_000_000_000, cached_input=250_000_000)


def price_version(books: Books, price: Price, markup_bps: int = 0) -> int:
    at = {"created_at": 0, "updated_at": 0}
    with db.transaction() as session:
        session.add(Provider(slug="sandbox", kind="x", config="{}", source="file", **at))
        session.add(Model(id="small", name="Small", config="{}", source="file", **at))
        session.flush()
        endpoint = Endpoint(model_id="small", provider_slug="sandbox", upstream_model="s", **at)
        session.add(endpoint)
        session.flush()
        version = PriceVersion(
            endpoint_id=endpoint.id,
            price=msgspec.json.encode(price).decode(),
            markup_bps=markup_bps,
            source="file",
            created_at=0,
        )
        session.add(version)
        session.flush()
        return version.id


def paid(books: Books, usage: Usage, price: Price, markup_bps: int = 0) -> dict[str, Any]:
    """The receipt of one call of that usage at that price."""
    books.open(bonus_nusd=USD)
    version = price_version(books, price, markup_bps)
    counts = {
        name: value for name, value in msgspec.structs.asdict(usage).items()
        if name in GenerationRecord.__struct_fields__
    }  # fmt: skip
    more = {
        name: value for name, value in msgspec.structs.asdict(usage).items() if name not in counts
    }
    books.hold("gen-1", 10_000_000)
    books.settle(
        "gen-1",
        pricing.cost(usage, price, markup_bps),
        price_version_id=version,
        units=msgspec.json.encode(more).decode(),
        **counts,
    )
    with db.reading() as session:
        return receipt(session, "gen-1", ALICE)


def test_a_receipt_says_what_was_charged_for_what(books: Books) -> None:
    shown = paid(books, Usage(input_tokens=25, output_tokens=150), PRICE)
    assert (shown["id"], shown["model"], shown["provider"]) == ("gen-1", "small", "sandbox")
    assert shown["created_at"] == "2026-03-10T12:00:00.000Z"
    assert (shown["rule"], shown["rule_in_words"]) == ("b", RULES["b"])
    assert shown["charge"] == {"amount_nusd": 3_062_500, "amount_usd": "0.0030625"}
    assert shown["hold"] == {"amount_nusd": 10_000_000, "amount_usd": "0.01"}
    assert shown["overrun"]["amount_nusd"] == shown["insured"]["amount_nusd"] == 0
    assert shown["lines"] == [
        {
            "bucket": "input_tokens",
            "count": 25,
            "price_nusd_per_million": 2_500_000_000,
            "price_usd_per_million": "2.50",
            "exact_nusd": "62500",
        },
        {
            "bucket": "output_tokens",
            "count": 150,
            "price_nusd_per_million": 20_000_000_000,
            "price_usd_per_million": "20.00",
            "exact_nusd": "3000000",
        },
    ]
    assert shown["usage"]["input_tokens"] == 25
    assert shown["usage"]["requests"] == 1
    [moved] = shown["transfers"]
    assert (moved["debit"]["kind"], moved["credit"]["kind"]) == ("bonus", "usage_revenue")
    assert (moved["kind"], moved["amount_nusd"]) == ("usage", 3_062_500)
    assert moved["idempotency_key"] == "gen-1:settle:1"
    assert moved["id"].startswith("tr_")


def test_the_one_rounding_is_of_the_sum_with_its_markup(books: Books) -> None:
    price = Price(input=1_234_567, output=7_654_321, per_minute=3_333, web_search=11)
    usage = Usage(
        input_tokens=1, output_tokens=3, cache_write_1h_tokens=5, audio_ms=1234, searches=2
    )
    shown = paid(books, usage, price, markup_bps=1_750)
    exact = Fraction(shown["exact_nusd"])
    assert exact.denominator != 1
    assert ceil_div(exact.numerator, exact.denominator) == shown["charge"]["amount_nusd"]
    lines = sum((Fraction(line["exact_nusd"]) for line in shown["lines"]), Fraction(0))
    assert lines * Fraction(11_750, 10_000) == exact
    assert {line["bucket"] for line in shown["lines"]} == {
        "input_tokens", "output_tokens", "cache_write_1h_tokens", "audio_ms", "searches"
    }  # fmt: skip
    assert shown["markup_bps"] == 1_750


def test_images_stand_on_the_receipt_by_their_kind(books: Books) -> None:
    price = Price(input=0, per_image={"1024x1024/high": 40_000_000, "default": 1})
    shown = paid(books, Usage(images={"1024x1024/high": 2}), price)
    assert [(line["bucket"], line["count"]) for line in shown["lines"]] == [
        ("images:1024x1024/high", 2)
    ]
    assert shown["charge"]["amount_nusd"] == 80


def test_a_call_without_counts_has_no_lines_and_unknown_is_not_zero(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 50)
    books.settle("gen-1", 0, status="error", rule="f", basis="none")
    with db.reading() as session:
        shown = receipt(session, "gen-1")
    assert shown["lines"] == []
    assert shown["usage"]["input_tokens"] is None
    assert shown["transfers"] == []
    assert shown["seal"] is None
    assert shown["rule_in_words"] == RULES["f"]


def test_a_sealed_receipt_names_its_seal(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.call("gen-1", 50, 40)
    with db.reading() as session:
        assert receipt(session, "gen-1")["seal"] is None
    Sealer(books.writer).run()
    [(root,)] = books.rows("SELECT root FROM seals")
    with db.reading() as session:
        assert receipt(session, "gen-1")["seal"] == {"seq": 1, "root": root}


def test_another_workspaces_receipt_is_not_there(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.call("gen-1", 50, 40)
    with db.reading() as session:
        assert receipt(session, "gen-1", None)["workspace_id"] == ALICE
        for workspace_id, generation_id in (("wks_bob", "gen-1"), (ALICE, "gen-2")):
            with pytest.raises(NotFoundError):
                receipt(session, generation_id, workspace_id)


def test_every_row_of_the_who_pays_table_has_its_words() -> None:
    assert set(RULES) == set("abcdefghijklmnoprs")
    assert all(words.endswith(".") for words in RULES.values())
