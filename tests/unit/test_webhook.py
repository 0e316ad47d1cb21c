"""Webhooks: signed as Standard Webhooks says, and every answer understood."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import standardwebhooks
import svix.webhooks
from pydantic import SecretStr

from services.notifier.delivery import CLAIM_PATIENCE
from services.notifier.domain import CLAIM, Delivered, Failed
from services.notifier.webhook import WHOLE, Target, Webhooks, check_targets
from shared.failures import BadStart
from shared.partners import Agency, NoticeChannel, Partners, Subscriber

SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0"
URL = "https://hooks.example/notices?token=hush"
BODY = {"type": "notice.raised", "data": {"says": "Təcili: é ✓"}}
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)

Answer = Callable[[httpx.Request], httpx.Response]
Send = Callable[..., Awaitable[Delivered | Failed]]


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Send]:
    """A way to send one notice to a recipient who answers as told; nothing leaves the process."""

    def to(answer: Answer) -> Send:
        client = functools.partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
        monkeypatch.setattr("services.notifier.webhook.httpx.AsyncClient", client)
        webhooks = Webhooks({"operations": Target(url=URL, secret=SecretStr(SECRET))})
        monkeypatch.undo()

        async def send(attempt: int = 1, now: datetime = NOW) -> Delivered | Failed:
            return await webhooks.send("operations", "not_1", BODY, attempt, now)

        return send

    return to


def answers(status: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(status, headers=named)


# What is sent


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
async def test_the_signature_is_good_for_both_packages_of_the_standard(
    sending: Callable[[Answer], Send], package: Any
) -> None:
    captured: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        captured.append(request)
        return httpx.Response(204)

    await sending(take)(now=datetime.now(UTC))

    (request,) = captured
    package(SECRET).verify(request.content, dict(request.headers))
    assert orjson.loads(request.content) == BODY
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        package(SECRET).verify(request.content + b" ", dict(request.headers))


async def test_the_id_is_the_notices_over_all_attempts_and_the_time_is_of_the_attempt(
    sending: Callable[[Answer], Send],
) -> None:
    captured: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        captured.append(request)
        return httpx.Response(500)

    send = sending(take)
    await send(1)
    await send(2, NOW + timedelta(minutes=1))

    assert [request.headers["webhook-id"] for request in captured] == ["not_1", "not_1"]
    assert [request.headers["webhook-timestamp"] for request in captured] == ["1773129600", "1773129660"]
    assert {(r.method, str(r.url), r.headers["content-type"]) for r in captured} == {("POST", URL, "application/json")}


# What is answered

OUTCOMES: dict[str, tuple[Answer, Delivered | Failed]] = {
    "200": (answers(200), Delivered(1)),
    "204": (answers(204), Delivered(1)),
    "a redirection, which is not followed": (answers(302, location="https://other.example"), Failed(1, "HTTP 302")),
    "400": (answers(400), Failed(1, "HTTP 400")),
    "gone": (answers(410), Failed(1, "HTTP 410", for_good=True)),
    "500": (answers(500), Failed(1, "HTTP 500")),
    "later, in seconds": (answers(503, retry_after="120"), Failed(1, "HTTP 503", timedelta(minutes=2))),
    "later, at a time": (
        answers(503, retry_after=format_datetime(NOW + timedelta(hours=1), usegmt=True)),
        Failed(1, "HTTP 503", timedelta(hours=1)),
    ),
    "later, at a time without a zone": (
        answers(503, retry_after="Tue, 10 Mar 2026 09:00:00 -0000"),
        Failed(1, "HTTP 503"),
    ),
    "later, in no number": (answers(503, retry_after="soon"), Failed(1, "HTTP 503")),
    "later, in a number that is none": (
        lambda _request: httpx.Response(503, headers=[(b"retry-after", b"\xb2")]),
        Failed(1, "HTTP 503"),
    ),
    "later, in more than there is": (answers(503, retry_after="9" * 400), Failed(1, "HTTP 503")),
    "later, but empty": (answers(503, retry_after=""), Failed(1, "HTTP 503")),
}


@pytest.mark.parametrize("case", OUTCOMES)
async def test_every_answer_is_an_outcome(sending: Callable[[Answer], Send], case: str) -> None:
    answer, outcome = OUTCOMES[case]

    assert await sending(answer)() == outcome


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("cannot reach hush"),
        httpx.ReadTimeout("hush"),
        httpx.RemoteProtocolError("hush"),
        httpx.DecodingError("hush"),
    ],
)
async def test_a_failure_on_the_way_is_named_by_its_kind_for_its_text_may_hold_the_address(
    sending: Callable[[Answer], Send], error: Exception
) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    assert await sending(fail)() == Failed(1, type(error).__name__)


async def test_a_request_that_drips_for_ever_ends_as_a_whole(
    sending: Callable[[Answer], Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drip(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    send = sending(drip)  # type: ignore[arg-type]  # the transport takes both kinds
    monkeypatch.setattr("services.notifier.webhook.WHOLE", 0.01)

    assert await send() == Failed(1, "TimeoutError")


def test_a_request_ends_well_before_the_claim_on_its_notice() -> None:
    assert timedelta(seconds=WHOLE + CLAIM_PATIENCE) < CLAIM / 2


# The targets


def partners(**channels: tuple[NoticeChannel, ...]) -> Partners:
    subscribers = {name: Subscriber(title=name, channels=heard) for name, heard in channels.items()}
    return Partners(Path("law.yaml"), {"contact-point": Agency(title="Contact point")}, subscribers)


BY_WEBHOOK = partners(duty=(NoticeChannel.KAFKA, NoticeChannel.WEBHOOK), operations=(NoticeChannel.KAFKA,))


def target(url: str = URL, secret: str = SECRET) -> Target:
    return Target(url=url, secret=SecretStr(secret))


def test_a_target_for_everybody_who_hears_by_webhook_is_right() -> None:
    check_targets({"duty": target()}, BY_WEBHOOK, allow_http=False)
    check_targets({"duty": target("http://localhost:9000")}, BY_WEBHOOK, allow_http=True)
    check_targets({}, partners(operations=(NoticeChannel.KAFKA,)), allow_http=False)


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
