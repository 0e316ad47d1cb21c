"""The e-mail channel: one mail for a parcel, over STARTTLS, to the office's own mail server."""

import asyncio
import contextlib
import hashlib
import re
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Literal, Self

import aiosmtplib
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.notifier.channels import Parcel
from services.notifier.channels.rendering import Rendering
from services.notifier.channels.wording import Wording
from services.notifier.domain.bodies import Delivered, Failed
from shared.failures import BadStart

WHOLE = 20.0
"""Seconds for a mail as a whole, however slowly the server answers; well below the claim on its notice."""
LEAVING = 1.0
"""Seconds for saying goodbye, when all that matters is done."""
AT_ONCE = 10
"""Connections to the mail server at a time."""
QUEUE = 1.5
"""How many times as long as a mail may take, one may wait for its turn; both are below the claim on its notice."""
# A mailbox of ASCII (RFC 5321); a domain in another script is written in its ASCII form (xn--).
_MAILBOX = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=[^@]{1,255}$)([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}"
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Lines that every server takes: ASCII, and not too long.
_POLICY = SMTP_POLICY.clone(cte_type="7bit")


def _mailbox(value: str) -> str:
    if not _MAILBOX.fullmatch(value):
        raise ValueError("must be a mailbox like notices@example.org")
    return value


class Smtp(BaseModel):
    """The office's mail server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    sender: Annotated[str, AfterValidator(_mailbox)]
    user: str | None = None
    password: SecretStr | None = None
    starttls: Literal["required", "never"] = "required"
    """`never` for tests and the local stack only."""
    ca: Path | None = None
    """Certificates to trust in the place of the system's: of an office's own authority."""

    @model_validator(mode="after")
    def fits(self) -> Self:
        """A password goes with its user, and over TLS alone."""
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password come together")
        if self.user is not None and self.starttls == "never":
            raise ValueError("a password is sent over STARTTLS only")
        return self


class Emails:
    """Sends mails, each over a connection of its own: none can be found dead."""

    def __init__(self, smtp: Smtp, wording: Wording, *, whole: float = WHOLE) -> None:
        """`whole`: the longest that a mail may take. Raises `BadStart` where the certificates cannot be read."""
        self._smtp, self._rendering, self._whole = smtp, Rendering(wording), whole
        self._domain = smtp.sender.rpartition("@")[2]
        self._tls = _tls(smtp)
        self._room, self._queue = asyncio.Semaphore(AT_ONCE), whole * QUEUE

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        """One attempt; `Message-ID` is made of the parcel's id, the same over all attempts."""
        attempt = parcel.attempt
        if not _MAILBOX.fullmatch(parcel.to.address):
            return Failed(attempt, "unknown address", for_good=True)
        message = await asyncio.to_thread(self._message, parcel, now)  # a digest of thousands takes its time
        client = self._client()
        try:
            async with asyncio.timeout(self._queue):
                await self._room.acquire()
        except TimeoutError:
            return Failed(attempt, "busy")
        try:
            async with asyncio.timeout(self._whole):
                await self._hand_over(client, parcel.to.address, message)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(attempt, error)
        except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:  # a host that is no name is a UnicodeError
            return Failed(attempt, _why(error))
        finally:
            self._room.release()
            await _leave(client)
        return Delivered(attempt)

    async def close(self) -> None:
        """No connection outlives its mail."""

    def _client(self) -> aiosmtplib.SMTP:
        # Its own parts of the wait; the whole is bounded besides. The name of this machine is nobody's business.
        return aiosmtplib.SMTP(
            hostname=self._smtp.host,
            port=self._smtp.port,
            local_hostname=self._domain,
            timeout=self._whole,
            start_tls=False,
            tls_context=self._tls,
        )

    async def _hand_over(self, client: aiosmtplib.SMTP, address: str, message: bytes) -> None:
        await client.connect()
        if self._smtp.starttls == "required":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise _NoTlsError
            await client.starttls()
        if self._smtp.user is not None and self._smtp.password is not None:
            await client.login(self._smtp.user, self._smtp.password.get_secret_value())
        await client.mail(self._smtp.sender)
        await client.rcpt(address)
        await client.data(message)

    def _message(self, parcel: Parcel, now: datetime) -> bytes:
        mail = self._rendering.mail(parcel)
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._smtp.sender
        message["To"] = parcel.to.address
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{_name(parcel)}@{self._domain}>"
        if thread := self._thread(parcel):
            message["In-Reply-To"] = thread
            message["References"] = thread
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to answer
        message["X-Auto-Response-Suppress"] = "All"
        if mail.must_not_wait:
            message["Importance"] = "high"
            message["X-Priority"] = "1"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        message["Content-Language"] = mail.language  # last: what is said of the content moves into its first part
        return message.as_bytes()

    def _thread(self, parcel: Parcel) -> str | None:
        """What mails about one case have in common, so that they stand together."""
        about = {str(one.data["about"]) for one in parcel.shown}
        name = about.pop() if len(about) == 1 else ""
        return f"<{name}@{self._domain}>" if _NAME.fullmatch(name) else None


class _NoTlsError(aiosmtplib.SMTPException):
    """The server offers no STARTTLS: nothing is sent in the clear."""

    def __init__(self) -> None:
        super().__init__("no STARTTLS")


def _name(parcel: Parcel) -> str:
    """The parcel's id; a digest's next attempt may hold more, and a mailbox hides what it takes for the same mail."""
    if len(parcel.shown) == 1:
        return parcel.id
    held = hashlib.sha256("\n".join(one.notice for one in parcel.shown).encode()).hexdigest()
    return f"{parcel.id}.{held[:16]}"


def _tls(smtp: Smtp) -> ssl.SSLContext:
    """A context that checks certificate and name."""
    try:
        return ssl.create_default_context(cafile=smtp.ca)
    except OSError:  # ssl.SSLError is one
        raise BadStart(f"ROGATORY_SMTP: the certificates in {smtp.ca} cannot be read") from None


def _refused(attempt: int, error: aiosmtplib.SMTPResponseException) -> Failed:
    """A server's answer. What it refuses of this mail it will refuse again; what it refuses of us, we can mend."""
    if not 400 <= error.code <= 599:
        return Failed(attempt, "no SMTP")
    is_of_mail = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    return Failed(attempt, f"SMTP {error.code}", for_good=is_of_mail and error.code >= 500)


def _why(error: BaseException) -> str:
    """What went wrong on the way, by its first cause: the text of an error may hold an address."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for kind, reason in _REASONS:
        if any(isinstance(one, kind) for one in causes):
            return reason
    return "connection"


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (_NoTlsError, "no STARTTLS"),
    (ssl.SSLCertVerificationError, "certificate"),
    (ssl.SSLError, "TLS"),
    (TimeoutError, "timeout"),
)


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye where anybody listens. The mail is taken or not by now: nothing that happens here matters."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(LEAVING):
            await client.quit()
    client.close()
