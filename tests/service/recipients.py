"""The systems of those who hear: web servers and a mail server under a test CA; each keeps every byte that comes."""

import json
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import trustme
import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.ports import HOST, free_ports
from deploy.local.processes import wait_until

NAME = "localhost"
"""What certificates are for."""
SENDER = "notices@office.example"


@dataclass(frozen=True)
class Came:
    """One request that came to a web server."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    """By the monotonic clock."""

    @cached_property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)

    @property
    def whole(self) -> bytes:
        """Every byte of it that says something."""
        head = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        return f"{self.path}\n{head}\n".encode() + self.body


class Web:
    """A web server of several recipients, told apart by path; answers 204 unless told otherwise."""

    def __init__(self, authority: trustme.CA, folder: Path) -> None:
        self.came: list[Came] = []
        self._authority, self._folder = authority, folder
        self._answers: dict[str, deque[tuple[int, dict[str, str]]]] = defaultdict(deque)
        [self.port] = free_ports(1)

    def url(self, path: str) -> str:
        """The address of one recipient."""
        return f"https://{NAME}:{self.port}/{path}"

    def will_answer(self, path: str, *answers: tuple[int, dict[str, str]]) -> None:
        """What is answered next on a path, one after the other."""
        self._answers[f"/{path}"].extend(answers)

    def at(self, path: str, about: str = "") -> list[Came]:
        """What came to one path, about one case where that is told."""
        return [one for one in self.came if one.path == f"/{path}" and about.encode() in one.body]

    async def _take(self, request: Request) -> Response:
        self.came.append(Came(request.url.path, dict(request.headers), await request.body(), time.monotonic()))
        answers = self._answers[request.url.path]
        status, headers = answers.popleft() if answers else (204, {})
        return Response(status_code=status, headers=headers)

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Serve in a thread."""
        certificate = self._folder / f"web-{self.port}.pem"
        self._authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(certificate))
        app = Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])
        config = uvicorn.Config(
            app, host=HOST, port=self.port, log_config=None, lifespan="off", ssl_certfile=str(certificate)
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the recipients' web server", [])
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(10)


@dataclass(frozen=True)
class Mail:
    """One mail that was taken."""

    to: tuple[str, ...]
    raw: bytes
    was_tls: bool

    @cached_property
    def message(self) -> EmailMessage:
        """It, read."""
        return message_from_bytes(self.raw, policy=default)

    @cached_property
    def text(self) -> str:
        """What a reader without HTML sees."""
        part = self.message.get_body(("plain",))
        return "" if part is None else str(part.get_content())

    @property
    def whole(self) -> bytes:
        """Every byte of it, as it came and without its transfer encodings."""
        parts = [part.get_payload(decode=True) for part in self.message.walk()]
        heads = "".join(f"{name}: {value}\n" for name, value in self.message.items())
        return b"\n".join([self.raw, heads.encode(), *(part for part in parts if isinstance(part, bytes))])


class Mailboxes:
    """The office's mail server: STARTTLS or nothing; refuses whom it is told to refuse."""

    def __init__(self, authority: trustme.CA) -> None:
        self.taken: list[Mail] = []
        self.refused: set[str] = set()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(NAME).configure_cert(self._tls)
        [self.port] = free_ports(1)

    def of(self, address: str, about: str = "") -> list[Mail]:
        """The mails of one reader, about one case where that is told."""
        return [one for one in self.taken if address in one.to and about in one.text]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Whether there is such a reader."""
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        raw = envelope.original_content or b""
        self.taken.append(Mail(tuple(envelope.rcpt_tos), raw, session.ssl is not None))
        return "250 OK"

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Serve in a thread."""
        server = Controller(self, HOST, self.port, tls_context=self._tls, require_starttls=True)
        server.start()
        try:
            yield self
        finally:
            server.stop()
