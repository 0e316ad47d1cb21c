"""The addresses of subscriptions: what is wrong with one, what of it may be shown, and the keys that go with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

from services.notifier.channels import signing
from shared.partners import NoticeChannel

CheckUrl = Callable[[str], str | None]
"""What is wrong with an address on the web, as a sentence; None where nothing is: `Guard.why_not`."""

V1, V1A = "v1", "v1a"
"""Standard Webhooks' two kinds of signatures: HMAC-SHA256 and Ed25519."""
LONGEST = 2_000

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
_EMAIL = re.compile(f"(?=.{{3,254}}$){_LOCAL}@{_HOST}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key: what we keep, and the half that the recipient needs."""

    kept: str
    secret: str | None
    """For `v1`, where both sides have the same."""
    public_key: str | None
    """For `v1a`."""


def why_not(channel: NoticeChannel, address: str, check_url: CheckUrl) -> str | None:
    """What is wrong with an address; None where nothing is."""
    if channel is NoticeChannel.EMAIL:
        return None if _EMAIL.fullmatch(address) else "Must be one e-mail address, like duty@example.org."
    return check_url(address)


def masked(address: str) -> str:
    """What may be shown: a path or a mailbox may be a secret, or a person's name."""
    if "://" not in address:
        local, _, host = address.rpartition("@")
        return f"{local[:1]}***@{host}"
    return str(URL(address).origin())


def make_key(signs: str) -> MadeKey:
    """A new key for a webhook."""
    if signs == V1A:
        key = signing.new_key(signing.ED25519)
        return MadeKey(key, None, signing.public_key_of(key))
    key = signing.new_key()
    return MadeKey(key, key, None)
