"""Settings, read once from the environment into a frozen object.

An unknown `TURNPIKE_*` name or a bad value stops the start with one sentence that names it. Every
secret may also stand in a file: `NAME_FILE` holds its path.
"""

import dataclasses
import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from money import parse_usd

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

VENDORS = (
    "OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "DASHSCOPE", "ZHIPU", "MOONSHOT", "MINIMAX",
    "ARK", "MISTRAL", "XAI", "GROQ", "OPENROUTER",
)  # fmt: skip
"""Vendors whose `<VENDOR>_API_KEY` turns a provider on, and whose `<VENDOR>_BASE_URL` moves it."""


class SettingsError(ValueError):
    """A setting is unknown or has a bad value; the message names it."""


def environment() -> Mapping[str, str]:
    """Return the process's environment: the only place that reads it."""
    return os.environ


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("it must be at least 1")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError("it must be a port number, 0 to 65535")
    return value


def _database_url(text: str) -> str:
    if text.startswith("sqlite:///"):
        return text
    for scheme in ("postgresql://", "postgres://", "postgresql+psycopg://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text[len(scheme) :]
    raise ValueError("it must begin with sqlite:/// or postgresql://")


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError("it must be an http or https address")
    return text.rstrip("/")


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return text

    return read


def _setting(
    env: str, default: Any, read: Callable[[str], Any] = str, *, secret: bool = False
) -> Any:
    return dataclasses.field(
        default=default, metadata={"env": env, "read": read, "secret": secret}, repr=not secret
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator has set; `docs/operations.md` explains each name."""

    database_url: str = _setting("DATABASE_URL", "sqlite:///instance/turnpike.db", _database_url)
    redis_url: str | None = _setting("REDIS_URL", None, secret=True)
    host: str = _setting("HOST", "127.0.0.1")
    port: int = _setting("PORT", 8000, _port)
    web_concurrency: int = _setting("WEB_CONCURRENCY", 1, _positive_int)
    config: str | None = _setting("TURNPIKE_CONFIG", None)
    secret_keys: tuple[str, ...] = _setting("TURNPIKE_SECRET_KEYS", (), _words, secret=True)
    public_url: str | None = _setting("TURNPIKE_PUBLIC_URL", None, _public_url)
    sandbox: str | None = _setting("TURNPIKE_SANDBOX", None, _choice("on", "off"))
    ledger_sync: str = _setting("TURNPIKE_LEDGER_SYNC", "second", _choice("second", "always"))
    signup: str = _setting("TURNPIKE_SIGNUP", "invite", _choice("open", "invite", "closed"))
    trusted_proxies: tuple[Network, ...] = _setting("TURNPIKE_TRUSTED_PROXIES", (), _networks)
    metrics_token: str | None = _setting("TURNPIKE_METRICS_TOKEN", None, secret=True)
    drain_s: int = _setting("TURNPIKE_DRAIN_S", 30, _positive_int)
    insurance_nusd_day: int = _setting("TURNPIKE_INSURANCE_USD_DAY", 1_000_000_000, parse_usd)
    retention_days: int = _setting("TURNPIKE_RETENTION_DAYS", 90, _positive_int)
    smtp_url: str | None = _setting("SMTP_URL", None, secret=True)
    mail_from: str | None = _setting("MAIL_FROM", None)
    oidc_issuer: str | None = _setting("OIDC_ISSUER", None, _public_url)
    oidc_client_id: str | None = _setting("OIDC_CLIENT_ID", None)
    oidc_client_secret: str | None = _setting("OIDC_CLIENT_SECRET", None, secret=True)
    stripe_api_key: str | None = _setting("STRIPE_API_KEY", None, secret=True)
    stripe_webhook_secret: str | None = _setting("STRIPE_WEBHOOK_SECRET", None, secret=True)
    stripe_api_base: str | None = _setting("STRIPE_API_BASE", None, _public_url)
    btcpay_url: str | None = _setting("BTCPAY_URL", None, _public_url)
    btcpay_api_key: str | None = _setting("BTCPAY_API_KEY", None, secret=True)
    btcpay_store_id: str | None = _setting("BTCPAY_STORE_ID", None)
    btcpay_webhook_secret: str | None = _setting("BTCPAY_WEBHOOK_SECRET", None, secret=True)
    vendor_keys: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """Vendor name in lower case to its API key, from `<VENDOR>_API_KEY`."""
    vendor_base_urls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Vendor name in lower case to its base URL, from `<VENDOR>_BASE_URL`."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises SettingsError for an unknown `TURNPIKE_*` name, a bad value or an unreadable file.
        """
        fields = [field for field in dataclasses.fields(cls) if field.metadata]
        known = {field.metadata["env"] for field in fields}
        for name in environ:
            if name.startswith("TURNPIKE_") and name.removesuffix("_FILE") not in known:
                raise SettingsError(
                    f"{name} is not a setting of Turnpike; see .env.example for those it has"
                )
        values: dict[str, Any] = {}
        for field in fields:
            text = _text(environ, field.metadata["env"], may_be_file=field.metadata["secret"])
            if text is not None:
                values[field.name] = _read(field.metadata["env"], text, field.metadata["read"])
        keys = {v.lower(): _text(environ, f"{v}_API_KEY", may_be_file=True) for v in VENDORS}
        urls = {v.lower(): _text(environ, f"{v}_BASE_URL", may_be_file=False) for v in VENDORS}
        return cls(
            **values,
            vendor_keys={name: key for name, key in keys.items() if key},
            vendor_base_urls={
                name: _read(f"{name.upper()}_BASE_URL", url, _public_url)
                for name, url in urls.items()
                if url
            },
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, which takes one serving process."""
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_path(self) -> Path:
        """The database file; only meaningful on SQLite."""
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def is_https(self) -> bool:
        """Whether people reach the server by https, so that cookies can be Secure."""
        return (self.public_url or "").startswith("https://")

    def check_safe_to_serve(self) -> None:
        """Refuse combinations that can't keep their promises.

        Raises SettingsError for several workers on SQLite or without Redis.
        """
        if self.web_concurrency > 1 and self.is_sqlite:
            raise SettingsError(
                f"WEB_CONCURRENCY={self.web_concurrency} needs Postgres: SQLite is for one "
                "serving process. Set DATABASE_URL=postgresql://… or WEB_CONCURRENCY=1."
            )
        if self.web_concurrency > 1 and not self.redis_url:
            raise SettingsError(
                f"WEB_CONCURRENCY={self.web_concurrency} needs Redis for shared rate limits. "
                "Set REDIS_URL=redis://… or WEB_CONCURRENCY=1."
            )


def _text(environ: Mapping[str, str], env: str, *, may_be_file: bool) -> str | None:
    text = environ.get(env)
    path = environ.get(f"{env}_FILE")
    if path is None:
        return text if text and text.strip() else None
    if not may_be_file:
        raise SettingsError(f"{env}_FILE is not read: {env} is not a secret; set {env} itself")
    if text:
        raise SettingsError(f"{env} and {env}_FILE are both set; keep one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise SettingsError(
            f"{env}_FILE points at {path}, which can't be read: {error.strerror}"
        ) from error


def _read(env: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text.strip())
    except ValueError as error:
        raise SettingsError(f"{env} has a bad value: {error}") from error
