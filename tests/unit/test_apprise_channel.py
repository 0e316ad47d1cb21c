"""Apprise: what an office has, reached by a URL that nobody reads in a log; and the log itself as a channel."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import structlog

from services.notifier.channels import Channel
from services.notifier.channels.apprise import OF_ONE, WHOLE, Apprises
from services.notifier.channels.log import Logs
from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.domain.notices import CLAIM
from shared.partners import NoticeChannel
from tests.unit.parcels import EMERGENCY, LINK, NOW, WORDING, parcel, shown

HUSH = "hush"


@dataclass
class Sink:
    """Where a service listens, and what it was sent."""

    status: bytes = b"200 OK"
    headers: bytes = b""
    port: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"json://lala:{HUSH}@127.0.0.1:{self.port}/{HUSH}?method=POST"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            self.paths.append(head.split(b" ")[1].decode())
            self.heard.append(json.loads(await reader.readexactly(length)))
            if self.waits:
                await self.waits.wait()
            writer.write(b"HTTP/1.1 " + self.status + b"\r\n" + self.headers + b"content-length: 0\r\n\r\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(sink: Sink) -> AsyncIterator[Sink]:
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


@pytest.fixture
def apprises() -> Iterator[Apprises]:
    channel = Apprises(WORDING)
    yield channel
    channel._threads.shutdown(wait=False, cancel_futures=True)


def to(address: str, **more: Any) -> Any:
    told = more.pop("shown", shown(never_held=True))
    return parcel(told, channel=NoticeChannel.APPRISE, address=address, **more)


async def test_a_few_words_reach_the_service_in_the_readers_language(apprises: Apprises) -> None:
    channel: Channel = apprises
    says = {"en": "Risk to life.", "ru": "Угроза жизни."}

    async with listening(Sink()) as sink:
        told = to(sink.url, shown=shown(EMERGENCY, says, never_held=True), language="ru")
        assert await channel.send(told, NOW) == Delivered(1)

    (heard,) = sink.heard
    assert heard["title"].startswith("УГРОЗА ЖИЗНИ – Дело назначено")
    assert len(heard["title"]) <= 60
    assert heard["message"] == f"Угроза жизни.\n{LINK}"
    assert heard["type"] == "failure"
    assert "http" not in json.dumps({**heard, "message": ""})  # no picture to be fetched from elsewhere


@pytest.mark.parametrize("status", [b"500 Internal Server Error", b"401 Unauthorized", b"404 Not Found"])
async def test_what_is_not_taken_is_tried_again(apprises: Apprises, status: bytes) -> None:
    async with listening(Sink(status)) as sink:
        assert await apprises.send(to(sink.url, attempt=3), NOW) == Failed(3, "not taken")


async def test_a_redirection_is_not_followed(apprises: Apprises) -> None:
    async with listening(Sink()) as elsewhere:
        header = b"location: http://127.0.0.1:%d/secret\r\n" % elsewhere.port
        async with listening(Sink(b"307 Temporary Redirect", header)) as sink:
            assert await apprises.send(to(sink.url), NOW) == Failed(1, "not taken")

    assert elsewhere.heard == []


async def test_nobody_there_is_tried_again(apprises: Apprises) -> None:
    assert await apprises.send(to("json://127.0.0.1:1/"), NOW) == Failed(1, "not taken")


@pytest.mark.parametrize("address", ["", "nonsense", f"unheard-of://{HUSH}@host", "https://", "json://", "twilio://x"])
async def test_an_address_that_apprise_does_not_know_fails_for_good(apprises: Apprises, address: str) -> None:
    assert await apprises.send(to(address), NOW) == Failed(1, "unknown address", for_good=True)


async def test_a_service_that_hangs_is_given_up_and_keeps_nobody_else_from_being_called() -> None:
    channel, released = Apprises(WORDING, whole=0.3), asyncio.Event()

    async with listening(Sink(waits=released)) as hanging, listening(Sink()) as sink:
        calls = [channel.send(to(hanging.url), NOW) for _ in range(OF_ONE + 2)]
        outcomes = await asyncio.gather(*calls, channel.send(to(sink.url), NOW))
        assert outcomes == [*(Failed(1, "timeout") for _ in calls), Delivered(1)]
        assert len(hanging.heard) == OF_ONE  # calls that hang do not pile up
        released.set()
        await asyncio.to_thread(channel._threads.shutdown)
        await asyncio.sleep(0)
        assert not channel._calls  # each has made room for another
    await channel.close()


async def test_a_service_that_breaks_in_our_hands_is_one_that_did_not_take_it(
    apprises: Apprises, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError(HUSH)

    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.send", broken)

    assert await apprises.send(to("json://127.0.0.1:1/"), NOW) == Failed(1, "not taken")


async def test_no_line_of_any_library_holds_the_address(
    apprises: Apprises, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # As in production: warnings and worse.
    caplog.set_level(logging.WARNING)

    async with listening(Sink(b"500 Internal Server Error")) as sink:
        for address in (sink.url, f"json://{HUSH}@127.0.0.1:1/{HUSH}", f"unheard-of://{HUSH}@host", f"mailto://{HUSH}"):
            outcome = await apprises.send(to(address), NOW)
            assert HUSH not in repr(outcome)

    out, err = capfd.readouterr()
    assert HUSH not in caplog.text + out + err


def test_a_call_ends_well_before_the_claim_on_its_notice() -> None:
    assert timedelta(seconds=WHOLE) < CLAIM / 2


async def test_the_log_has_a_line_for_each_notice_and_no_address() -> None:
    channel: Channel = Logs()
    told = parcel(
        shown(EMERGENCY, never_held=True),
        shown(number=2, due="2026-03-10T20:00:00.000000Z"),
        address=f"{HUSH}@desk.example",
    )

    with structlog.testing.capture_logs() as lines:
        assert await channel.send(told, NOW) == Delivered(1)

    first, second = lines
    assert first == {
        "event": "notice",
        "log_level": "info",
        "part": "notices",
        "notice": told.shown[0].notice,
        "rule": "emergency",
        "about": told.shown[0].data["about"],
        "says": told.shown[0].data["says"],
        "facts": EMERGENCY,
        "channel": "email",
        "recipient": "person.lala",
        "never_held": True,
    }
    assert second["due"] == "2026-03-10T20:00:00.000000Z"
    assert HUSH not in repr(lines)
    assert LINK not in repr(lines)
    await channel.close()
