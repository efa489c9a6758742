"""How hard to think, as Anthropic's models are told: by effort, or by a budget for older ones.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking (read 2026-11-21).
"""

from typing import Any

from wire import anthropic_models
from wire.anthropic_read import DIALECT
from wire.neutral import Dropped, Request, Target, invalid, own


def add_thinking(
    body: dict[str, Any],
    request: Request,
    target: Target,
    traits: anthropic_models.Traits,
    dropped: Dropped,
) -> None:
    """Put `thinking` and the effort into a body.

    Raises: InvalidParameterError.
    """
    thinking = request.thinking
    if thinking is None:
        return
    as_sent = own(thinking.extra, DIALECT).get("thinking")
    if as_sent is not None or request.dialect == DIALECT:
        if as_sent is not None:
            body["thinking"] = as_sent
        if thinking.effort is not None:
            body.setdefault("output_config", {})["effort"] = thinking.effort
        return
    if thinking.effort == "none" or thinking.is_enabled is False:
        body["thinking"] = {"type": "disabled"}
        return
    if not target.can_reason:
        dropped.note(request.param("effort"))
        return
    config = _adaptive if traits.is_adaptive else _budgeted
    config(body, request, dropped)
    if "thinking" in body and traits.is_adaptive:
        is_shown = thinking.is_shown
        if is_shown is not None or thinking.summary is not None:
            body["thinking"]["display"] = "omitted" if is_shown is False else "summarized"


def _adaptive(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    thinking = request.thinking
    assert thinking is not None  # noqa: S101 - called with one
    body["thinking"] = {"type": "adaptive"}
    effort = thinking.effort
    if effort is None and thinking.budget_tokens is not None:
        effort = anthropic_models.effort_of(thinking.budget_tokens, body["max_tokens"])
        dropped.note(request.param("budget_tokens"))
    if effort is None:
        return
    if effort == "minimal":
        effort = "low"
        dropped.note(f"{request.param('effort')}=minimal (low)")
    if effort not in anthropic_models.EFFORTS:
        raise invalid(request.param("effort"), "is no effort of this model", "Send low to max.")
    body.setdefault("output_config", {})["effort"] = effort


def _budgeted(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    thinking, limit = request.thinking, body["max_tokens"]
    assert thinking is not None  # noqa: S101 - called with one
    budget = thinking.budget_tokens
    if budget is None:
        budget = anthropic_models.budget_of(thinking.effort or "medium", limit)
        if budget is None:
            dropped.note(request.param("effort"))
            return
    elif not anthropic_models.LEAST_BUDGET_TOKENS <= budget < limit:
        raise invalid(
            request.param("budget_tokens"),
            f"must be from {anthropic_models.LEAST_BUDGET_TOKENS} to below the limit of {limit}",
            "Change it, or raise the limit of output tokens.",
        )
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
