"""What is secret at rest: sealed with keys that stand outside the database, and bound to its row.

AES-256-GCM, the keys derived from `TURNPIKE_SECRET_KEYS`. The newest seals, any of them opens. What
none of them opens stays as it is: a wrong key is refused, and nothing is ever sealed over it.
"""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settings import Settings, SettingsError

INSTANCE = Path(__file__).parent.parent / "instance"
FILE = "secret-keys"
FORM = "v1"
NONCE_BYTES = 12
AT_REST = "turnpike: at rest"


class SecretKeyError(SettingsError):
    """None of our secret keys opens what is stored."""


class SecretBox:
    """Seals and opens. It never prints its keys."""

    def __init__(self, secret_keys: tuple[str, ...]) -> None:
        """`secret_keys` are the newest first."""
        if not secret_keys:
            raise SecretKeyError(
                "There is no secret key; set TURNPIKE_SECRET_KEYS, or let the start make one"
            )
        self._keys = {_fingerprint(key): AESGCM(derive(key, AT_REST)) for key in secret_keys}
        self._newest = _fingerprint(secret_keys[0])

    @classmethod
    def from_settings(cls, settings: Settings) -> "SecretBox":
        """Take the keys of the settings, else those under `instance/`, made on a first start.

        Raises: SettingsError.
        """
        return cls(load_or_make(settings, INSTANCE))

    def seal(self, plain: str, bound_to: str) -> str:
        """Return the text sealed by the newest key, readable only where it is bound to."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, plain.encode(), bound_to.encode())
        return f"{FORM}.{self._newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open_sealed(self, text: str, bound_to: str) -> str:
        """Return what was sealed.

        Raises: SecretKeyError when its key isn't among ours, or it was bound to something else.
        """
        form, _, rest = text.partition(".")
        fingerprint, _, content = rest.partition(".")
        key = self._keys.get(fingerprint)
        if form != FORM or key is None:
            raise SecretKeyError(
                f"TURNPIKE_SECRET_KEYS has no key that opens the secret of {bound_to}; "
                "put the key that sealed it back at the end of the list"
            )
        try:
            raw = base64.b64decode(content, altchars=b"-_", validate=True)
            return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretKeyError(
                f"The secret of {bound_to} was altered or belongs to another row; "
                "restore that row or set the secret anew"
            ) from error

    def is_newest(self, text: str) -> bool:
        """Whether a sealed text was sealed by the newest key, so that a rotation may pass it by."""
        return text.startswith(f"{FORM}.{self._newest}.")


def derive(secret_key: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose; those of another purpose tell nothing about them."""
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret_key.encode())


def load_or_make(settings: Settings, instance_dir: Path) -> tuple[str, ...]:
    """Return the secret keys: the settings', else those in `secret-keys`, made on a first start.

    The file is its owner's alone. Several processes may start at once: one of them makes it.
    Raises: SettingsError when the file can't be read or written, or is empty.
    """
    if settings.secret_keys:
        return settings.secret_keys
    path = instance_dir / FILE
    try:
        if not path.exists():
            _make(path)
        keys = tuple(path.read_text(encoding="utf-8").replace(",", " ").split())
    except OSError as error:
        raise SettingsError(
            f"{path} can't be read or written ({error.strerror}); make it readable for this user, "
            "or set TURNPIKE_SECRET_KEYS"
        ) from error
    if not keys:
        raise SettingsError(
            f"{path} is empty; restore it from a backup, or set TURNPIKE_SECRET_KEYS"
        )
    return keys


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, f"{secrets.token_urlsafe(32)}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first; its keys are the ones
    finally:
        draft.unlink()


def _fingerprint(secret_key: str) -> str:
    return hashlib.sha256(derive(secret_key, "turnpike: fingerprint")).hexdigest()[:12]
