"""People work with what was set aside by HTTP, over a real store: who may, what is shown, what is kept of it."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from fastapi import FastAPI

from deploy.local.mongo import Mongo as Server
from shared.events import QUARANTINE_LOOKED
from shared.http import api
from shared.mongo import Mongo
from shared.quarantine import counting
from shared.quarantine.api import LOOK, PATH, READ, WRITE, add_quarantine
from shared.quarantine.deciding import Replay
from shared.tokens import KeySource, Verifier, make_key, make_token
from shared.vocabulary import DESK
from tests.service.set_aside import BEGAN, Bench
from tests.unit.entries import GATE

PRIVATE, JWKS = make_key()
SECRET = "Maud Vernier"
LETTER = json.dumps({"reference": "FR-1", "urgency": "urgent", "facts": f"{SECRET} \x1b[2J \u202e"}).encode()
ANNA = {"by": "Anna", "reason": "the sender rang"}
UPDATES = "security-service.updates.v1"


@dataclass
class Api:
    """The routes over a real store."""

    app: FastAPI
    bench: Bench
    server: str
    database: str

    async def call(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        *,
        scope: str = READ,
        claims: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """What the desk, or who else is told, gets."""
        who: Any = {"authority": DESK} if claims is None else claims
        token = make_token(
            PRIVATE, issuer="issuer", audience="rogatory", scopes=(scope,), lifetime=timedelta(minutes=5), **who
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://intake", headers=headers) as client:
            return await client.request(method, PATH + path, json=body, params=query or {})

    async def write(self, entry: str, verb: str, **body: Any) -> httpx.Response:
        """Something done with an entry."""
        return await self.call("POST", f"/{entry}/{verb}", body, scope=LOOK if verb == "look" else WRITE)


@pytest.fixture
async def desk(mongo: Server, database: str, tmp_path: Path) -> AsyncIterator[Api]:
    """An empty quarantine and the routes over it."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(JWKS))
    connection = Mongo(mongo.uri, database)
    bench = Bench(connection)
    await bench.prepare()
    made = Api(api("Intake", []), bench, mongo.uri, database)
    add_quarantine(made.app, Verifier("issuer", "rogatory", KeySource(jwks)), bench.desk)
    yield made
    await connection.close()


def problem(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["type"]).rpartition(":")[2]


# Lists


async def test_entries_are_listed_the_oldest_first_page_by_page(desk: Api) -> None:
    entries = [entry for n in range(5) for entry in await desk.bench.set_aside(b"%d" % n, first=n)]
    await desk.bench.keeper.alarm("event-refused", "cas_1/1", {"record": "cas_1", "reason": "x"})
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await desk.call("GET", query={"limit": "2", **after})).json()
        assert len(page["entries"]) <= 2
        seen += [one["entry"] for one in page["entries"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert seen == entries


async def test_entries_are_found_by_topic_reason_status_and_age(desk: Api) -> None:
    [old] = await desk.bench.set_aside(b"old", first=1)
    [update] = await desk.bench.set_aside(b"u", first=2, topic=UPDATES, reason="not an update")
    [marked] = await desk.bench.set_aside(b"m", first=3)
    await desk.bench.acting.act(marked, Replay("Anna", "x"), DESK)
    kept_at = (await desk.bench.states(update))[0]["kept_at"]

    async def found(**query: str) -> list[str]:
        return [one["entry"] for one in (await desk.call("GET", query=query)).json()["entries"]]

    assert await found(topic=GATE) == [old, marked]
    assert await found(reason="not an update") == [update]
    assert await found(status="held") == [old, update]
    assert await found(status="held", topic=GATE, reason="not a letter") == [old]
    assert await found(older_than=kept_at) == [old]
    assert await found(topic="nothing") == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "hold"}, "/query/status"),
        ({"older_than": "yesterday"}, "/query/older_than"),
        ({"older_than": "400"}, "/query/older_than"),
        ({"after": "x"}, "/query/after"),
        ({"limit": "501"}, "/query/limit"),
    ],
)
async def test_a_wrong_parameter_is_named(desk: Api, query: dict[str, str], pointer: str) -> None:
    refused = await desk.call("GET", query=query)

    assert (refused.status_code, problem(refused)) == (422, "bad-parameters")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


# Who may


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"authority": DESK}, 200),
        ({}, 200),
        ({"authority": "security-service"}, 403),
        ({"agency": "contact-point"}, 403),
        ({"subscriber": "operations"}, 403),
    ],
)
async def test_only_the_desk_and_operators_see_the_quarantine(desk: Api, claims: dict[str, str], status: int) -> None:
    assert (await desk.call("GET", claims=claims)).status_code == status


async def test_each_act_needs_its_own_scope(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER)
    calls: list[tuple[str, str, Any, str]] = [
        ("GET", "", None, READ),
        ("GET", f"/{entry}", None, READ),
        ("POST", f"/{entry}/look", ANNA, LOOK),
        ("GET", f"/{entry}/export?by=Anna&reason=x", None, LOOK),
        ("POST", f"/{entry}/replay", ANNA, WRITE),
        ("POST", "/replay", {"filter": {}, **ANNA}, WRITE),
        ("POST", f"/{entry}/discard", ANNA, WRITE),
    ]
    for method, path, body, needed in calls:
        for scope in {READ, WRITE, LOOK, "cases:read"} - {needed}:
            assert (await desk.call(method, path, body, scope=scope)).status_code == 403, (path, scope)
    assert QUARANTINE_LOOKED not in await desk.bench.story(entry)


@pytest.mark.parametrize("path", ["/qua_" + "0" * 32, "/qua_x", "/let_1"])
async def test_what_is_not_there_is_not_found(desk: Api, path: str) -> None:
    answers = [await desk.call("GET", path)]
    answers += [await desk.call("POST", f"{path}/{verb}", ANNA, scope=WRITE) for verb in ("replay", "discard")]
    answers += [await desk.call("POST", f"{path}/look", ANNA, scope=LOOK)]
    answers += [await desk.call("GET", f"{path}/export", scope=LOOK, query={"by": "Anna", "reason": "x"})]
    answers += [await desk.call("POST", f"{path}/replay", {"dry_run": True}, scope=WRITE)]

    assert {problem(answer) for answer in answers} == {"not-found"}


# What is shown


async def test_an_entry_is_shown_masked(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER, headers=[("ce_id", SECRET.encode())])

    answer = await desk.call("GET", f"/{entry}")

    shown = answer.json()
    assert (shown["masked"], shown["status"], shown["urgent"], shown["reason"]) == (True, "held", True, "not a letter")
    assert shown["original"]["value"]["tree"]["urgency"] == "urgent"
    assert shown["original"]["value"]["text"] is None
    assert [one["event"] for one in shown["story"]] == ["alert.raised", "answer.unreadable"]
    assert "Maud" not in answer.text


async def test_of_one_that_is_damaged_it_is_said_that_nothing_opens_it_and_nobody_is_told_to_come_again(
    desk: Api,
) -> None:
    [entry] = await desk.bench.set_aside(LETTER)
    with pymongo.MongoClient[dict[str, Any]](desk.server) as client:
        entries = client[desk.database]["intake_quarantine"]
        entries.update_one({"_id": entry}, {"$set": {"key": bytes(60)}})

    for answer in (await desk.call("GET", f"/{entry}"), await desk.write(entry, "look", **ANNA)):
        assert (answer.status_code, problem(answer)) == (409, "not-now")
        assert "does not open" in answer.json()["detail"]
    assert [one["entry"] for one in (await desk.call("GET")).json()["entries"]] == [entry]


async def test_an_entry_says_what_a_replay_would_do_now_as_a_dry_run_says_it(desk: Api) -> None:
    entries = await desk.bench.set_aside(b"good", b"refused", b"failing", b"rubbish", key=None)
    desk.bench.world.refuses, desk.bench.world.fails = {b"refused"}, {b"failing"}
    for by in ("Anna", "Bela"):
        await desk.write(entries[-1], "discard", by=by, reason="x")

    says = []
    for entry in entries:
        shown = (await desk.call("GET", f"/{entry}")).json()
        assert shown["replay"] == (await desk.write(entry, "look", **ANNA)).json()["replay"]
        if shown["status"] == "held":
            assert shown["replay"] == (await desk.write(entry, "replay", dry_run=True)).json()
        says.append(shown["replay"]["says"])

    assert says[0].startswith("It would begin the letter let_")
    assert says[1:] == [
        "It would be refused: still not a letter.",
        "It would be refused: unexpected KeyError.",
        "It would be refused: It was discarded.",
    ]


async def test_who_looks_says_why_and_that_is_kept_before_it_is_shown(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER)

    answer = await desk.write(entry, "look", **ANNA)

    shown = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert shown["original"]["value"]["tree"]["facts"] == rf"{SECRET} \x1b[2J \u202e"
    assert shown["story"][-1]["event"] == QUARANTINE_LOOKED
    assert shown["story"][-1]["said"] == {**ANNA, "how": "look"}
    for nobody in ({"reason": "x"}, {"by": "Anna"}, {"by": " ", "reason": "x"}):
        assert (await desk.write(entry, "look", **nobody)).status_code == 422
    assert (await desk.bench.story(entry)).count(QUARANTINE_LOOKED) == 1


async def test_the_bytes_are_exported_as_they_came_and_as_no_page(desk: Api) -> None:
    raw = b"<script>\xff\x00\x1b"
    [entry] = await desk.bench.set_aside(raw)

    answer = await desk.call("GET", f"/{entry}/export", scope=LOOK, query=ANNA)

    assert answer.content == raw
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{entry}.bin"'
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    assert (await desk.bench.story(entry))[-1] == QUARANTINE_LOOKED


# What is done


async def test_an_entry_is_marked_once_and_tried_again(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER)

    answers = [await desk.write(entry, "replay", **ANNA) for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in answers] == [(200, "replaying")] * 2
    await desk.bench.replaying.look()

    shown = (await desk.call("GET", f"/{entry}")).json()
    assert (shown["status"], shown["outcome"]) == ("replayed", "taken")
    assert [one["event"] for one in shown["story"]].count("quarantine.replaying") == 1


async def test_an_edited_copy_is_tried_and_both_stay(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(b'{"a": "bad"}', headers=[("ce_type", b"odd")])
    desk.bench.world.refuses = {b'{"a": "bad"}'}
    edited = base64.b64encode(b'{"a": "good"}').decode()

    dry = await desk.write(entry, "replay", dry_run=True, edited=edited)
    copy_of_it = {"reason": "mended", "edited": edited, "headers": {"ce_type": "letter.received"}}
    proposed = await desk.write(entry, "replay", by="Anna", **copy_of_it)
    alone = await desk.write(entry, "replay", by="ANNA", **copy_of_it)
    marked = await desk.write(entry, "replay", by="Bela", **copy_of_it)
    await desk.bench.replaying.look()

    assert dry.json()["would"][0]["what"] == "begin"
    assert dry.json()["says"].startswith("Somebody else must confirm it first. It would begin the letter ")
    assert (proposed.json()["status"], proposed.json()["proposal"]["act"]) == ("held", "replay")
    assert (alone.status_code, problem(alone)) == (409, "second-person")
    assert marked.json()["status"] == "replaying"
    shown = (await desk.write(entry, "look", **ANNA)).json()
    assert shown["status"] == "replayed"
    assert shown["original"]["value"]["text"] == '{"a": "bad"}'
    [copy] = shown["edited"]
    assert (copy["value"]["text"], copy["headers"]) == ('{"a": "good"}', [["ce_type", "letter.received"]])
    assert copy["difference"]["changes"] == [{"op": "replace", "path": "/a", "was": "bad", "value": "good"}]
    masked = await desk.call("GET", f"/{entry}")
    assert "good" not in masked.text


async def test_a_dry_run_of_a_copy_that_waits_is_decided_as_the_caller_would_be(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(b"bad")
    copy = {"edited": base64.b64encode(b"good").decode()}
    first, second = ({"authority": DESK, "account": f"account-{n}"} for n in (1, 2))

    async def replay(claims: dict[str, str], **body: Any) -> httpx.Response:
        return await desk.call("POST", f"/{entry}/replay", {**copy, **body}, scope=WRITE, claims=claims)

    await replay(first, reason="mended")
    says = [(await replay(who, dry_run=True)).json()["says"] for who in (first, second)]
    nameless = (await replay({"authority": DESK}, dry_run=True, by="Bela")).json()["says"]
    confirmed = await replay(second, reason="mended")

    assert says[0].startswith("It would be refused: It may be urgent: somebody else must confirm")
    assert says[1].startswith("It would begin the letter let_")
    assert nameless == says[0]
    assert confirmed.json()["status"] == "replaying"


async def test_a_copy_that_comes_too_late_is_refused_and_what_was_heard_says_that_nothing_would_happen(
    desk: Api,
) -> None:
    [entry] = await desk.bench.set_aside(b"bad")
    desk.bench.world.refuses = {b"bad"}
    copy, other = ({"edited": base64.b64encode(value).decode()} for value in (b"good", b"other"))
    for by in ("Anna", "Bela"):
        await desk.write(entry, "replay", by=by, reason="mended", **copy)

    for stands in ("is being tried", "was heard"):
        late = await desk.write(entry, "replay", **ANNA, **other)
        assert (late.status_code, problem(late)) == (409, "not-now")
        assert late.json()["detail"].endswith(": this copy was not taken.")
        assert (await desk.write(entry, "replay", **ANNA, **copy)).status_code == 200
        nothing = {"entry": entry, "would": [], "says": f"It {stands}: nothing would happen."}
        assert (await desk.call("GET", f"/{entry}")).json()["replay"] == nothing
        for body in ({}, copy):
            assert (await desk.write(entry, "replay", dry_run=True, **body)).json() == nothing
        refused = (await desk.write(entry, "replay", dry_run=True, **other)).json()
        assert refused["would"][0]["what"] == "refused"
        await desk.bench.replaying.look()


async def test_what_was_tried_again_and_failed_says_when(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(b"bad")
    desk.bench.world.refuses = {b"bad"}
    await desk.write(entry, "replay", **ANNA)
    before = (await desk.call("GET")).json()["entries"][0]["failed_at"]

    await desk.bench.replaying.look()

    [state] = await desk.bench.states(entry)
    [listed] = (await desk.call("GET")).json()["entries"]
    assert (before, listed["failed_at"]) == (None, state["failed_at"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"by": "Anna"}, "/reason"),
        ({"reason": "x"}, "/by"),
        ({**ANNA, "edited": "%%%"}, "/edited"),
        ({**ANNA, "headers": {"a b": "c"}}, "/headers"),
        ({**ANNA, "now": True}, "/now"),
        ({**ANNA, "dry_run": 0}, "/dry_run"),
        ({**ANNA, "dry_run": "no"}, "/dry_run"),
    ],
)
async def test_a_wrong_body_is_told_which_field_is_wrong(desk: Api, body: dict[str, Any], pointer: str) -> None:
    [entry] = await desk.bench.set_aside(LETTER)

    refused = await desk.write(entry, "replay", **body)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith(pointer)
    assert await desk.bench.statuses(entry) == ["held"]


async def test_two_people_discard_what_may_be_urgent(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER)

    proposed = await desk.write(entry, "discard", **ANNA)
    alone = await desk.write(entry, "discard", by="ANNA", reason="really")
    done = await desk.write(entry, "discard", by="Bela", reason="rubbish indeed")
    again = await desk.write(entry, "discard", by="Bela", reason="rubbish indeed")
    late = await desk.write(entry, "replay", **ANNA)

    assert (proposed.json()["status"], proposed.json()["proposal"]["by"]) == ("held", "Anna")
    assert (alone.status_code, problem(alone)) == (409, "second-person")
    assert [one.json()["status"] for one in (done, again)] == ["discarded"] * 2
    assert (late.status_code, problem(late)) == (409, "not-now")


async def test_an_account_of_a_token_speaks_for_itself_and_is_kept(desk: Api) -> None:
    [entry] = await desk.bench.set_aside(LETTER, topic="letters.received.v1")
    account = {"authority": DESK, "account": "a-4711"}

    done = await desk.call("POST", f"/{entry}/discard", {"reason": "rubbish"}, scope=WRITE, claims=account)

    assert done.json()["status"] == "discarded"
    shown = (await desk.call("GET", f"/{entry}")).json()
    assert shown["story"][-1]["said"] == {"by": "a-4711", "reason": "rubbish", "account": "a-4711"}


async def test_many_are_marked_or_judged_at_once(desk: Api) -> None:
    entries = await desk.bench.set_aside(*(b"%d" % n for n in range(6)), key=None)
    [other] = await desk.bench.set_aside(b"other", first=50, reason="too large")
    desk.bench.world.refuses = {b"3"}
    chosen = {"filter": {"topic": GATE, "reason": "not a letter"}}

    dry = (await desk.call("POST", "/replay", {**chosen, "dry_run": True}, scope=WRITE)).json()
    marked = (await desk.call("POST", "/replay", {**chosen, **ANNA}, scope=WRITE)).json()
    nameless = await desk.call("POST", "/replay", chosen, scope=WRITE)

    assert dry["counts"] == {"begin a letter": 5, "refused: still not a letter": 1}
    assert marked == {"marked": 6, "cut": 0, "refused": 0, "more": False, "next": None}
    assert nameless.status_code == 422
    assert await desk.bench.statuses(*entries, other) == ["replaying"] * 6 + ["held"]


async def test_who_marks_many_goes_on_where_the_answer_before_ended(desk: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.quarantine.acting._PAGE", 2)
    monkeypatch.setattr("shared.quarantine.acting.MOST_AT_ONCE", 2)
    values = [b"%d" % n for n in range(3)]
    await desk.bench.set_aside(*values, key=None)
    desk.bench.world.refuses = set(values)

    async def ask(**body: Any) -> httpx.Response:
        return await desk.call("POST", "/replay", {"filter": {}, **ANNA, **body}, scope=WRITE)

    first = (await ask()).json()
    await desk.bench.replaying.look()
    second = (await ask(after=first["next"])).json()
    odd, unknown = [await ask(after=after) for after in ("x", f"{first['next'][:-32]}{'0' * 32}")]
    last = first["next"].partition("~")[2]
    long_ago = [await ask(after=f"{at}~{last}") for at in ("0001-01-01T00:00:00Z", "2026-99-99T99:99:99Z")]

    assert [one.json()["errors"][0]["pointer"] for one in long_ago] == ["/after"] * 2
    assert (first["marked"], first["more"]) == (2, True)
    assert second == {"marked": 1, "cut": 0, "refused": 0, "more": False, "next": None}
    assert (odd.status_code, odd.json()["errors"][0]["pointer"], problem(unknown)) == (422, "/after", "not-found")


async def test_what_is_held_is_counted_by_reason_and_lane(desk: Api) -> None:
    await desk.bench.set_aside(b"1", b"2", b"3")
    await desk.bench.set_aside(b"4", first=10, reason="whatever nobody foresaw")
    await desk.bench.set_aside(b"5", first=20, topic="agency.contact-point.letters.urgent.v1")
    await desk.bench.set_aside(b"6", first=30, topic="letters.received.v1")

    await counting.count(desk.bench.entries.store, desk.bench.metrics)

    def held(reason: str, lane: str) -> float | None:
        labels = {"reason": reason, "lane": lane}
        return desk.bench.metrics.registry.get_sample_value("rogatory_quarantine_held", labels)

    assert [held("not a letter", "urgent"), held("other", "urgent"), held("not a letter", "normal")] == [4, 1, 1]
    oldest = desk.bench.metrics.registry.get_sample_value("rogatory_quarantine_held_oldest_timestamp_seconds")
    assert oldest == BEGAN.timestamp() + 1


# Many entries


QUERIES: dict[str, dict[str, str]] = {
    "all": {},
    "by status": {"status": "held"},
    "by topic": {"topic": GATE},
    "by reason": {"reason": "not a letter"},
    "by age": {"older_than": "2026-03-10T08:00:02Z"},
    "by everything": {"topic": GATE, "reason": "not a letter", "status": "held", "older_than": "2026-04-10T08:00:02Z"},
    "a later page": {"after": "2026-03-10T08:00:01.000000Z~qua_" + "0" * 32, "status": "held"},
}


async def test_every_query_uses_an_index_and_sorts_by_it(desk: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.quarantine.acting._PAGE", 7)
    await desk.bench.set_aside(*(b"%d" % n for n in range(30)))
    with pymongo.MongoClient[dict[str, Any]](desk.server) as client:
        database = client[desk.database]
        database.command("profile", 2)
        for query in QUERIES.values():
            assert (await desk.call("GET", query=query)).status_code == 200
        await desk.call("POST", "/replay", {"filter": {"topic": GATE}, **ANNA}, scope=WRITE)
        await desk.bench.replaying.look()
        await counting.count(desk.bench.entries.store, desk.bench.metrics)
        database.command("profile", 0)
        seen = list(
            database["system.profile"].find(
                {"ns": f"{desk.database}.intake_quarantine", "op": {"$in": ["query", "command"]}}
            )
        )

    plans = [one["planSummary"] for one in seen if "planSummary" in one]
    assert len(plans) > len(QUERIES)
    assert {plan.split()[0] for plan in plans} <= {"IXSCAN", "IDHACK", "COUNT_SCAN"}
    assert not [one["command"] for one in seen if one.get("hasSortStage")]
    assert desk.bench.world.heard
