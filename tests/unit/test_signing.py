"""Signatures: good for the standard's own packages, for every kind of key, and while a key is rotated."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.notifier.channels.signing import ED25519, HMAC, is_key, new_key, public_key_of, signatures

PACKAGES = (standardwebhooks.Webhook, svix.webhooks.Webhook)
FAILURES = (standardwebhooks.webhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)
BODY = '{"says":"Təcili: é ✓"}'
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
"""The first key pair of RFC 8032, section 7.1."""


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def headers(keys: tuple[str, ...], at: datetime) -> dict[str, str]:
    return {
        "webhook-id": "not_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures(keys, "not_1", at, BODY),
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_both_packages_of_the_standard_take_a_signature_by_either_key_of_a_rotation(package: Any) -> None:
    new, old, other, at = new_key(), new_key(), new_key(), datetime.now(UTC)
    asymmetric = new_key(ED25519)

    sent = headers((new, asymmetric, old), at)

    for key in (new, old):
        package(key).verify(BODY, sent)
        with pytest.raises(FAILURES):
            package(key).verify(BODY + " ", sent)
    with pytest.raises(FAILURES):
        package(other).verify(BODY, sent)
    assert [one.partition(",")[0] for one in sent["webhook-signature"].split(" ")] == ["v1", "v1a", "v1"]


def test_an_ed25519_signature_is_good_for_the_public_half_that_the_recipient_has() -> None:
    key, at = new_key(ED25519), datetime(2026, 3, 10, 8, tzinfo=UTC)
    prefix, public = (
        public_key_of(key)[:5],
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key_of(key)[5:])),
    )

    version, signed = signatures((key,), "not_1", at, BODY).split(",")

    assert (prefix, version) == ("whpk_", "v1a")
    public.verify(base64.b64decode(signed), f"not_1.1773129600.{BODY}".encode())
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signed), f"not_1.1773129601.{BODY}".encode())


def test_a_pair_of_keys_may_be_written_as_its_seed_or_whole() -> None:
    assert public_key_of(ED25519 + text(SEED)) == "whpk_" + text(PUBLIC)
    assert public_key_of(ED25519 + text(SEED + PUBLIC)) == "whpk_" + text(PUBLIC)


def test_what_is_new_is_a_key_and_no_two_are_the_same() -> None:
    keys = [new_key(kind) for kind in (HMAC, ED25519) for _ in range(3)]

    assert len(set(keys)) == 6
    assert all(is_key(key) for key in keys)


NO_KEYS = {
    "nothing": "",
    "only how it begins": "whsec_",
    "no base64": "whsec_x",
    "no base64, of a usable length": "whsec_c2VjcmV0!c2VjcmV0",
    "no beginning": "c2VjcmV0c2VjcmV0c2VjcmV0",
    "a public key": "whpk_" + text(PUBLIC),
    "a seed that is too short": ED25519 + text(SEED[:-1]),
    "a pair that is none": ED25519 + text(SEED + SEED),
    "more than a pair": ED25519 + text(SEED + PUBLIC + b"x"),
    "an empty pair": ED25519,
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_is_no_key_signs_nothing(case: str) -> None:
    assert not is_key(NO_KEYS[case])
    with pytest.raises(ValueError):
        signatures((NO_KEYS[case],), "not_1", datetime.now(UTC), BODY)


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ValueError, match="unsigned"):
        signatures((), "not_1", datetime.now(UTC), BODY)


def test_only_the_private_half_has_a_public_one() -> None:
    with pytest.raises(ValueError, match="whsk_"):
        public_key_of(new_key())


def test_a_key_without_its_padding_is_the_same_key() -> None:
    at = datetime.now(UTC)

    assert signatures(("whsec_c2VjcmV0czA=",), "m", at, BODY) == signatures(("whsec_c2VjcmV0czA",), "m", at, BODY)


@pytest.mark.parametrize("kind", [HMAC, ED25519])
def test_the_zone_in_which_the_time_is_told_changes_nothing(kind: str) -> None:
    key, at = new_key(kind), datetime(2026, 3, 10, 8, tzinfo=UTC)

    baku = at.astimezone(timezone(timedelta(hours=4)))

    assert signatures((key,), "m", baku, BODY) == signatures((key,), "m", at, BODY)
