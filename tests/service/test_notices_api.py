"""Recipients read and acknowledge their notices by HTTP; the desk everybody's; the store is a real one."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deploy.local.mongo import Mongo as Server
from services.notifier.acknowledgement.acknowledging import API
from services.notifier.acknowledgement.notices_api import PATH, READ, WRITE, add_notices
from services.notifier.acknowledgement.notices_views import INDEXES, PAGE, STATUSES
from services.notifier.domain.bodies import Attempt, Delivered, Failed
from shared.events import NOTICE_ACKNOWLEDGED, NOTICE_RAISED
from shared.http import api
from shared.mongo import Mongo
from shared.posts import QueueFull
from shared.tokens import KeySource, Verifier, make_key, make_token
from shared.vocabulary import DESK
from tests.service.kept_notices import AWAY, Kept, StandIn

PRIVATE, JWKS = make_key()


@dataclass
class Api:
    """The routes over a real store."""

    app: FastAPI
    kept: Kept
    stand_in: StandIn

    async def get(self, path: str = "", who: str = "operations", **query: str) -> httpx.Response:
        """What a recipient, or the desk, reads."""
        async with self._client(who, READ) as client:
            return await client.get(PATH + path, params=query)

    async def acknowledge(
        self,
        notice: str,
        body: bytes = b"",
        who: str = "operations",
        scope: str = WRITE,
        media: str = "application/json",
    ) -> httpx.Response:
        """What it is answered."""
        async with self._client(who, scope) as client:
            headers = {"content-type": media} if body else {}
            return await client.post(f"{PATH}/{notice}/acknowledgement", content=body, headers=headers)

    def _client(self, who: str, scope: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token(who, scope)}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://notifier", headers=headers)


def token(who: str, scope: str) -> str:
    claim: dict[str, Any] = {"authority": who} if who in (DESK, "security-service") else {"subscriber": who}
    return make_token(
        PRIVATE, issuer="issuer", audience="rogatory", scopes=(scope,), lifetime=timedelta(minutes=5), **claim
    )


@pytest.fixture
async def notices(mongo: Server, database: str, tmp_path: Path) -> AsyncIterator[Api]:
    """An empty store and the routes over it."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(JWKS))
    connection = Mongo(mongo.uri, database)
    kept = Kept(connection.store("notices"))
    await kept.store.prepare(INDEXES)
    made = Api(api("Notifier", []), kept, StandIn(kept))
    add_notices(made.app, Verifier("issuer", "rogatory", KeySource(jwks)), kept.store, made.stand_in)
    yield made
    await connection.close()


async def test_a_recipient_reads_its_own_notices_and_the_desk_everybodys(notices: Api) -> None:
    own = await notices.kept.notice("operations")
    subscribed = await notices.kept.notice("subscription.night-watch")
    await notices.kept.ladder(own)

    async def seen_by(who: str) -> list[str]:
        return [one["notice"] for one in (await notices.get(who=who)).json()["notices"]]

    assert await seen_by("operations") == [own]
    assert await seen_by("subscription.night-watch") == [subscribed]
    assert await seen_by(DESK) == [own, subscribed]
    assert await seen_by("duty-officers") == []


async def test_a_notice_says_what_it_is_about_and_how_it_stands(notices: Api) -> None:
    notice = await notices.kept.notice("operations", cause="one")

    view = (await notices.get(f"/{notice}")).json()

    assert (view["notice"], view["about"], view["subscriber"]) == (notice, notices.kept.case("one"), "operations")
    assert (view["rule"], view["channel"], view["status"]) == ("legal-deadline-near", "webhook", "waiting")
    assert (view["says"], view["due"]) == ("A deadline of the law is near.", "2026-03-10T10:00:00.000000Z")
    assert view["facts"]["clock_kind"] == "statutory"
    assert (view["attempts"], view["acknowledged_at"], view["ended"]) == (0, None, None)
    assert [told["event"] for told in view["story"]] == [NOTICE_RAISED]


async def test_a_notice_says_when_it_is_tried_next_and_why_it_failed_last(notices: Api) -> None:
    notice = await notices.kept.notice("operations")
    for number, reason in enumerate(("timeout", "HTTP 503"), 1):
        await notices.kept.hear(notice, Attempt((await notices.kept.state(notice))["next_due"]))
        if number == 2:
            [under_way] = (await notices.get()).json()["notices"]
        await notices.kept.hear(notice, Failed(number, reason))

    [listed], one = (await notices.get()).json()["notices"], (await notices.get(f"/{notice}")).json()

    due = (await notices.kept.state(notice))["next_due"]
    assert (under_way["status"], under_way["next_attempt_at"], under_way["last_reason"]) == (
        "attempting",
        None,
        "timeout",
    )
    assert (listed["next_attempt_at"], listed["last_reason"], listed["attempts"]) == (due, "HTTP 503", 2)
    assert (one["next_attempt_at"], one["last_reason"]) == (due, "HTTP 503")


async def test_a_notice_that_was_taken_has_no_next_attempt(notices: Api) -> None:
    taken, published = await notices.kept.notice("operations"), await notices.kept.notice("operations", channel="kafka")
    await notices.kept.hear(taken, Attempt((await notices.kept.state(taken))["next_due"]))
    await notices.kept.hear(taken, Delivered(1))

    for notice in (taken, published):
        view = (await notices.get(f"/{notice}")).json()
        assert (view["next_attempt_at"], view["last_reason"]) == (None, None)


async def test_what_is_still_to_be_sent_is_found_by_an_index_of_its_own(notices: Api) -> None:
    waiting = [await notices.kept.notice("operations"), await notices.kept.notice("duty-officers")]
    published = await notices.kept.notice("operations", channel="kafka")

    async def found(who: str, **query: str) -> list[str]:
        return [one["notice"] for one in (await notices.get(who=who, **query)).json()["notices"]]

    assert await found(DESK, unsent="true") == waiting
    assert await found("operations", unsent="true") == waiting[:1]
    assert await found(DESK, unsent="false") == [published]
    asked = {"state.raised_at": {"$gte": ""}, "next_due": {"$exists": True}}
    cursor = notices.kept.store._safe.find(asked).sort([("state.raised_at", 1), ("_id", 1)])
    assert "'indexName': 'unsent_raised'" in repr((await cursor.explain())["queryPlanner"]["winningPlan"])


async def test_lists_leave_the_story_out(notices: Api) -> None:
    await notices.kept.notice()

    [one] = (await notices.get()).json()["notices"]

    assert one["story"] is None


async def test_what_is_another_recipients_or_no_notice_does_not_exist(notices: Api) -> None:
    notice = await notices.kept.notice("operations")
    ladder = await notices.kept.ladder(notice)

    for path, who in ((notice, "duty-officers"), (ladder, DESK), ("not_" + "0" * 32, DESK), ("nothing", "operations")):
        read, said = await notices.get(f"/{path}", who), await notices.acknowledge(path, who=who)
        assert (read.status_code, said.status_code) == (404, 404)
        assert read.content == said.content
    assert notices.stand_in.asked == []


async def test_notices_are_found_by_status_and_by_what_they_are_about(notices: Api) -> None:
    waiting, published = await notices.kept.notice(cause="one"), await notices.kept.notice(cause="one", channel="kafka")
    other = await notices.kept.notice(cause="two")
    await notices.acknowledge(published)

    async def found(**query: str) -> list[str]:
        return [one["notice"] for one in (await notices.get(**query)).json()["notices"]]

    assert await found(status="waiting") == [waiting, other]
    assert await found(status="published") == [published]
    assert await found(about=notices.kept.case("one")) == [waiting, published]
    assert await found(about=notices.kept.case("two"), status="published") == []
    assert await found(acknowledged="true") == [published]
    assert await found(acknowledged="false") == [waiting, other]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"status": "waitin"}, "Is not a known status; did you mean 'waiting'?"),
        (
            {"about": "FR-2026-1"},
            "Must be the id of a case, cas_ and 32 hexadecimal digits in small letters, or of an alert.",
        ),
        ({"after": "x"}, "Must be the 'next' of the page before, as it stands there."),
        ({"acknowledged": "perhaps"}, "Must be true or false."),
        ({"unsent": "perhaps"}, "Must be true or false."),
    ],
)
async def test_a_wrong_parameter_is_named(notices: Api, query: dict[str, str], says: str) -> None:
    answer = await notices.get(**query)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error == {"pointer": f"/query/{next(iter(query))}", "detail": says}


async def test_a_page_says_where_the_next_begins(notices: Api) -> None:
    raised = [await notices.kept.notice(who) for who in ["operations"] * (PAGE + 2) + ["duty-officers"]]

    first = (await notices.get()).json()
    second = (await notices.get(after=first["next"])).json()

    assert [one["notice"] for one in first["notices"] + second["notices"]] == raised[:-1]
    assert (len(first["notices"]), second["next"]) == (PAGE, None)


async def test_acknowledging_says_who_and_stays(notices: Api) -> None:
    notice = await notices.kept.notice("operations")

    answer = await notices.acknowledge(notice, b'{"by": "desk-2"}')

    said, view = answer.json(), (await notices.get(f"/{notice}")).json()
    assert answer.status_code == 200
    assert (said["notice"], said["alert"], said["by"]) == (notice, view["alert"], "operations/desk-2")
    assert (said["already"], said["ended"]) == (False, None)
    assert said["says"] == "Acknowledged. Nobody else is told unless nothing is done."
    assert notices.stand_in.asked == [(notice, "operations/desk-2", API)]
    assert (view["acknowledged_by"], view["acknowledged_at"]) == ("operations/desk-2", said["acknowledged_at"])
    assert view["story"][-1]["event"] == NOTICE_ACKNOWLEDGED


async def test_the_desk_acknowledges_in_its_own_name(notices: Api) -> None:
    notice = await notices.kept.notice("person.nigar")

    assert (await notices.acknowledge(notice, who=DESK)).json()["by"] == DESK


async def test_acknowledging_again_is_no_failure_and_changes_nothing(notices: Api) -> None:
    notice = await notices.kept.notice("operations")
    first = (await notices.acknowledge(notice, b'{"by": "desk-1"}')).json()

    answer = await notices.acknowledge(notice, b'{"by": "desk-2"}')

    again = answer.json()
    assert (answer.status_code, again["already"]) == (200, True)
    assert (again["by"], again["acknowledged_at"]) == (first["by"], first["acknowledged_at"])
    assert again["says"].startswith("Acknowledged before: operations/desk-1, ")


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("case.closed", "Noted, but this alert was over already: the case is closed."),
        ("case.begun", "Noted, but this alert was over already: the case has moved on (case.begun)."),
    ],
)
async def test_acknowledging_what_is_over_says_so_and_is_no_failure(notices: Api, why: str, says: str) -> None:
    notice = await notices.kept.notice("operations")
    await notices.kept.end(await notices.kept.ladder(notice), why)

    answer = await notices.acknowledge(notice)

    assert (answer.status_code, answer.json()["ended"], answer.json()["says"]) == (200, why, says)
    assert (await notices.get(f"/{notice}")).json()["ended"] == why


async def test_who_else_has_taken_the_alert_is_seen(notices: Api) -> None:
    own, others = await notices.kept.notice("operations", cause="one"), await notices.kept.notice("desk", cause="one")
    await notices.kept.ladder(own)
    await notices.acknowledge(others, who=DESK)

    view = (await notices.get(f"/{own}")).json()

    assert (view["acknowledged_by"], view["taken_by"]) == (None, DESK)


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{}", "application/json", 200),
        (b"", "application/json", 200),
        (b"  ", "application/json", 400),
        (b'{"by": null}', "application/json", 200),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"by": "Nigar Mammadova"}', "application/json", 422),
        (b'{"who": "me"}', "application/json", 422),
        (b'{"by": "' + b"x" * 5_000 + b'"}', "application/json", 413),
        (b"by=me", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_the_body_may_be_empty_or_say_who(notices: Api, body: bytes, media: str, status: int) -> None:
    notice = await notices.kept.notice("operations")

    answer = await notices.acknowledge(notice, body, media=media)

    assert answer.status_code == status, answer.text
    assert (len(notices.stand_in.asked) == 1) is (status == 200)
    assert "Nigar" not in answer.text


@pytest.mark.parametrize("reason", [AWAY, QueueFull()])
async def test_what_is_away_is_tried_again_later(notices: Api, reason: Exception) -> None:
    notice = await notices.kept.notice("operations")
    notices.stand_in.raises = reason

    answer = await notices.acknowledge(notice)

    assert (answer.status_code, bool(answer.headers["retry-after"])) == (503, True)


async def test_tokens_say_what_may_be_done(notices: Api) -> None:
    notice = await notices.kept.notice("operations")

    assert (await notices.acknowledge(notice, scope=READ)).status_code == 403
    assert (await notices.get(who="security-service")).json()["type"] == "urn:rogatory:problem:another-agency"
    assert notices.stand_in.asked == []


async def test_every_status_that_a_notice_can_have_can_be_asked_for(notices: Api) -> None:
    for status in STATUSES:
        assert (await notices.get(status=status)).status_code == 200
