"""Signatures of Standard Webhooks: `whsec_` keys sign by HMAC-SHA256 (`v1`), `whsk_` keys by Ed25519 (`v1a`).

Several keys make several signatures, with spaces between: while a key is rotated, a recipient may know either.
"""

import base64
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

HMAC, ED25519, ED25519_PUBLIC = "whsec_", "whsk_", "whpk_"
"""What keys begin with."""

Sign = Callable[[str, datetime, str], str]
"""The signature of a message: its id, its time and its body."""


def is_key(text: str) -> bool:
    """Whether a text is a key that can sign."""
    try:
        _sign_by(text)
    except ValueError:
        return False
    return True


def new_key(kind: str = HMAC) -> str:
    """A new key: `HMAC`, which the recipient gets too, or `ED25519`, of which it gets the public half."""
    if kind == HMAC:
        return HMAC + base64.b64encode(secrets.token_bytes(32)).decode()
    private = Ed25519PrivateKey.generate()
    # The seed and the public key, as libraries keep a pair.
    return ED25519 + base64.b64encode(private.private_bytes_raw() + private.public_key().public_bytes_raw()).decode()


def public_key_of(key: str) -> str:
    """The `whpk_` half of a `whsk_` key, for the recipient; raises `ValueError` for another key."""
    return ED25519_PUBLIC + base64.b64encode(_private(key).public_key().public_bytes_raw()).decode()


def signatures(keys: tuple[str, ...], message: str, at: datetime, body: str) -> str:
    """The `webhook-signature` of a message; raises `ValueError` where no key is one."""
    utc = at.astimezone(UTC)  # `Webhook` takes any time for UTC
    return " ".join([sign(message, utc, body) for sign in _signers(keys)])


@lru_cache(maxsize=4_096)
def _signers(keys: tuple[str, ...]) -> tuple[Sign, ...]:
    if not keys:
        raise ValueError("a webhook is never sent unsigned")
    return tuple(_sign_by(key) for key in keys)


def _sign_by(key: str) -> Sign:
    if key.startswith(ED25519):
        return _by_ed25519(_private(key))
    # Checked here, for `Webhook` skips what is not base64 and signs with what is left.
    return Webhook(_raw(key, HMAC)).sign


def _by_ed25519(private: Ed25519PrivateKey) -> Sign:
    def sign(message: str, at: datetime, body: str) -> str:
        signed = private.sign(f"{message}.{int(at.timestamp())}.{body}".encode())
        return "v1a," + base64.b64encode(signed).decode()

    return sign


def _private(key: str) -> Ed25519PrivateKey:
    """A key is kept as its seed, or as the seed and the public key that follows from it."""
    raw = _raw(key, ED25519)
    private = Ed25519PrivateKey.from_private_bytes(raw[:32])
    if raw[32:] not in (b"", private.public_key().public_bytes_raw()):
        raise ValueError("not a pair of keys")
    return private


def _raw(key: str, begins: str) -> bytes:
    encoded = key.removeprefix(begins)
    if encoded in (key, ""):
        raise ValueError(f"not a key that begins with {begins}")
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
