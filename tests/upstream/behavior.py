"""How the fake provider is to behave towards one request: what a script is made of."""

from typing import Any, Literal

import msgspec

UNSET: Any = msgspec.UNSET


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that the model calls."""

    name: str
    arguments: str = "{}"


class Behavior(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One behavior; without any field it is a good provider that repeats the last user message.

    `…_after` count the pieces that were written: a plain body is one piece unless `split_bytes`
    cuts it, a stream has one for each event (the first says the role, then one for each word).
    0 is right after the head.
    """

    status: int = 200
    headers: dict[str, str] = {}
    body: Any = UNSET
    """A text as it is, anything else as JSON; without it, the good answer of the path."""
    body_base64: str = ""
    raw: str = ""
    """The whole response verbatim (Latin-1), after which the connection is closed."""
    hang_up: Literal["", "fin", "rst"] = ""
    """Close instead of answering."""
    is_silent: bool = False
    """Never answer."""

    delay_s: float = 0.0
    first_gap_s: float = 0.0
    gap_s: float = 0.0
    cut_after: int | None = None
    rst_after: int | None = None
    silent_after: int | None = None
    end_after: int | None = None
    hold_before: int | None = None
    """Wait for `release` before that piece; -1 is before the head."""

    content: str | None = None
    """What is said. `words` says that many; `stamp` says the monotonic second of each write."""
    words: int | None = None
    stamp: bool = False
    is_role_apart: bool = True
    """Whether the role has an event of its own, or comes with the first word."""
    reasoning: str = ""
    deltas: list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] = []
    finish_reason: Any = UNSET
    model: str = ""

    usage: Any = UNSET
    """The literal usage; "absent" is none; a list is one usage after another."""
    usage_at: Literal["last", "with_finish", "every", "after_done"] = "last"
    usage_always: bool = False
    """Send it in a stream even if nobody asked."""

    done: bool = True
    after_done: str = ""
    error: Any = None
    """An error event in place of piece number `error_after`, after which the stream ends."""
    error_after: int = 0
    raw_events: list[str] | None = None
    """The pieces of the stream verbatim."""
    line_end: str = "\n"
    burst: int = 1
    """How many events go into one write."""
    split_bytes: int = 0
    flood_bytes: int = 0
    """A single line of that many bytes, in place of the events."""
    framing: Literal["auto", "chunked", "length", "close"] = "auto"


class Script(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a space does: the queue first, then by API key, by upstream model, or the default."""

    space: str
    default: Behavior = Behavior()
    queue: list[Behavior] = []
    models: dict[str, Behavior] = {}
    keys: dict[str, Behavior] = {}
    model_list: list[str] = msgspec.field(default_factory=lambda: ["fake-model"])
    is_recorded: bool = True


class Asked(msgspec.Struct, kw_only=True):
    """One request as it came; times are monotonic seconds."""

    number: int
    connection: int
    method: str
    path: str
    api_path: str
    headers: dict[str, str]
    body: bytes
    received_at: float
    finished_at: float | None = None
    aborted_at: float | None = None
    pieces_sent: int = 0
    json: Any = None

    @property
    def api_key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def model(self) -> str:
        return str(self.json.get("model")) if isinstance(self.json, dict) else ""

    def told(self) -> dict[str, Any]:
        """The record as tests read it."""
        return {
            "number": self.number,
            "connection": self.connection,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": self.body.decode("utf-8", "backslashreplace"),
            "received_at": self.received_at,
            "finished_at": self.finished_at,
            "aborted_at": self.aborted_at,
            "pieces_sent": self.pieces_sent,
        }
