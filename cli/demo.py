"""A demo workspace's thirty days: what was called, by which key, how it went.

The plan is made from one number, so a run that was interrupted goes on where it was. Every call is
written by the ledger's own verbs, at the instant it is said to have happened.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

import clock
from gateway import pricing
from gateway.catalog import EndpointConfig, ModelConfig
from gateway.ledger import AttemptRecord, GenerationRecord, HoldOrder, Settlement, verbs
from gateway.pricing import Price
from money import USD
from wire.usage import Usage

DAYS = 30
CALLS = 2000
DAY_MS = 86_400_000
WORKSPACE = "wks_demo"
PROVIDER, BACKUP = "seed-main", "seed-backup"
CREDIT_NUSD = 200 * USD
MARKUP_BPS = 500
NUMBER = 20
KEYS = {"web-app": 6, "nightly-batch": 2, "notebook": 1}
"""The demo's keys, and how much of the work each does."""

ENDS = {
    "ok": 940, "estimated": 12, "client_left": 16, "rejected": 10, "failed": 12, "broken": 10
}  # fmt: skip
"""How calls end, in thousandths."""


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A model of the demo's, which nobody can call; prices in USD cents per million tokens."""

    name: str
    weight: int
    input_cents: int
    output_cents: int
    usual_output: int
    tokens_per_s: int

    @property
    def id(self) -> str:
        """Its canonical id."""
        return f"seed/{self.name}"

    @property
    def price(self) -> Price:
        """What it charges before the markup."""
        return _price(self.input_cents, self.output_cents)

    @property
    def cost(self) -> Price:
        """What it costs the operator: nine tenths."""
        return _price(self.input_cents * 9 // 10, self.output_cents * 9 // 10)

    def config(self) -> ModelConfig:
        """Return it as the catalog keeps it."""
        return ModelConfig(
            context_length=128_000,
            max_output_tokens=16_384,
            tags=("demo",),
            price=self.price,
            description="Stands in the demo workspace's past; it can't be called.",
            endpoints=tuple(
                EndpointConfig(provider=slug, upstream_model=self.name, priority=priority)
                for priority, slug in enumerate((PROVIDER, BACKUP), 1)
            ),
        )


MODELS = (
    DemoModel("swift", 10, 15, 60, 220, 180),
    DemoModel("steady", 6, 100, 400, 420, 90),
    DemoModel("thinker", 2, 300, 1500, 900, 55),
    DemoModel("tiny", 5, 5, 20, 120, 260),
)


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint of a demo model's, and its price version."""

    endpoint_id: int
    price_version_id: int


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call of the plan, before anything is written."""

    id: str
    at_ms: int
    key: str
    model: DemoModel
    end: str
    is_streamed: bool
    has_moved: bool
    usage: Usage
    first_token_ms: int


def plan(begins_ms: int) -> Iterator[PlannedCall]:
    """Yield the calls in their order: more by day than by night, less at weekends, growing."""
    dice = random.Random(NUMBER)  # noqa: S311 - a demo, not a secret
    instants = sorted(_instant_ms(dice, begins_ms) for _ in range(CALLS))
    for number, at_ms in enumerate(instants):
        model = dice.choices(MODELS, [m.weight for m in MODELS])[0]
        prompt = max(int(dice.lognormvariate(6.3, 0.9)), 8)
        cached = int(prompt * dice.random() * 0.8) if dice.random() < 0.3 else 0
        output = max(int(dice.lognormvariate(0, 0.6) * model.usual_output), 1)
        reasoning = int(output * dice.uniform(0.3, 0.8)) if model.name == "thinker" else 0
        yield PlannedCall(
            id=f"gen-demo{number:013d}",
            at_ms=at_ms,
            key=dice.choices(list(KEYS), list(KEYS.values()))[0],
            model=model,
            end=dice.choices(list(ENDS), list(ENDS.values()))[0],
            is_streamed=dice.random() < 0.7,
            has_moved=dice.random() < 0.03,
            usage=Usage(
                input_tokens=prompt - cached,
                cached_input_tokens=cached,
                output_tokens=output - reasoning,
                reasoning_tokens=reasoning,
            ),
            first_token_ms=int(dice.lognormvariate(5.9, 0.4)),
        )


def write(pen: verbs.Pen, call: PlannedCall, key_id: str, places: dict[str, Place]) -> None:
    """Hold and settle one call in the writer's transaction.

    Raises: Refusal when the demo's credit is used up.
    """
    record = GenerationRecord(
        id=call.id,
        workspace_id=WORKSPACE,
        key_id=key_id,
        user_id=None,
        created_at=call.at_ms,
        day=clock.from_ms(call.at_ms).date().isoformat(),
        api="chat",
        requested_model=call.model.id,
        is_streamed=call.is_streamed,
    )
    used, cost_nusd = _used(call)
    quote_nusd = pricing.bound(call.model.price, MARKUP_BPS, used.all_input_tokens + 200, 4096)
    order = HoldOrder(
        hold_id=call.id.replace("gen-", "hld_"),
        record=record,
        worker_id="wrk_demo",
        amount_nusd=max(quote_nusd, cost_nusd),
        windows=(),
    )
    verbs.hold(pen, order)
    attempts = list(_attempts(call, places))
    _fill(record, call, attempts, used)
    verbs.settle(pen, Settlement(record=record, attempts=attempts, cost_nusd=cost_nusd, windows=()))


def _used(call: PlannedCall) -> tuple[Usage, int]:
    """Return what counts of the call's usage, and what it comes to."""
    if call.end in ("rejected", "failed", "broken"):
        return Usage(), 0
    used = call.usage
    if call.end == "client_left":
        used = msgspec.structs.replace(used, output_tokens=used.output_tokens // 3)
    return used, pricing.cost(used, call.model.price, MARKUP_BPS)


_VERDICTS = {
    "ok": ("ok", "b", "provider", None, "stop"),
    "estimated": ("ok", "c", "estimated", None, "stop"),
    "client_left": ("cancelled", "i", "estimated", None, None),
    "rejected": ("error", "e", "none", "provider_rejected", None),
    "failed": ("error", "f", "none", "provider_overloaded", None),
    "broken": ("error", "g", "none", "upstream_error", None),
}


def _fill(
    record: GenerationRecord, call: PlannedCall, attempts: list[AttemptRecord], used: Usage
) -> None:
    last = attempts[-1]
    record.model, record.provider = call.model.id, last.provider
    record.endpoint_id, record.price_version_id = last.endpoint_id, last.price_version_id
    record.status, record.rule, record.basis, record.error_code, record.finish_reason = _VERDICTS[
        call.end
    ]
    record.is_cancelled = call.end == "client_left"
    record.attempt_count = len(attempts)
    record.latency_ms = sum(attempt.latency_ms for attempt in attempts)
    record.app = call.key
    if record.basis != "none":
        for name in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"):
            setattr(record, name, getattr(used, name))
        record.cost_nusd = pricing.cost(used, call.model.cost)
        if call.is_streamed:
            record.first_token_ms = record.latency_ms - last.latency_ms + call.first_token_ms
    else:
        record.cost_nusd = 0


def _attempts(call: PlannedCall, places: dict[str, Place]) -> Iterator[AttemptRecord]:
    spoken_s = call.usage.all_output_tokens / call.model.tokens_per_s
    answered_ms = call.first_token_ms + int(spoken_s * 1000)
    last = {
        "ok": ("ok", 200, answered_ms),
        "estimated": ("ok", 200, answered_ms),
        "client_left": ("client_gone", 200, answered_ms // 3 + 1),
        "rejected": ("provider_rejected", 400, 90),
        "failed": ("provider_overloaded", 429, 60),
        "broken": ("upstream_error", 200, call.first_token_ms),
    }[call.end]
    tries = [("provider_overloaded", 429, 60), last] if _is_moved(call) else [last]
    began_ms = call.at_ms
    for number, (outcome, status, latency_ms) in enumerate(tries, 1):
        slug = (PROVIDER, BACKUP)[number - 1]
        place = places[f"{call.model.name}@{slug}"]
        yield AttemptRecord(
            id=f"{call.id.replace('gen-', 'att_')}{number}",
            generation_id=call.id,
            number=number,
            model=call.model.id,
            provider=slug,
            endpoint_id=place.endpoint_id,
            upstream_model=call.model.name,
            price_version_id=place.price_version_id,
            outcome=outcome,
            http_status=status,
            error=None if outcome in ("ok", "client_gone") else outcome,
            started_at=began_ms,
            first_byte_ms=min(call.first_token_ms, latency_ms),
            latency_ms=latency_ms,
        )
        began_ms += latency_ms


def _is_moved(call: PlannedCall) -> bool:
    return call.has_moved or call.end == "failed"


def _instant_ms(dice: random.Random, begins_ms: int) -> int:
    """Return an instant of the thirty days, by how busy its hour, weekday and week are."""
    while True:
        at_ms = begins_ms + dice.randrange(DAYS * DAY_MS)
        moment = clock.from_ms(at_ms)
        by_day = 1.0 if 8 <= moment.hour < 19 else 0.25
        by_week = 0.35 if moment.weekday() >= 5 else 1.0
        growth = 0.4 + 0.6 * (at_ms - begins_ms) / (DAYS * DAY_MS)
        if dice.random() < by_day * by_week * growth:
            return at_ms


def _price(input_cents: int, output_cents: int) -> Price:
    cent = USD // 100
    return Price(
        input=input_cents * cent, output=output_cents * cent, cached_input=input_cents * cent // 4
    )
