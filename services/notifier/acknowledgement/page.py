"""`/n/{notice}`: the page behind a signed link. GET shows a notice and changes nothing; its one button acknowledges.

Mail scanners follow every link, so nothing but the button's POST counts. The signature in the address is what opens
the page: it is not sent on to anybody (`Referrer-Policy`), kept by nobody (`no-store`), and found by no search.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from services.notifier.acknowledgement.acknowledging import LINK, Acknowledging
from services.notifier.acknowledgement.links import PATH, Links
from services.notifier.acknowledgement.notices_views import Notices, NoticeView
from services.notifier.acknowledgement.words import DEFAULT, in_language, load_words
from shared import times
from shared.failures import TryAgain
from shared.mongo import Store
from shared.posts import QueueFull

FOLDER = Path(__file__).parent / "page"
LanguageOf = Callable[[str], str]
"""The language of a recipient."""
Says = Callable[[NoticeView, str], tuple[str, str]]
"""A notice's sentence for a language, and the language that it is in."""


def plain_sentence(notice: NoticeView, language: str) -> tuple[str, str]:
    """The sentence that stands in the notice."""
    return in_language(notice.says, language)


class Page:
    """Shows notices to who has their link, and takes what the button says."""

    def __init__(
        self,
        links: Links,
        store: Store,
        acknowledging: Acknowledging,
        language_of: LanguageOf,
        zone: ZoneInfo,
        says: Says = plain_sentence,
    ) -> None:
        """`zone`: the office's, in which times are shown."""
        self._links, self._notices, self._acknowledging = links, Notices(store), acknowledging
        self._language_of, self._zone, self._says = language_of, zone, says
        self._words = load_words()
        style = (FOLDER / "style.css").read_text()
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["local"] = self._local
        self._templates.globals["style"] = Markup(style)  # noqa: S704 - our own file
        self._headers = _headers(style)

    async def answer(self, request: Request) -> Response:
        """The page; one and the same 404 where the signature is wrong and where there is no such notice."""
        notice, signature = request.path_params["notice"], request.query_params.get("s", "")
        if not self._links.check(notice, signature):
            return self._problem("not_found", 404)
        try:
            seen = await self._notices.one(notice, None, sure=request.method == "POST")
            if seen is None:
                return self._problem("not_found", 404)
            language = self._language(request, seen)
            if request.method != "POST":
                return self._shown(seen, signature, language)
            if not self._is_our_form(request):
                return self._problem("from_elsewhere", 403)
            return await self._acknowledged(seen, signature, language)
        except (TryAgain, QueueFull):
            return self._problem("busy", 503, {"retry-after": "10"})

    async def _acknowledged(self, seen: NoticeView, signature: str, language: str) -> Response:
        acknowledged = await self._acknowledging.acknowledge(seen.notice, seen.subscriber, LINK)
        after = await self._notices.one(seen.notice, None, sure=True)
        if acknowledged is None or after is None:
            return self._problem("not_found", 404)
        outcome = self._words[language].outcome(acknowledged, self._local(acknowledged.acknowledged_at))
        return self._shown(after, signature, language, outcome)

    def _language(self, request: Request, seen: NoticeView) -> str:
        wishes = (request.query_params.get("lang", ""), self._language_of(seen.subscriber))
        return next((wish for wish in wishes if wish in self._words), DEFAULT)

    def _is_our_form(self, request: Request) -> bool:
        """Whether a POST comes from our own page, as far as the browser tells.

        `Origin: null` is what our own form sends, because of the referrer policy; `Sec-Fetch-Site` says the rest.
        """
        origin, site = request.headers.get("origin", "null"), request.headers.get("sec-fetch-site", "same-origin")
        return origin in ("null", _origin_of(self._links.base)) and site in ("same-origin", "none")

    def _local(self, at: str) -> str:
        """A time as people of the office read it, with the zone."""
        return f"{times.read(at).astimezone(self._zone):%Y-%m-%d %H:%M} ({self._zone.key})"

    def _shown(self, notice: NoticeView, signature: str, language: str, outcome: str | None = None) -> Response:
        says, says_language = self._says(notice, language)
        page = self._templates.get_template("notice.html").render(
            notice=notice,
            signature=signature,
            language=language,
            languages=self._words,
            words=self._words[language],
            says=says,
            says_language=says_language,
            outcome=outcome,
        )
        return HTMLResponse(page, headers=dict(self._headers))

    def _problem(self, word: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """A sentence in every language: whose page it is, is not known here or not to be told."""
        says = {name: getattr(words, word) for name, words in self._words.items()}
        page = self._templates.get_template("problem.html").render(language=DEFAULT, says=says)
        return HTMLResponse(page, status, {**self._headers, **(headers or {})})


def add_page(app: FastAPI, page: Page, links: Links) -> None:
    """The route, where links are made at all."""
    if links.base:
        app.router.routes.append(Route(PATH + "{notice}", page.answer, methods=["GET", "POST"]))


def _origin_of(base: str | None) -> str:
    parts = urlsplit(base or "")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _headers(style: str) -> Mapping[str, str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-robots-tag": "noindex",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
