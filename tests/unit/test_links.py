"""Signed links: each opens its own notice, in its own deployment, and nothing else."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

import pytest

from services.notifier.acknowledgement.links import Links

KEY = bytes(range(32))
NOTICE, OTHER = "not_" + "a" * 32, "not_" + "b" * 32
LINKS = Links("https://notices.example.org/", KEY)


def signature_in(link: str | None) -> str:
    [signature] = parse_qs(urlsplit(link or "").query)["s"]
    return signature


def test_a_link_opens_its_own_notice() -> None:
    link = LINKS.link(NOTICE)

    assert link == f"https://notices.example.org/n/{NOTICE}?s={LINKS.signature(NOTICE)}"
    assert LINKS.check(NOTICE, signature_in(link))


def test_a_public_address_may_have_a_path() -> None:
    link = Links("https://example.org/rogatory", KEY).link(NOTICE)

    assert link is not None
    assert link.startswith(f"https://example.org/rogatory/n/{NOTICE}?s=")


def test_without_a_public_address_there_are_no_links() -> None:
    assert Links(None, KEY).link(NOTICE) is None


def test_it_is_the_same_link_for_ever() -> None:
    """What stands in a mail of last year still opens its notice: the label and the form are a contract."""
    assert Links(None, bytes(32)).signature("not_" + "0" * 32) == "LGmhlTaVB3TbYH_HTTqzOb104joNWxT5_sVKnemTmOI"


@pytest.mark.parametrize(
    "signature",
    ["", "x", LINKS.signature(OTHER), LINKS.signature(NOTICE)[:-1], LINKS.signature(NOTICE) + "=", "é\udcff"],
)
def test_no_other_signature_opens_it(signature: str) -> None:
    assert not LINKS.check(NOTICE, signature)


@pytest.mark.parametrize("notice", ["", NOTICE + "\n", NOTICE.upper(), "cas_" + "a" * 32, "../" + NOTICE])
def test_what_is_no_notices_id_has_no_signature_that_opens_it(notice: str) -> None:
    assert not LINKS.check(notice, LINKS.signature(notice))


def test_another_deployments_link_does_not_open_it() -> None:
    assert not LINKS.check(NOTICE, Links(None, bytes(32)).signature(NOTICE))


def test_no_signature_is_made_with_the_key_of_ids() -> None:
    plain = hmac.new(KEY, NOTICE.encode(), hashlib.sha256).digest()

    assert not LINKS.check(NOTICE, base64.urlsafe_b64encode(plain).rstrip(b"=").decode())
