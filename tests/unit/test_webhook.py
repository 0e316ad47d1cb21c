"""Webhooks: signed as Standard Webhooks says, every answer understood, and no recipient in another one's way."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import standardwebhooks
import svix.webhooks
from pydantic import SecretStr

from services.notifier.channels import Destination, Parcel, Shown
from services.notifier.channels.guard import Guard
from services.notifier.channels.outgoing import LONGEST_ANSWER, REST, WHOLE, Outgoing
from services.notifier.channels.webhook import LEFT, Target, Webhooks, check_targets
from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.domain.notices import CLAIM
from shared.failures import BadStart
from shared.partners import Agency, NoticeChannel, Partners, Subscriber, SubscriberChannel
from tests.unit import endpoints
from tests.unit.endpoints import HERE, Answer, Names, endpoint, says, trusting

SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0"
DATA = {"notice": "not_1", "says": "Təcili: é ✓", "facts": {"type": "extradition"}}
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    """Webhooks that trust the test's authority and find every name on this machine."""
    one = Webhooks(Outgoing(HERE, ssl_context=trusting(), names=Names()))
    yield one
    await one.close()


def parcel(url: str, attempt: int = 1, link: str | None = None, keys: tuple[str, ...] = (SECRET,)) -> Parcel:
    shown = Shown("not_1", {"en": DATA["says"]}, DATA, "2026-03-10T08:00:00.000000Z", link)  # type: ignore[dict-item]  # a str
    return Parcel("not_1", Destination("duty", NoticeChannel.WEBHOOK, url, keys), (shown,), attempt)


# What is sent


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
async def test_the_signature_is_good_for_both_packages_of_the_standard(webhooks: Webhooks, package: Any) -> None:
    async with endpoint(says(204)) as there:
        await webhooks.send(parcel(there.url), datetime.now(UTC))

    (asked,) = there.asked
    package(SECRET).verify(asked.body, asked.headers)
    with pytest.raises((standardwebhooks.webhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)):
        package(SECRET).verify(asked.body + b" ", asked.headers)


async def test_the_body_is_the_notice_with_its_link_where_it_has_one(webhooks: Webhooks) -> None:
    async with endpoint(says(200)) as there:
        await webhooks.send(parcel(there.url), NOW)
        await webhooks.send(parcel(there.url, link="https://rogatory.example/n/1"), NOW)

    without, with_link = (orjson.loads(asked.body) for asked in there.asked)
    assert without == {"type": "notice.raised", "timestamp": "2026-03-10T08:00:00.000000Z", "data": DATA}
    assert with_link["data"] == {**DATA, "link": "https://rogatory.example/n/1"}
    assert "Təcili".encode() in there.asked[0].body


async def test_the_id_is_the_notices_over_all_attempts_and_the_time_is_of_the_attempt(webhooks: Webhooks) -> None:
    async with endpoint(says(500)) as there:
        await webhooks.send(parcel(there.url, 1), NOW)
        await webhooks.send(parcel(there.url, 2), NOW + timedelta(minutes=1))

    assert [asked.headers["webhook-id"] for asked in there.asked] == ["not_1", "not_1"]
    assert [asked.headers["webhook-timestamp"] for asked in there.asked] == ["1773129600", "1773129660"]
    assert {(a.method, a.path, a.headers["content-type"]) for a in there.asked} == {
        ("POST", "/notices?token=hush", "application/json")
    }
    assert there.connections == 1


async def test_a_digest_is_no_webhook(webhooks: Webhooks) -> None:
    two = parcel("https://hooks.example").shown * 2
    with pytest.raises(ValueError, match="unpack"):
        await webhooks.send(Parcel("dig_1", parcel("").to, two, 1), NOW)


# What is answered

LATER = format_datetime(NOW + timedelta(hours=1), usegmt=True)
OUTCOMES: dict[str, tuple[Answer, Delivered | Failed]] = {
    "200": (says(200, b"ok"), Delivered(1)),
    "204": (says(204), Delivered(1)),
    "299": (says(299), Delivered(1)),
    "a redirection into the cloud": (
        says(302, location="http://169.254.169.254/latest/meta-data/"),
        Failed(1, "HTTP 302"),
    ),
    "a redirection that keeps the method": (says(307, location="https://127.0.0.1/"), Failed(1, "HTTP 307")),
    "not changed": (says(304), Failed(1, "HTTP 304")),
    "400": (says(400, b"hush"), Failed(1, "HTTP 400")),
    "gone": (says(410), Failed(1, "HTTP 410", for_good=True, gone=True)),
    "429": (says(429), Failed(1, "HTTP 429")),
    "429, later": (says(429, retry_after="7"), Failed(1, "HTTP 429", timedelta(seconds=7))),
    "500": (says(500), Failed(1, "HTTP 500")),
    "500, later": (says(500, retry_after="7"), Failed(1, "HTTP 500", timedelta(seconds=7))),
    "503, later, in seconds": (says(503, retry_after="120"), Failed(1, "HTTP 503", timedelta(minutes=2))),
    "503, later, at a time": (says(503, retry_after=LATER), Failed(1, "HTTP 503", timedelta(hours=1))),
    "later, at a time without a zone": (
        says(503, retry_after="Tue, 10 Mar 2026 09:00:00 -0000"),
        Failed(1, "HTTP 503"),
    ),
    "later, in no number": (says(503, retry_after="soon"), Failed(1, "HTTP 503")),
    "later, in a number that is none": (says(503, retry_after="\xb2"), Failed(1, "HTTP 503")),
    "later, in more than there is": (says(503, retry_after="9" * 400), Failed(1, "HTTP 503")),
    "later, but empty": (says(503, retry_after=""), Failed(1, "HTTP 503")),
    "packed badly": (says(200, b"hush", content_encoding="gzip"), Delivered(1)),
    "a cookie": (says(200, set_cookie="hush=1"), Delivered(1)),
    "a cookie that is none": (says(200, set_cookie="hush[]{}=1"), Delivered(1)),
    "a header that is none": (says(200, hush_="\x00"), Failed(1, "connection")),
    "closed in mid-status": (endpoints.closes_in_its_status, Failed(1, "connection")),
    "closed in mid-body: it was taken": (endpoints.closes_in_its_body, Delivered(1)),
    "no HTTP": (endpoints.speaks_no_http, Failed(1, "connection")),
    "a header without end": (says(200, x="y" * 100_000), Failed(1, "connection")),
}


@pytest.mark.parametrize("case", OUTCOMES)
async def test_every_answer_is_an_outcome_and_none_of_its_text_is_logged(
    webhooks: Webhooks, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, outcome = OUTCOMES[case]

    async with endpoint(answer) as there:
        assert await webhooks.send(parcel(there.url), NOW) == outcome
        assert len(there.asked) == 1
    assert "hush" not in caplog.text


async def test_a_body_without_end_is_not_read_on_and_its_connection_is_dropped(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.channels.outgoing.REST", 60)  # its size ends it, not the time

    async with endpoint(endpoints.never_ends) as there, asyncio.timeout(20):
        assert await webhooks.send(parcel(there.url), NOW) == Delivered(1)
        await there.dropped.wait()


async def test_a_short_body_leaves_the_connection_for_the_next_notice_and_a_long_one_does_not(
    webhooks: Webhooks,
) -> None:
    async with endpoint(says(200, b"x" * 1_000)) as short, endpoint(says(200, b"x" * 16 * LONGEST_ANSWER)) as long:
        for _ in range(3):
            await webhooks.send(parcel(short.url), NOW)
            await webhooks.send(parcel(long.url), NOW)

        assert (short.connections, long.connections) == (1, 3)


async def test_an_answer_that_unpacks_to_much_more_is_read_as_it_came(webhooks: Webhooks) -> None:
    bomb = gzip.compress(bytes(1_000 * LONGEST_ANSWER))
    assert LONGEST_ANSWER / 2 < len(bomb) < LONGEST_ANSWER
    tracemalloc.start()

    async with endpoint(says(200, bomb, content_encoding="gzip")) as there:
        for _ in range(3):
            assert await webhooks.send(parcel(there.url), NOW) == Delivered(1)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        # Unpacked it would be longer than what is read, and its connection dropped.
        assert there.connections == 1
        assert most < 32 * LONGEST_ANSWER


async def test_a_system_that_is_gone_is_asked_again_only_for_what_nothing_may_hold_back(webhooks: Webhooks) -> None:
    async with endpoint(says(410)) as there:
        told = parcel(there.url)
        left = replace(told, to=replace(told.to, left=True))
        (shown,) = told.shown
        never_held = replace(left, shown=(replace(shown, data={**shown.data, "never_held": True}),))

        assert await webhooks.send(left, NOW) == Failed(1, LEFT, for_good=True, is_known=True)
        assert there.asked == []
        assert await webhooks.send(never_held, NOW) == Failed(1, "HTTP 410", for_good=True, gone=True)
        assert len(there.asked) == 1


async def test_a_body_that_drips_is_left_after_its_status(webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.channels.outgoing.REST", 0.01)

    async with endpoint(endpoints.drips_its_body) as there:
        assert await webhooks.send(parcel(there.url), NOW) == Delivered(1)


@pytest.mark.parametrize("answer", [endpoints.drips, endpoints.says_nothing])
async def test_a_request_that_drips_for_ever_ends_as_a_whole(answer: Answer) -> None:
    webhooks = Webhooks(Outgoing(HERE, ssl_context=trusting(), names=Names(), whole=0.3))

    async with endpoint(answer) as there, asyncio.timeout(10):
        assert await webhooks.send(parcel(there.url), NOW) == Failed(1, "timeout")
    await webhooks.close()


async def test_the_certificate_of_another_name_is_refused(webhooks: Webhooks) -> None:
    async with endpoint(says(200), host="other.example") as there:
        assert await webhooks.send(parcel(there.url), NOW) == Failed(1, "certificate")
        assert not there.asked


async def test_an_authority_that_nobody_trusts_is_refused() -> None:
    webhooks = Webhooks(Outgoing(HERE, names=Names()))

    async with endpoint(says(200)) as there:
        assert await webhooks.send(parcel(there.url), NOW) == Failed(1, "certificate")
    await webhooks.close()


async def test_nobody_listens(webhooks: Webhooks) -> None:
    async with endpoint(says(200)) as there:
        url = there.url

    assert await webhooks.send(parcel(url), NOW) == Failed(1, "connection")


async def test_a_refused_address_fails_for_good_and_a_refused_name_for_now() -> None:
    webhooks = Webhooks(Outgoing(Guard(), names=Names("10.0.0.1")))

    assert await webhooks.send(parcel("https://10.0.0.1/"), NOW) == Failed(1, "refused address", for_good=True)
    assert await webhooks.send(parcel("http://hooks.example/"), NOW) == Failed(1, "refused address", for_good=True)
    assert await webhooks.send(parcel("https://hooks.example/"), NOW) == Failed(1, "refused address")
    await webhooks.close()


async def test_systems_that_hang_take_no_place_from_one_that_answers(webhooks: Webhooks) -> None:
    """More than a client allows by itself: aiohttp's own limit is 100 connections."""
    arrived = asyncio.Semaphore(0)

    async def hang(writer: asyncio.StreamWriter) -> None:
        arrived.release()
        await endpoints.says_nothing(writer)

    async with endpoint(hang) as hanging, endpoint(says(200)) as there:
        stuck = [asyncio.create_task(webhooks.send(parcel(hanging.url), NOW)) for _ in range(120)]
        for _ in stuck:
            await arrived.acquire()

        assert await webhooks.send(parcel(there.url), NOW) == Delivered(1)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_what_was_closed_opens_anew(webhooks: Webhooks) -> None:
    async with endpoint(says(200)) as there:
        for _ in range(2):
            assert await webhooks.send(parcel(there.url), NOW) == Delivered(1)
            await webhooks.close()
        assert there.connections == 2


def test_a_request_ends_well_before_the_claim_on_its_notice() -> None:
    assert timedelta(seconds=WHOLE + REST) < CLAIM / 2


# The targets


def partners(**channels: tuple[SubscriberChannel, ...]) -> Partners:
    subscribers = {name: Subscriber(title=name, channels=heard) for name, heard in channels.items()}
    return Partners(Path("law.yaml"), {"contact-point": Agency(title="Contact point")}, subscribers)


URL = "https://hooks.example/notices?token=hush"
BY_WEBHOOK = partners(duty=(SubscriberChannel.KAFKA, SubscriberChannel.WEBHOOK), operations=(SubscriberChannel.KAFKA,))


def target(url: str = URL, secret: str = SECRET) -> Target:
    return Target(url=url, secret=SecretStr(secret))


def test_a_target_for_everybody_who_hears_by_webhook_is_right() -> None:
    check_targets({"duty": target()}, BY_WEBHOOK, allow_http=False)
    check_targets({"duty": target("http://localhost:9000")}, BY_WEBHOOK, allow_http=True)
    check_targets({}, partners(operations=(SubscriberChannel.KAFKA,)), allow_http=False)


NOT_HTTPS = "ROGATORY_WEBHOOKS: the address of duty must be like https://host/..."
NO_SECRET = "ROGATORY_WEBHOOKS: the secret of duty is not whsec_ and base64"
WRONG: dict[str, tuple[Mapping[str, Target], bool, str]] = {
    "nobody": ({}, False, "ROGATORY_WEBHOOKS says nothing for duty, who hears by webhook in the partners file"),
    "somebody else too": (
        {"duty": target(), "operations": target()},
        False,
        "ROGATORY_WEBHOOKS names operations, who does not hear by webhook in the partners file",
    ),
    "http": ({"duty": target("http://hooks.example")}, False, NOT_HTTPS),
    "another scheme": ({"duty": target("ftp://hooks.example")}, True, NOT_HTTPS),
    "no scheme": ({"duty": target("hooks.example")}, True, NOT_HTTPS),
    "no host": ({"duty": target("https://")}, False, NOT_HTTPS),
    "half an address": ({"duty": target("https://[")}, False, NOT_HTTPS),
    "no host's name": ({"duty": target("https://xn--a/")}, False, NOT_HTTPS),
    "no address at all": ({"duty": target("https://hooks.example:port/")}, False, NOT_HTTPS),
    "a secret that is no base64": ({"duty": target(secret="whsec_x")}, False, NO_SECRET),
    "an empty secret": ({"duty": target(secret="")}, False, NO_SECRET),
    "a secret that is only the prefix": ({"duty": target(secret="whsec_")}, False, NO_SECRET),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_target_stops_the_start_with_its_sentence_and_without_the_secret(case: str) -> None:
    targets, allow_http, sentence = WRONG[case]

    with pytest.raises(BadStart) as refusal:
        check_targets(targets, BY_WEBHOOK, allow_http)

    assert str(refusal.value) == sentence
