"""What one dialect says and another has no word for: refused, or noted as dropped.

Refused is what the client would miss in the answer; dropped is what only nudges the model, the
bill or the vendor's own bookkeeping.
"""

from wire.neutral import Dropped, Extra, Request, unsupported

_NO_OTHER = "Leave it out, or choose a model whose provider speaks your dialect."

HINTS = ("presence_penalty", "frequency_penalty", "seed", "logit_bias")

EXPECTED = {
    "chat": {
        "audio": "this model speaks no sound",
        "functions": "only `tools` can be translated for this model",
        "function_call": "only `tool_choice` can be translated for this model",
    },
    "messages": {
        "container": "this model has no containers",
        "context_management": "this model can't edit its context",
    },
}
"""Fields of one dialect that change what comes back, with why a foreign model can't have them."""

QUIET = {
    "chat": frozenset({"stream_options"}),
}
"""Fields that stand for something the gateway does itself, or for the default."""

DEFAULTS = {
    "service_tier": ("auto", "default", "standard_only", None),
    "store": (False, None),
    "speed": ("standard", None),
    "inference_geo": ("global", None),
    "modalities": (["text"], None),
}


def refuse_unsayable(request: Request, dialect: str) -> None:
    """Refuse what an answer in another dialect can't have.

    Raises: UnsupportedByModelError.
    """
    if request.choices > 1 and dialect != "chat":
        raise unsupported(request.param("choices"), "this model gives one answer", "Send 1.")
    if request.sampling.has_logprobs and dialect == "messages":
        raise unsupported("logprobs", "this model tells no probabilities", _NO_OTHER)
    if "audio" in request.modalities and dialect == "messages":
        raise unsupported("modalities", "this model speaks no sound", _NO_OTHER)
    for whose, fields in (request.extra or {}).items():
        if whose == dialect:
            continue
        for field, why in EXPECTED.get(whose, {}).items():
            if fields.get(field):
                raise unsupported(field, why, _NO_OTHER)


def note_foreign(request: Request, dialect: str, dropped: Dropped) -> None:
    """Note the hints that this dialect has no word for."""
    if dialect == "messages":
        for name in HINTS:
            if getattr(request.sampling, name):
                dropped.note(name)
        if request.verbosity is not None:
            dropped.note(request.param("verbosity"))
        if request.metadata:
            dropped.note("metadata")
    for whose, fields in (request.extra or {}).items():
        if whose == dialect:
            continue
        for field, value in fields.items():
            if field in QUIET.get(whose, ()) or value in DEFAULTS.get(field, (None,)):
                continue
            dropped.note(field)


_BOOKKEEPING = frozenset({"block", "is_file", "type"})


def note_extra(extra: Extra | None, dialect: str, where: str, dropped: Dropped) -> None:
    """Note what a part of the request says that this dialect has no word for."""
    for whose, fields in (extra or {}).items():
        if whose != dialect:
            for name, value in fields.items():
                if name not in _BOOKKEEPING and value:
                    dropped.note(f"{where}.{name}")
