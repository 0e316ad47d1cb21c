"""The router as the command line asks it for cases."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx

from cli import asking
from cli.asking import FOLDERS, ROUTER, TOKEN, TOKEN_FILE, Answer, Asking, NoAnswer
from shared.vocabulary import DESK

__all__ = ["FOLDERS", "TOKEN", "TOKEN_FILE", "URL", "Answer", "NoAnswer", "Router", "find_router"]

URL = ROUTER.url


class Router:
    """Reads cases with one token."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._asking = Asking(ROUTER, url, token, transport)

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
        return self._asking.ask("GET", f"/v1/cases{path}", not_found, query=query)


def find_router(url: str | None, token: str | None, data: Path | None, authority: str = DESK) -> tuple[str, str]:
    """The address and the token that are meant; see `asking.find`."""
    return asking.find(ROUTER, url, token, data, authority, FOLDERS)
