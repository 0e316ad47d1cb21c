"""The page behind a signed link: it shows on GET, acknowledges on POST, and is the same 404 for everything else."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from deploy.local.mongo import Mongo as Server
from services.notifier.acknowledgement.acknowledging import LINK
from services.notifier.acknowledgement.links import Links
from services.notifier.acknowledgement.page import Page, add_page
from services.notifier.acknowledgement.words import load_words
from shared.http import api
from shared.mongo import Mongo
from shared.posts import QueueFull
from tests.service.kept_notices import AWAY, FACTS, Kept, StandIn

BASE = "https://notices.example.org"
LINKS = Links(BASE, bytes(32))
WORDS = load_words()
SPEAKS = {"person.nigar": "az", "person.ivan": "ru", "subscription.paris": "fr", "operations": "xx"}


@dataclass
class Site:
    """The page over a real store."""

    app: FastAPI
    kept: Kept
    stand_in: StandIn

    async def ask(self, method: str, link: str | None, **headers: str) -> httpx.Response:
        """What a browser, or a scanner, gets."""
        assert link is not None
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, link, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def is_acknowledged(self, notice: str) -> bool:
        """As the store says."""
        return "acknowledged_at" in await self.kept.state(notice)


@pytest.fixture
async def site(mongo: Server, database: str) -> AsyncIterator[Site]:
    """An empty store and the page over it."""
    connection = Mongo(mongo.uri, database)
    kept = Kept(connection.store("notices"))
    made = Site(api("Notifier", []), kept, StandIn(kept))
    page = Page(LINKS, kept.store, made.stand_in, lambda who: SPEAKS.get(who, "en"), ZoneInfo("Asia/Baku"))
    add_page(made.app, page, LINKS)
    yield made
    await connection.close()


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data.strip()}" if data.strip() else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


async def test_the_page_shows_what_the_notice_is_about(site: Site) -> None:
    notice = await site.kept.notice("operations", cause="one")

    answer = await site.ask("GET", LINKS.link(notice))

    text = Elements(answer.text).text
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for told in (
        "A deadline of the law is near.",
        site.kept.case("one"),
        "data_preservation",
        "security-service",
        "deadline of the law",
        "2026-03-10 14:00 (Asia/Baku)",
        "2026-03-10 12:01 (Asia/Baku)",
        "Acknowledged Not yet",
        "Ended No",
    ):
        assert told in text, told


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_only_follows_the_link_acknowledges_nothing(site: Site, method: str) -> None:
    notice = await site.kept.notice()

    for link in (LINKS.link(notice), f"{LINKS.link(notice)}&lang=fr"):
        assert (await site.ask(method, link)).status_code == 200

    assert site.stand_in.asked == []
    assert not await site.is_acknowledged(notice)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_no_other_method_does_anything(site: Site, method: str) -> None:
    notice = await site.kept.notice()

    assert (await site.ask(method, LINKS.link(notice))).status_code == 405
    assert site.stand_in.asked == []


async def test_the_button_acknowledges_in_the_name_of_whose_notice_it_is(site: Site) -> None:
    notice = await site.kept.notice("person.leyla")

    answer = await site.ask("POST", LINKS.link(notice), origin="null", sec_fetch_site="same-origin")

    page = Elements(answer.text)
    assert answer.status_code == 200
    assert site.stand_in.asked == [(notice, "person.leyla", LINK)]
    assert await site.is_acknowledged(notice)
    assert "Acknowledged. Nobody else is told unless nothing is done." in page.text
    assert "Acknowledged person.leyla, 2026-03-10 12:02 (Asia/Baku)" in page.text
    assert not page.all("button")
    assert [one for one in page.all("p") if one.get("role") == "status"]


async def test_acknowledging_again_says_so_and_is_no_failure(site: Site) -> None:
    notice = await site.kept.notice("person.leyla")
    await site.ask("POST", LINKS.link(notice))

    again = await site.ask("POST", LINKS.link(notice))

    assert again.status_code == 200
    said = "Acknowledged before: person.leyla, 2026-03-10 12:02 (Asia/Baku). Nothing has changed."
    assert said in Elements(again.text).text


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("case.closed", "the case is closed."),
        ("case.reassigned", "the case is with another authority."),
        ("case.begun", "the case has moved on (case.begun)."),
    ],
)
async def test_what_is_over_says_so_before_and_after_and_is_no_failure(site: Site, why: str, says: str) -> None:
    notice = await site.kept.notice()
    await site.kept.end(await site.kept.ladder(notice), why)

    before = await site.ask("GET", LINKS.link(notice))
    after = await site.ask("POST", LINKS.link(notice))

    assert (before.status_code, after.status_code) == (200, 200)
    assert not Elements(before.text).all("button")
    assert f"This alert is over: {says}" in Elements(before.text).text
    assert f"Noted, but this alert was over already: {says}" in Elements(after.text).text


async def test_who_else_has_taken_the_alert_is_shown(site: Site) -> None:
    own, others = await site.kept.notice(cause="one"), await site.kept.notice("person.leyla", cause="one")
    await site.kept.ladder(own)
    await site.ask("POST", LINKS.link(others))

    page = Elements((await site.ask("GET", LINKS.link(own))).text)

    assert "person.leyla takes the alert since 2026-03-10" in page.text
    assert page.all("button")


async def test_a_wrong_signature_and_an_unknown_notice_look_the_same(site: Site) -> None:
    notice = await site.kept.notice()
    ladder = await site.kept.ladder(notice)
    unknown = "not_" + "0" * 32
    links = [
        f"{BASE}/n/{notice}",
        f"{BASE}/n/{notice}?s=",
        f"{BASE}/n/{notice}?s=wrong&lang=fr",
        f"{BASE}/n/{notice}?s={LINKS.signature(unknown)}",
        f"{BASE}/n/{ladder}?s={LINKS.signature(ladder)}",
        f"{BASE}/n/nothing?s=%F0%9F",
        LINKS.link(unknown),
    ]

    answers = [await site.ask(method, link) for link in links for method in ("GET", "POST")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.content, tuple(answer.headers.items())) for answer in answers}) == 1
    assert all(words.not_found in Elements(answers[0].text).text for words in WORDS.values())
    assert site.stand_in.asked == []


FROM_ELSEWHERE: list[dict[str, str]] = [
    {"origin": "https://evil.example.org"},
    {"origin": "http://notices.example.org"},
    {"origin": "null", "sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"origin": BASE, "sec_fetch_site": "cross-site"},
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
async def test_another_sites_form_acknowledges_nothing(site: Site, headers: dict[str, str]) -> None:
    notice = await site.kept.notice()

    answer = await site.ask("POST", LINKS.link(notice), **headers)

    assert answer.status_code == 403
    assert WORDS["en"].from_elsewhere in answer.text
    assert not await site.is_acknowledged(notice)


@pytest.mark.parametrize("headers", [{}, {"origin": BASE}, {"origin": BASE, "sec_fetch_site": "same-origin"}])
async def test_our_own_form_and_what_is_no_browser_may_acknowledge(site: Site, headers: dict[str, str]) -> None:
    notice = await site.kept.notice()

    assert (await site.ask("POST", LINKS.link(notice), **headers)).status_code == 200
    assert await site.is_acknowledged(notice)


@pytest.mark.parametrize(
    ("recipient", "asked", "language"),
    [
        ("person.nigar", "", "az"),
        ("person.ivan", "", "ru"),
        ("subscription.paris", "", "fr"),
        ("duty-officers", "", "en"),
        ("operations", "", "en"),
        ("person.nigar", "fr", "fr"),
        ("person.nigar", "de", "az"),
    ],
)
async def test_the_page_speaks_the_recipients_language_or_the_one_asked_for(
    site: Site, recipient: str, asked: str, language: str
) -> None:
    notice = await site.kept.notice(recipient)
    link = f"{LINKS.link(notice)}&lang={asked}" if asked else LINKS.link(notice)

    shown, done = await site.ask("GET", link), await site.ask("POST", link)

    page = Elements(shown.text)
    assert page.all("html") == [{"lang": language}]
    assert f" {WORDS[language].acknowledge} " in page.text
    assert WORDS[language].done in Elements(done.text).text
    assert page.all("h1") == ([{}] if language == "en" else [{"lang": "en"}])


async def test_the_page_can_be_used_by_everybody(site: Site) -> None:
    """WCAG 2.2: a language, a title that tells pages apart, one heading, landmarks, a button with a name, zoom."""
    notice = await site.kept.notice(cause="one")

    page = Elements((await site.ask("GET", LINKS.link(notice))).text)

    assert page.all("html") == [{"lang": "en"}]
    assert f"Notice {site.kept.case('one')}" in page.text
    assert (len(page.all("h1")), len(page.all("main")), len(page.all("title"))) == (1, 1, 1)
    assert page.all("button") == [{"type": "submit"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert [link["hreflang"] for link in page.all("a")] == ["az", "ru", "fr"]


async def test_nothing_runs_and_nothing_is_fetched(site: Site) -> None:
    notice = await site.kept.notice()

    answer = await site.ask("GET", LINKS.link(notice))

    page = Elements(answer.text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "audio", "video", "font"}
    assert all(not str(attributes.get("href", "?")).startswith(("http", "//")) for _, attributes in page.elements)
    assert page.all("form") == [{"method": "post"}]
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert not any(name.startswith("on") or name == "style" for _, found in page.elements for name in found)


async def test_every_answer_keeps_the_address_to_itself(site: Site) -> None:
    notice = await site.kept.notice()

    for answer in (
        await site.ask("GET", LINKS.link(notice)),
        await site.ask("POST", LINKS.link(notice)),
        await site.ask("POST", LINKS.link(notice), origin="https://evil.example.org"),
        await site.ask("GET", f"{BASE}/n/{notice}"),
    ):
        headers = answer.headers
        [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert headers["content-security-policy"].split("; ") == [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
        assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
        assert (headers["x-robots-tag"], headers["x-content-type-options"]) == ("noindex", "nosniff")


async def test_what_stands_in_a_notice_is_text_and_never_markup(site: Site) -> None:
    hostile: dict[str, Any] = {**FACTS, "type": "<script>alert(1)</script>", "clock_kind": "<b>"}
    notice = await site.kept.notice(says="<img src=x onerror=alert(1)> {by}", facts=hostile)

    page = (await site.ask("GET", LINKS.link(notice))).text

    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; {by}" in page


async def test_an_alert_that_is_about_no_case_has_its_page_too(site: Site) -> None:
    facts = {"event": "alert.raised", "kind": "stopped", "service": "router"}
    notice = await site.kept.notice(says="Rogatory itself: stopped in router.", facts=facts, due=None)

    page = Elements((await site.ask("GET", LINKS.link(notice))).text)

    assert "Rogatory itself: stopped in router." in page.text
    assert not {"Type", "Authority", "Clock", "Due"} & set(page.text.split())


@pytest.mark.parametrize("reason", [AWAY, QueueFull()])
async def test_what_is_away_is_said_and_nothing_is_claimed(site: Site, reason: Exception) -> None:
    notice = await site.kept.notice()
    site.stand_in.raises = reason

    answer = await site.ask("POST", LINKS.link(notice))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert WORDS["ru"].busy in answer.text


async def test_without_a_public_address_there_is_no_page(site: Site) -> None:
    app = api("Notifier", [])
    page = Page(Links(None, bytes(32)), site.kept.store, site.stand_in, lambda _: "en", ZoneInfo("Asia/Baku"))
    add_page(app, page, Links(None, bytes(32)))
    notice = await site.kept.notice()

    bare = Site(app, site.kept, site.stand_in)

    assert (await bare.ask("GET", LINKS.link(notice))).status_code == 404
