"""The tables of the provisioning file that are kept as options: read and written back."""

import msgspec

from gateway.catalog.amounts import read_usd
from gateway.catalog.offers import (
    Batch,
    BonusTier,
    Byok,
    DemoKey,
    GatewayOptions,
    Plan,
    Table,
    Topups,
    Trial,
)
from gateway.catalog.written import WrittenFile, WrittenPlan, WrittenTopups
from money import print_usd

TABLES = ("gateway", "plans", "topups", "trial", "demo_key", "byok", "batch")

AMOUNTS = {
    "price_nusd_month": "price_usd_month",
    "min_nusd": "min_usd",
    "first_bonus_nusd": "first_bonus_usd",
    "from_nusd": "from_usd",
    "fee_nusd_per_million_tokens": "fee_usd_per_million_tokens",
}
"""What is kept in nano-USD, and how it is written."""


def tables(file: WrittenFile) -> dict[str, str]:
    """Return the JSON of each table that the file has. Raises: AmountError, its field the path."""
    found: dict[str, Table | tuple[Table, ...] | None] = {
        "gateway": msgspec.convert(file.gateway, GatewayOptions, from_attributes=True)
        if file.gateway
        else None,
        "plans": tuple(_plan(number, row) for number, row in enumerate(file.plans)) or None,
        "topups": _topups(file.topups) if file.topups else None,
        "trial": Trial(calls=file.trial.calls, model_classes=file.trial.model_classes)
        if file.trial
        else None,
        "demo_key": DemoKey(
            enabled=file.demo_key.enabled,
            calls_per_ip_per_day=file.demo_key.calls_per_ip_per_day,
            models=file.demo_key.models,
        )
        if file.demo_key
        else None,
        "byok": Byok(
            fee_nusd_per_million_tokens=read_usd(
                "byok.fee_usd_per_million_tokens", file.byok.fee_usd_per_million_tokens
            )
        )
        if file.byok
        else None,
        "batch": Batch(
            discount_percent=file.batch.discount_percent, max_requests=file.batch.max_requests
        )
        if file.batch
        else None,
    }
    return {
        name: msgspec.json.encode(table).decode()
        for name, table in found.items()
        if table is not None
    }


def written(value: object) -> object:
    """Return what an operator would write for a kept table: amounts as decimal strings."""
    if isinstance(value, dict):
        return {
            AMOUNTS.get(name, name): print_usd(inner) if name in AMOUNTS else written(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [written(inner) for inner in value]
    return value


def _plan(number: int, row: WrittenPlan) -> Plan:
    return Plan(
        slug=row.slug,
        name=row.name,
        price_nusd_month=read_usd(f"plans.{number}.price_usd_month", row.price_usd_month),
        tokens_month=row.tokens_month,
        model_classes=row.model_classes,
        rate_limit_rpm=row.rate_limit_rpm,
        priority=row.priority,
    )


def _topups(row: WrittenTopups) -> Topups:
    return Topups(
        min_nusd=read_usd("topups.min_usd", row.min_usd),
        first_bonus_nusd=read_usd("topups.first_bonus_usd", row.first_bonus_usd),
        unlocks_classes=row.unlocks_classes,
        bonus_days=row.bonus_days,
        bonus=tuple(
            BonusTier(
                from_nusd=read_usd(f"topups.bonus.{number}.from_usd", tier.from_usd),
                percent=tier.percent,
            )
            for number, tier in enumerate(row.bonus)
        ),
    )
