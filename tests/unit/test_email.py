"""E-mail: over STARTTLS to a real server, once for all attempts the same mail; every answer understood."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import SecretStr, ValidationError

from services.notifier.channels import Channel
from services.notifier.channels.email import LEAVING, WHOLE, Emails, Smtp
from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.domain.notices import CLAIM
from shared.failures import BadStart
from tests.unit.parcels import CASE, NOTICE, NOW, WORDING, parcel, shown

AUTHORITY = trustme.CA()
SENDER = "notices@office.example"


@dataclass
class Inbox:
    """What a mail server was given, and how it answers."""

    rcpt: str | None = None
    data: str | None = None
    sender: str | None = None
    taken: list[Envelope] = field(default_factory=list)
    was_tls: list[bool] = field(default_factory=list)
    logins: list[Any] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.sender or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt or "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.was_tls.append(session.ssl is not None)
        if self.data is None:
            self.taken.append(envelope)
        return self.data or "250 OK"

    def login(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hush", handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one.original_content or b"", policy=default) for one in self.taken]


@asynccontextmanager
async def listening(make: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def mail_server(inbox: Inbox, name: str | None = "localhost", **options: Any) -> AsyncIterator[int]:
    """A mail server with a certificate for this name; None: one that offers no STARTTLS."""
    tls = None
    if name is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert(name).configure_cert(tls)
    kept = {"require_starttls": name is not None, "auth_require_tls": True, "hostname": "mail.office.example"}

    def make() -> SMTP:
        return SMTP(inbox, tls_context=tls, loop=asyncio.get_running_loop(), **{**kept, **options})

    async with listening(make) as port:
        yield port


@asynccontextmanager
async def scripted(*answers: bytes | None) -> AsyncIterator[int]:
    """A server that answers line by line; None: it closes, and after the last answer it says nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for number, answer in enumerate(answers):
                if number:
                    await reader.readline()
                if answer is None:
                    writer.close()
                    return
                writer.write(answer)
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def emails(port: int, ca: Path | None = None, whole: float = 5.0, **more: Any) -> Emails:
    starttls = "required" if ca else "never"
    smtp = Smtp(host="localhost", port=port, sender=SENDER, ca=ca, **{"starttls": starttls, **more})
    return Emails(smtp, WORDING, whole=whole)


# What is sent


async def test_a_mail_goes_over_tls_and_says_what_it_is(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox) as port:
        channel: Channel = emails(port, ca)
        outcome = await channel.send(parcel(shown(never_held=True), language="az"), NOW)

    assert outcome == Delivered(1)
    assert inbox.was_tls == [True]
    (envelope,), (mail,) = inbox.taken, inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["lala@desk.example"])
    assert {name: mail[name] for name in sorted(mail.keys()) if name not in ("Subject", "Content-Type")} == {
        "Auto-Submitted": "auto-generated",
        "Content-Language": "az",
        "Date": "Tue, 10 Mar 2026 08:00:00 +0000",
        "From": SENDER,
        "Importance": "high",
        "In-Reply-To": f"<{CASE}@office.example>",
        "MIME-Version": "1.0",
        "Message-ID": f"<{NOTICE}@office.example>",
        "References": f"<{CASE}@office.example>",
        "To": "lala@desk.example",
        "X-Auto-Response-Suppress": "All",
        "X-Priority": "1",
    }
    assert mail["Subject"].startswith("HƏYAT ÜÇÜN TƏHLÜKƏ – İş təyin olunub – ")
    assert mail["Subject"].endswith(f" [{CASE}]")
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert all(len(line) <= 998 and line.isascii() for line in (envelope.original_content or b"").split(b"\r\n"))


async def test_it_is_the_same_mail_over_all_attempts_and_mails_of_one_case_stand_together(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox) as port:
        channel = emails(port, ca)
        await channel.send(parcel(attempt=1), NOW)
        await channel.send(parcel(attempt=2), NOW + timedelta(minutes=1))
        await channel.send(parcel(shown(number=7)), NOW)

    first, again, other = inbox.mails
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["References"] == again["References"] == other["References"]


async def test_a_digest_that_grew_between_attempts_is_another_mail_so_that_no_mailbox_hides_it(ca: Path) -> None:
    inbox = Inbox()
    two = [shown(number=n, about=f"cas_{n:032x}") for n in (1, 2)]

    async with mail_server(inbox) as port:
        channel = emails(port, ca)
        for told in (two, two, [*two, shown(number=3)]):
            assert await channel.send(parcel(*told), NOW) == Delivered(1)

    ids = [mail["Message-ID"] for mail in inbox.mails]
    assert ids[0] == ids[1] != ids[2]
    assert all("References" not in mail for mail in inbox.mails)


async def test_who_has_a_password_logs_in(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox, authenticator=inbox.login, auth_required=True) as port:
        right = emails(port, ca, user="notifier", password=SecretStr("hush"))
        wrong = emails(port, ca, user="notifier", password=SecretStr("wrong"))
        assert await right.send(parcel(), NOW) == Delivered(1)
        # It is ours to mend, so it is tried again.
        assert await wrong.send(parcel(), NOW) == Failed(1, "SMTP 535")

    assert inbox.logins[0] == (b"notifier", b"hush")


HOSTILE = "X\r\nBcc: everybody@evil.example\r\n\r\nbody\u2028\u202e"


async def test_nothing_that_a_notice_says_becomes_a_header(ca: Path) -> None:
    inbox = Inbox()
    facts = {"event": "alert.raised", "kind": HOSTILE, "alertname": HOSTILE}

    async with mail_server(inbox) as port:
        assert await emails(port, ca).send(parcel(shown(facts, HOSTILE, about=HOSTILE)), NOW) == Delivered(1)

    (envelope,), (mail,) = inbox.taken, inbox.mails
    assert envelope.rcpt_tos == ["lala@desk.example"]
    assert "Bcc" not in mail
    assert b"\nBcc" not in (envelope.original_content or b"")
    assert "everybody@evil.example" in mail["Subject"]  # as words, on its one line


@pytest.mark.parametrize(
    "address",
    [
        "lala@desk.example\r\nRCPT TO:<other@evil.example>",
        "lala@desk.example\nBcc: other@evil.example",
        "lala@desk.example, other@evil.example",
        "<lala@desk.example>",
        "lala",
        "@desk.example",
        "lala@",
        "lalə@desk.example",
        "lala@desk.example\n",
        "",
    ],
)
async def test_an_address_that_is_none_fails_for_good_and_nobody_is_asked(address: str) -> None:
    assert await emails(1).send(parcel(address=address), NOW) == Failed(1, "unknown address", for_good=True)


# What is answered

REFUSALS: dict[str, tuple[Inbox, Failed]] = {
    "no such mailbox": (Inbox(rcpt="550 5.1.1 no lala@desk.example"), Failed(1, "SMTP 550", for_good=True)),
    "mailbox full for now": (Inbox(rcpt="452 4.2.2 lala is full"), Failed(1, "SMTP 452")),
    "greylisted": (Inbox(rcpt="451 4.7.1 later"), Failed(1, "SMTP 451")),
    "the mail itself is refused": (Inbox(data="554 5.7.1 spam"), Failed(1, "SMTP 554", for_good=True)),
    "the mail is not taken for now": (Inbox(data="450 4.3.2 busy"), Failed(1, "SMTP 450")),
    "our sender is refused, which we can mend": (Inbox(sender="550 5.7.1 who?"), Failed(1, "SMTP 550")),
    "the server goes down": (Inbox(rcpt="421 4.3.2 closing"), Failed(1, "SMTP 421")),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_every_refusal_is_an_outcome_without_the_servers_words(ca: Path, case: str) -> None:
    inbox, outcome = REFUSALS[case]

    async with mail_server(inbox) as port:
        assert await emails(port, ca).send(parcel(), NOW) == outcome

    assert inbox.taken == []


async def test_another_names_certificate_is_refused_and_nothing_is_said(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox, "mail.other.example") as port:
        assert await emails(port, ca).send(parcel(), NOW) == Failed(1, "certificate")

    assert inbox.was_tls == []


async def test_a_certificate_of_an_authority_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    async with mail_server(Inbox()) as port:
        assert await emails(port, other).send(parcel(), NOW) == Failed(1, "certificate")


async def test_a_server_without_starttls_gets_no_mail_where_it_is_required(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox, None) as port:
        assert await emails(port, ca).send(parcel(), NOW) == Failed(1, "no STARTTLS")
        assert inbox.was_tls == []
        assert await emails(port).send(parcel(), NOW) == Delivered(1)  # the local stack

    assert inbox.was_tls == [False]


GREETING, HELLO = b"220 mail\r\n", b"250 mail\r\n"
BROKEN: dict[str, tuple[tuple[bytes | None, ...], str]] = {
    "closes at once": ((None,), "connection"),
    "closes after its greeting": ((GREETING, None), "connection"),
    "closes after the recipient": ((GREETING, HELLO, b"250 OK\r\n", None), "connection"),
    "closes after the mail": (
        (GREETING, HELLO, b"250 OK\r\n", b"250 OK\r\n", b"354 go\r\n", None),
        "connection",
    ),
    "is no mail server": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "no SMTP"),
    "refuses us": ((b"554 no service for you\r\n",), "SMTP 554"),
    "says nothing": ((), "timeout"),
    "says nothing after its greeting": ((GREETING,), "timeout"),
    "drips": ((b"2",), "timeout"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_server_that_breaks_off_is_tried_again(case: str) -> None:
    answers, reason = BROKEN[case]

    async with scripted(*answers) as port:
        assert await emails(port, whole=0.3).send(parcel(), NOW) == Failed(1, reason)


async def test_a_server_that_closes_instead_of_shaking_hands_is_tried_again(ca: Path) -> None:
    async with scripted(GREETING, b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n", None) as port:
        outcome = await emails(port, ca).send(parcel(), NOW)

    assert outcome in (Failed(1, "connection"), Failed(1, "TLS"))


async def test_what_a_server_took_is_delivered_though_it_never_says_goodbye() -> None:
    taken = (GREETING, HELLO, b"250 OK\r\n", b"250 OK\r\n", b"354 go\r\n")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, answer in enumerate(taken):
            if number:
                await reader.readline()
            writer.write(answer)
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 queued\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        assert await emails(port, whole=3 * LEAVING).send(parcel(), NOW) == Delivered(1)
    finally:
        server.close()


async def test_nobody_there_is_tried_again() -> None:
    assert await emails(1).send(parcel(), NOW) == Failed(1, "connection")
    nowhere = Smtp(host="a" * 64, sender=SENDER, starttls="never")
    assert await Emails(nowhere, WORDING).send(parcel(), NOW) == Failed(1, "connection")


async def test_a_dead_connection_is_nobodys_next_one(ca: Path) -> None:
    inbox = Inbox()

    async with mail_server(inbox) as port:
        channel = emails(port, ca)
        await channel.send(parcel(), NOW)
    async with mail_server(inbox) as port:
        channel._smtp = channel._smtp.model_copy(update={"port": port})
        assert await channel.send(parcel(shown(number=2)), NOW) == Delivered(1)
        await channel.close()


async def test_many_mails_at_once_are_a_few_connections_at_a_time(ca: Path) -> None:
    inbox, told = Inbox(), [parcel(shown(number=n)) for n in range(1, 25)]

    async with mail_server(inbox) as port:
        channel = emails(port, ca, whole=WHOLE)
        assert set(await asyncio.gather(*(channel.send(one, NOW) for one in told))) == {Delivered(1)}

    assert len({mail["Message-ID"] for mail in inbox.mails}) == len(told)


def test_a_mail_ends_well_before_the_claim_on_its_notice() -> None:
    assert timedelta(seconds=WHOLE + LEAVING) < CLAIM / 2


# The settings

GOOD: dict[str, Any] = {"host": "mail.office.example", "sender": SENDER}


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "Notices <notices@office.example>"},
        {"sender": "notices@office.example\r\nBcc: x@evil.example"},
        {"host": ""},
        {"port": 0},
        {"user": "notifier"},
        {"password": "hush"},
        {"user": "notifier", "password": "hush", "starttls": "never"},
        {"starttls": "perhaps"},
        {"tls": True},
    ],
)
def test_wrong_settings_stop_the_start_and_a_password_is_never_sent_in_the_clear(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Smtp(**GOOD | wrong)


def test_tls_is_required_unless_told_otherwise_and_the_password_is_not_shown() -> None:
    smtp = Smtp(**GOOD, user="notifier", password=SecretStr("hush"))

    assert (smtp.starttls, smtp.port) == ("required", 587)
    assert "hush" not in repr(smtp)


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(BadStart, match="cannot be read"):
            Emails(Smtp(**GOOD, ca=path), WORDING)
