"""Who pays, case by case: the rows of the published table as one pure decision.

A call ends in one of a few ways; the row that applies says what is counted, from where, and whether
the house insures it. The table is in `docs/api.md`; each row has its test in
`tests/gateway/test_who_pays.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from wire.usage import Usage


class End(Enum):
    """How a call ended, seen from the gateway."""

    FINISHED = "finished"
    REJECTED = "rejected"
    FAILED = "failed"
    EMPTY = "empty"
    BROKEN = "broken"
    CUT = "cut"
    CLIENT_LEFT_EARLY = "client_left_early"
    CLIENT_LEFT = "client_left"
    UNCOVERED = "uncovered"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when a call ends.

    `reported` is the provider's usage, None when there was none or it made no sense (`is_flagged`).
    `delivered` counts, by our own reckoning, the input and what came of the output; it is called
    only where it is needed. `has_accepted`: a provider had said 200.
    """

    reported: Usage | None
    is_flagged: bool
    has_accepted: bool
    delivered: Callable[[], Usage]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The row that applies. `usage` None is a call that nobody owes anything for."""

    rule: str
    status: str
    basis: str
    usage: Usage | None
    is_insured: bool = False


def judge(end: End, evidence: Evidence) -> Verdict:
    """Return the row of the table that this end falls under."""
    if end is End.FINISHED:
        if evidence.reported is not None:
            return Verdict("b", "ok", "provider", evidence.reported)
        return Verdict("d" if evidence.is_flagged else "c", "ok", "estimated", evidence.delivered())
    if end in _FREE:
        return Verdict(_FREE[end], "error", "none", None)
    if end is End.CLIENT_LEFT_EARLY:
        if not evidence.has_accepted:
            return Verdict("h", "cancelled", "none", None)
        return Verdict("h", "cancelled", "estimated", _input_only(evidence.delivered()))
    rule, status, is_insured = _DELIVERED[end]
    if evidence.reported is not None:
        return Verdict(rule, status, "provider", evidence.reported, is_insured)
    return Verdict(rule, status, "estimated", evidence.delivered(), is_insured)


_FREE = {End.REJECTED: "e", End.FAILED: "f", End.EMPTY: "g"}
_DELIVERED = {
    End.BROKEN: ("g", "error", True),
    End.CUT: ("j", "error", True),
    End.CLIENT_LEFT: ("i", "cancelled", False),
    End.UNCOVERED: ("s", "error", False),
}


def _input_only(usage: Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        image_input_tokens=usage.image_input_tokens,
    )
