"""The router as the command line asks it: where it is, with whose token, and what its refusals mean in one sentence."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from deploy.local.jars import ROOT
from shared.failures import BadStart
from shared.settings import is_address
from shared.vocabulary import DESK

FOLDERS = (ROOT / ".rogatory" / "data", ROOT / ".rogatory" / "own")
"""Where the local stack has its tokens and settings: what `rogatory up` calls DATA and OWN."""
URL, TOKEN, TOKEN_FILE = "ROGATORY_ROUTER_URL", "ROGATORY_TOKEN", "ROGATORY_TOKEN_FILE"
SIMULATED = "rogatory-simulated-time"
NO, WRONG_USE = 1, 2


class NoAnswer(Exception):
    """The router gives no answer, or refuses: the message is the sentence that people read."""

    def __init__(self, sentence: str, exit_code: int = NO) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Answer:
    """What the router said, and its time where that is simulated."""

    data: dict[str, Any]
    simulated: str | None

    def as_json(self) -> dict[str, Any]:
        """The same for programs; a simulated time stands in it."""
        return self.data | ({"simulated_time": self.simulated} if self.simulated else {})


class Router:
    """Reads cases with one token."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        # Root certificates take 30 ms to read: only where somebody shows one.
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
            verify=self._url.startswith("https"),
            transport=transport,
        )

    def case(self, case: str) -> Answer:
        """One case with its story."""
        return self._get(f"/{quote(case, safe='')}", f"There is no case {case!r} for this token.")

    def pages(self, query: Mapping[str, str]) -> Iterator[Answer]:
        """The cases that match, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self._get("", "Only the desk lists the cases of others.", {**query, **after})
            yield page
            if page.data["next"] is None:
                return
            after = {"after": page.data["next"]}

    def _get(self, path: str, not_found: str, query: Mapping[str, str] | None = None) -> Answer:
        try:
            response = self._client.get(f"{self._url}/v1/cases{path}", params=query)
        except httpx.HTTPError as failure:
            why = type(failure).__name__
            raise NoAnswer(f"The router does not answer at {self._url} ({why}): does it run?") from None
        told = _object(response)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NoAnswer(not_found)
        if told is None:
            raise NoAnswer(f"What answers at {self._url} is no router of ours ({response.status_code}).")
        if response.is_success:
            return Answer(told, response.headers.get(SIMULATED))
        raise _refusal(response.status_code, told)


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        told = response.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _refusal(status: int, problem: Mapping[str, Any]) -> NoAnswer:
    detail = str(problem.get("detail", ""))
    if status in (401, 403):
        return NoAnswer(f"The router does not take the token: {detail}", WRONG_USE)
    if status == 422:
        errors = problem.get("errors") or ()
        named = "; ".join(f"--{error['pointer'].rpartition('/')[2]}: {error['detail']}" for error in errors)
        return NoAnswer(named or detail, WRONG_USE)
    return NoAnswer(f"The router answers {status}: {detail}")


def find_router(url: str | None, token: str | None, data: Path | None, authority: str = DESK) -> tuple[str, str]:
    """The address and the token that are meant: as told, by the environment, or those of the local stack.

    The local stack's token goes to the local stack alone.
    """
    url, token = url or os.environ.get(URL), token or _token_of_the_environment()
    if url is not None and not is_address(url):
        raise BadStart(f"the router's address is like http://host:8002, not {url!r}")
    if url is not None and token is None:
        raise BadStart(f"a router at {url} needs a token: --token, {TOKEN} or {TOKEN_FILE}")
    if url is not None and token is not None:
        return url, token
    folder = data or next((one for one in FOLDERS if _settings_file(one).is_file()), None)
    if folder is None or not _settings_file(folder).is_file():
        raise BadStart(f"no router is known: start one with `rogatory up`, or say --url and --token ({URL}, {TOKEN})")
    return _local_address(folder), token or _read(folder / "tokens" / "authorities" / f"{authority}.jwt")


def _token_of_the_environment() -> str | None:
    if token := os.environ.get(TOKEN):
        return token
    file = os.environ.get(TOKEN_FILE)
    return _read(Path(file)) if file else None


def _settings_file(folder: Path) -> Path:
    return folder / "environment" / "router.env"


def _local_address(folder: Path) -> str:
    lines = (shlex.split(line) for line in _read(_settings_file(folder)).splitlines())
    settings = dict(one.partition("=")[::2] for line in lines for one in line)
    return f"http://{settings['ROGATORY_HOST']}:{settings['ROGATORY_PORT']}"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise BadStart(f"{path}: cannot be read ({type(failure).__name__})") from None
