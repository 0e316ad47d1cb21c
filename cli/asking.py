"""A service of ours as the command line asks it: where it is, with whose token, what its refusals mean."""

import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.jars import ROOT
from shared.failures import BadStart
from shared.settings import is_address
from shared.vocabulary import DESK

FOLDERS = (ROOT / ".rogatory" / "data", ROOT / ".rogatory" / "own")
"""Where the local stack has its tokens and settings: what `rogatory up` calls DATA and OWN."""
TOKEN, TOKEN_FILE = "ROGATORY_TOKEN", "ROGATORY_TOKEN_FILE"
SIMULATED = "rogatory-simulated-time"
NO, WRONG_USE = 1, 2


@dataclass(frozen=True)
class Service:
    """One of our services."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """The variable that says where it is."""
        return f"ROGATORY_{self.name.upper()}_URL"


INTAKE, ROUTER, NOTIFIER = Service("intake", 8001), Service("router", 8002), Service("notifier", 8003)


class NoAnswer(Exception):
    """The service gives no answer, or refuses: the message is the sentence that people read.

    `wrong`: the fields that it refuses, as JSON pointers (RFC 6901).
    """

    def __init__(self, sentence: str, exit_code: int = NO, wrong: Collection[str] = ()) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.wrong = frozenset(wrong)


class NotReached(NoAnswer):
    """Nobody answers."""


class NotThere(NoAnswer):
    """The service answers that there is no such thing."""


@dataclass(frozen=True)
class Answer:
    """What the service said, and its time where that is simulated."""

    data: dict[str, Any]
    simulated: str | None
    status: int = httpx.codes.OK

    def as_json(self) -> dict[str, Any]:
        """The same for programs; a simulated time stands in it."""
        return self.data | ({"simulated_time": self.simulated} if self.simulated else {})


class Asking:
    """Asks one service with one token."""

    def __init__(self, service: Service, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        # Root certificates take 30 ms to read: only where somebody shows one.
        self._service, self._url = service, url.rstrip("/")
        self._client = httpx.Client(
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
            verify=self._url.startswith("https"),
            transport=transport,
        )

    def ask(
        self,
        method: str,
        path: str,
        not_found: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """What it says; raises `NoAnswer`, with the sentence for what is not there."""
        response = self._request(method, path, query, body)
        if response.status_code == httpx.codes.NO_CONTENT:
            return Answer({}, response.headers.get(SIMULATED), response.status_code)
        told = _object(response)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotThere(not_found)
        if told is None:
            raise NoAnswer(f"What answers at {self._url} is no {self._service.name} of ours ({response.status_code}).")
        if response.is_success:
            return Answer(told, response.headers.get(SIMULATED), response.status_code)
        raise _refusal(self._service.name, response.status_code, told)

    def fetch(self, path: str, not_found: str, query: Mapping[str, str]) -> bytes:
        """A file; raises `NoAnswer`."""
        response = self._request("GET", path, query, None)
        if response.is_success:
            return response.content
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotThere(not_found)
        raise _refusal(self._service.name, response.status_code, _object(response) or {})

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> httpx.Response:
        try:
            return self._client.request(method, f"{self._url}{path}", params=query, json=body)
        except httpx.HTTPError as failure:
            why = type(failure).__name__
            says = f"The {self._service.name} does not answer at {self._url} ({why}): does it run?"
            raise NotReached(says) from None


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        told = response.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _refusal(service: str, status: int, problem: Mapping[str, Any]) -> NoAnswer:
    detail = str(problem.get("detail", ""))
    errors = problem.get("errors") or ()
    named = "; ".join(_named(error) for error in errors)
    if status in (401, 403):
        return NoAnswer(f"The {service} does not take the token: {detail}", WRONG_USE)
    if "never_held" in problem:
        return NoAnswer(detail, WRONG_USE if status == 422 else NO)
    if status == 422:
        return NoAnswer(named or detail, WRONG_USE, [error["pointer"] for error in errors])
    if status == 409:
        return NoAnswer(f"{detail} {named}".rstrip())
    return NoAnswer(f"The {service} answers {status}: {detail}")


def _named(error: Mapping[str, str]) -> str:
    """A wrong field by its option, such as `--party`: a fact and its values all stand in `--when`."""
    parts = [part for part in error["pointer"].split("/") if part and not part.isdigit()]
    option = "when" if "when" in parts else parts[-1] if parts else None
    return f"--{option}: {error['detail']}" if option else error["detail"]


def find(
    service: Service,
    url: str | None,
    token: str | None,
    data: Path | None,
    authority: str = DESK,
    folders: Sequence[Path] = FOLDERS,
) -> tuple[str, str]:
    """The address and the token that are meant: as told, by the environment, or those of the local stack.

    The local stack's token goes to the local stack alone.
    """
    name, variable = service.name, service.url
    url, token = url or os.environ.get(variable), token or _token_of_the_environment()
    if url is not None and not is_address(url):
        raise BadStart(f"the {name}'s address is like http://host:{service.port}, not {url!r}")
    if url is not None and token is None:
        raise BadStart(f"a {name} at {url} needs a token: --token, {TOKEN} or {TOKEN_FILE}")
    if url is not None and token is not None:
        return url, token
    folder = data or next((one for one in folders if _settings_file(service, one).is_file()), None)
    if folder is None or not _settings_file(service, folder).is_file():
        how = f"start one with `rogatory up`, or say --url and --token ({variable}, {TOKEN})"
        raise BadStart(f"no {name} is known: {how}")
    return _local_address(service, folder), token or _read(folder / "tokens" / "authorities" / f"{authority}.jwt")


def _token_of_the_environment() -> str | None:
    if token := os.environ.get(TOKEN):
        return token
    file = os.environ.get(TOKEN_FILE)
    return _read(Path(file)) if file else None


def _settings_file(service: Service, folder: Path) -> Path:
    return folder / "environment" / f"{service.name}.env"


def _local_address(service: Service, folder: Path) -> str:
    lines = (shlex.split(line) for line in _read(_settings_file(service, folder)).splitlines())
    settings = dict(one.partition("=")[::2] for line in lines for one in line)
    return f"http://{settings['ROGATORY_HOST']}:{settings['ROGATORY_PORT']}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise BadStart(f"{path}: cannot be read ({type(failure).__name__})") from None
