"""Passwords: which ones are good enough, their hashes, and whether one is right.

Argon2id, with the least that OWASP asks for. Hashing takes tens of milliseconds on purpose and runs
beside the event loop.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from errors import InvalidParameterError
from offload import off_loop

SHORTEST, LONGEST = 12, 128
FEWEST_DIFFERENT = 5
"""A password of fewer different characters is a pattern: `aaaaaaaaaaaa`, `121212121212`."""

_COMMON = """
0123456789012 1234567890123 123456789012 1234567891011 123456789101112 1234567890ab 012345678910
098765432109 0987654321098 987654321098 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc
1qaz2wsx3edc4rfv zaq12wsxcde3 qwertyuiop12 qwertyuiop123 qwertyuiop1234 qwertyuiop[]
qwerty123456 qwerty1234567 qwerty12345678 qwerty123456789 qwertyuiopasdf qwertyqwerty
qazwsxedcrfv asdfghjkl123 asdfghjkl1234 asdfghjklzxcvbnm abcdefghijkl abcdefghijklm abcdefg12345
abc123456789 abcd12345678 a1b2c3d4e5f6 a123456789012 aa1234567890 passwordpassword password1234
password12345 password123456 password123! password1234! password@123 password@1234 p@ssw0rd1234
p@ssword1234 passw0rd1234 p@ssw0rd123! mypassword12 mypassword123 changeme1234 changeme12345
changemechangeme letmeinletmein letmein12345 letmein123456 welcome12345 welcome123456
welcome@1234 iloveyou1234 iloveyou12345 iloveyouiloveyou iloveyousomuch administrator
administrator1 admin1234567 admin12345678 admin123456789 adminadminadmin administrator123
football1234 baseball1234 princess1234 sunshine1234 superman1234 trustno1trustno1 monkey123456
dragon123456 michael12345 starwars1234 correcthorsebatterystaple whateverwhatever unbelievable
thisismypassword secretsecret secret123456 supersecret123 test12345678 test123456789
default12345 turnpike1234 turnpike12345 turnpiketurnpike
"""

COMMON = frozenset(_COMMON.split()) | {"correct horse battery staple"}
"""The commonest of those that are long enough, in lower case."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash that no password has: checking it takes as long as checking a real one."""


def hash_password(password: str) -> str:
    """Return what is kept of a new password.

    Raises: InvalidParameterError for one that is too short, too long or too common.
    """
    check(password)
    return off_loop(_HASHER.hash, _bytes(password))


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password is the right one; without a hash it isn't, and that takes as long."""
    try:
        return off_loop(_HASHER.verify, password_hash or _NOBODYS, _bytes(password[: 8 * LONGEST]))
    except (VerificationError, InvalidHashError):
        return False


def check(password: str) -> None:
    """Refuse a password that is too easily guessed.

    Any character is allowed; there are no rules on which. Raises: InvalidParameterError.
    """
    text = unicodedata.normalize("NFKC", password)
    if len(text) < SHORTEST:
        problem = f"The password is too short. Take {SHORTEST} characters or more."
    elif len(password) > LONGEST:
        problem = f"The password is too long. Take at most {LONGEST} characters."
    elif len(set(text)) < FEWEST_DIFFERENT or text.lower() in COMMON:
        problem = "That password is one of the first to be guessed. Take another, such as a phrase."
    else:
        return
    raise InvalidParameterError(problem, param="password")


def _bytes(password: str) -> bytes:
    """Return the same bytes for the same characters, however a keyboard has composed them."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
