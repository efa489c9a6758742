"""The hold of one call: taken before anything is sent, grown with a stream, refused with why."""

from collections.abc import Sequence
from dataclasses import replace

import clock
import db
import ids
from errors import (
    InFlightBudgetError,
    InsufficientCreditsError,
    LedgerUnavailableError,
    MoneyError,
    SpendingCapError,
    WalletFrozenError,
)
from gateway import quotes, tokenizer
from gateway.catalog import Route
from gateway.keys import Caller
from gateway.ledger import GenerationRecord, HoldOrder, Refusal, verbs
from gateway.quotes import Bounded, Quote
from gateway.runtime import Runtime
from gateway.settling import abandon
from gateway.windows import starts_on
from models import Cap
from money import print_usd

RETRY_IN_FLIGHT_S = 1.0
MOST_TRIES = 3
MARGIN_TOKENS = 256
"""A rolling hold grows when a stream has come this near to what it covers."""

_PERIODS = {"day": "daily", "week": "weekly", "month": "monthly", "lifetime": "total"}


class CallHold:
    """What is set aside for one call. `quote` and `covered_tokens` change as it grows."""

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        record: GenerationRecord,
        call: Bounded,
        routes: Sequence[Route],
    ) -> None:
        self.windows = tuple((cap.cap_id, starts_on(cap.period, record.day)) for cap in caller.caps)
        self.quote: Quote
        self.held_nusd = 0
        self.covered_tokens = 0
        self._runtime = runtime
        self._caller = caller
        self._record = record
        self._call = call
        self._routes = routes

    def take(self) -> None:
        """Hold what the call may cost, or as much of an answer as can be afforded.

        Raises: MoneyError; then nothing is held.
        """
        wanted = quotes.quote(self._routes, self._call)
        for _ in range(MOST_TRIES):
            try:
                self._order(wanted)
            except Refusal as refusal:
                smaller = self._smaller(wanted, refusal)
                if smaller is None:
                    raise self.refused(refusal, wanted) from None
                wanted, last = smaller, refusal
            else:
                return
        raise self.refused(last, wanted)

    def cover(self, route: Route, output_tokens: int) -> None:
        """Grow a rolling hold that a stream is about to outrun.

        Raises: MoneyError when wallet or caps don't allow it; LedgerUnavailableError when more has
        come than is covered. The hold stays as it is.
        """
        if not self.quote.is_rolling or output_tokens + MARGIN_TOKENS <= self.covered_tokens:
            return
        target = min(
            max(output_tokens, self.covered_tokens) + quotes.ROLLING_TOKENS,
            quotes.maximum_output(route) * self.quote.choices,
        )
        if target <= self.covered_tokens:
            return
        needed_nusd = quotes.amount([route], self.quote.input_tokens, target)
        if needed_nusd > self.held_nusd:
            try:
                self._extend(needed_nusd - self.held_nusd)
            except LedgerUnavailableError:
                if output_tokens > self.covered_tokens:
                    raise
                return  # what has come is covered: asked again with the next chunk
        self.covered_tokens = target

    def _order(self, wanted: Quote) -> None:
        order = HoldOrder(
            hold_id=ids.same(self._record.id, "hld_"),
            record=self._record,
            worker_id=self._runtime.worker_id,
            amount_nusd=wanted.amount_nusd,
            windows=self.windows,
        )
        try:
            self._runtime.writer.submit(
                lambda pen: verbs.hold(pen, order), self._record.workspace_id
            )
        except LedgerUnavailableError as error:
            if error.is_uncertain:
                abandon(self._runtime, self._record, self.windows)
            raise
        self.quote, self.held_nusd = wanted, wanted.amount_nusd
        self.covered_tokens = wanted.output_tokens * wanted.choices

    def _extend(self, more_nusd: int) -> None:
        record = self._record
        try:
            self._runtime.writer.submit(
                lambda pen: verbs.extend(
                    pen, record.id, record.workspace_id, more_nusd, self.windows
                ),
                record.workspace_id,
            )
        except Refusal as refusal:
            raise self.refused(refusal, replace(self.quote, amount_nusd=more_nusd)) from None
        self.held_nusd += more_nusd

    def _smaller(self, wanted: Quote, refusal: Refusal) -> Quote | None:
        """Return what to try instead: a closer count of the input, or a shorter answer."""
        if refusal.reason == "frozen":
            return None
        if all(tokenizer.has_exact(route.model_id) for route in self._routes):
            closer = quotes.quote(self._routes, self._call, tokenizer.count)
            if closer.amount_nusd <= refusal.affordable_nusd:
                return closer if closer.amount_nusd < wanted.amount_nusd else None
            wanted = closer
        if self._call.output_limit is not None:
            return None
        shorter = quotes.afforded(self._routes, wanted, refusal.affordable_nusd)
        if shorter is None or shorter.output_tokens < quotes.LEAST_TOKENS:
            return None
        return shorter

    def refused(self, refusal: Refusal, wanted: Quote) -> MoneyError:
        """Return the 402 of a refusal, with what can be done about it."""
        affordable = quotes.afforded(self._routes, wanted, refusal.affordable_nusd)
        most = affordable.output_tokens if affordable else 0
        facts: dict[str, object] = {
            "estimate_usd": print_usd(wanted.amount_nusd),
            "affordable_max_tokens": most,
            "balance_usd": print_usd(refusal.balance_nusd),
        }
        shorten = f" Or ask for less: up to {most} max_tokens fit." if most else ""
        if refusal.reason == "frozen":
            return WalletFrozenError(
                "This workspace's wallet is frozen. Ask the operator to unfreeze it.", facts=facts
            )
        if refusal.reason in ("in_flight", "resolved"):
            return InFlightBudgetError(
                "The money for this call is held by calls that are still running. "
                f"Try again in a second.{shorten}",
                retry_after_s=RETRY_IN_FLIGHT_S,
                facts=facts,
            )
        if refusal.reason == "cap" and refusal.cap_id is not None:
            return self._capped(refusal.cap_id, facts, shorten)
        return InsufficientCreditsError(
            f"This call may cost ${print_usd(wanted.amount_nusd)}; the balance is "
            f"${print_usd(refusal.balance_nusd)}. Top up at /dashboard/billing.{shorten}",
            facts=facts,
        )

    def _capped(self, cap_id: int, facts: dict[str, object], shorten: str) -> SpendingCapError:
        with db.reading() as session:
            cap = session.get(Cap, cap_id)
        if cap is None:
            return SpendingCapError("A spending limit stands in the way. Try again.", facts=facts)
        resets_ms = self._caller.calendar.resets_at_ms(cap.period, self._record.day)
        resets = clock.iso(resets_ms) if resets_ms is not None else None
        facts |= {
            "limit_source": cap.subject,
            "limit_usd": print_usd(cap.limit_nusd),
            "resets_at": resets,
        }
        way_out = f"It resets at {resets}." if resets else "It doesn't reset."
        return SpendingCapError(
            f"The {_PERIODS[cap.period]} limit of ${print_usd(cap.limit_nusd)} of this "
            f"{cap.subject} stands in the way. {way_out} "
            f"Raise the limit, or use another key.{shorten}",
            facts=facts,
        )
