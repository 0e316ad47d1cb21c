"""A round of everything that people, systems and time do to our services, so that each asks all it ever asks."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from services.notifier.choosing import Choosing
from services.router.ticking import LATE_EVERY, Ticking
from services.router.ticking import PATIENCE as PATIENCE_OF_CLOCKS
from shared import topics
from shared.events import LETTER_MESSAGE, NOTICE_ACKNOWLEDGED
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.sealing import Sealer
from shared.sender import Sender
from shared.times import text_of
from shared.vocabulary import DESK, Lane
from tests.service.office import HOLDER, Office
from tests.service.running import AGENCY, PATIENCE, SERVICES, Said, cloud_event, eventually, filed, letter, lines

ALERTS = """
audiences:
  woken: {title: Who is woken, wakes: true, members: [{subscriber: duty-officers}], ladder: desk}
  readers: {title: Who reads, members: [{person: solene, by: [email], group: 2 seconds}]}
  few-a-minute: {title: Who hears little, members: [{person: vera, by: [email], rate: 2}]}
  out-of-reach: {title: Whose pager is dead, members: [{person: colin, by: [apprise, email], patience: 2 seconds}]}
  machines: {title: Our own machines, members: [{system: alertmanager, by: [alertmanager]}]}
ladders:
  desk:
    steps:
      - {after: 0 seconds, tell: [{duty: desk, by: [apprise, email]}]}
      - {after: 2 seconds, tell: [{duty: heads, by: [email]}]}
    again: 1 hour
rules:
  - {name: emergency, when: {event: [case.assigned], urgency: [emergency]}, tell: [woken, operations], says: {en: "!"}}
  - {name: news, when: {event: [case.assigned], party: [ES]}, tell: [readers], says: {en: "News: {type}."}}
  - {name: little, when: {event: [case.assigned], party: [IT]}, tell: [few-a-minute], says: {en: "{type}."}}
  - {name: dead, when: {event: [case.assigned], party: [DE]}, tell: [out-of-reach], says: {en: "{type}."}}
  - {name: to-machines, when: {event: [case.assigned], party: [SE]}, tell: [machines], says: {en: "{type}."}}
  - {name: technical, when: {event: [alert.raised], kind: [technical]}, tell: [woken], says: {en: "{alertname}."}}
  - {name: rest, tell: [operations], says: {en: "{event}."}}
"""
QUARANTINE = "/v1/quarantine"
MANY = 60
"""Letters of a State whose notices have something of their own."""


class _Unfed(Sender):
    """Nothing is sent."""

    def __init__(self) -> None:
        pass


class _Standing:
    """A time that goes on while nothing is read."""

    until: datetime | None = None
    is_known = True

    def now(self) -> datetime:
        """The present."""
        return datetime.now(UTC)


async def rarely(connection: Mongo) -> None:
    """What is asked only where nothing was read for ten minutes, where a recipient is full, and after a crash."""

    def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is said here")

    loops = [
        Loop(connection.store(name), nothing, nothing, Sealer(bytes(32)), _Unfed(), Metrics("test"))
        for name in ("cases", "notices")
    ]
    cases, notices = loops
    moment = 0.0
    standing = _Standing()
    ticking = Ticking(cases, standing, standing, Metrics("test"), lambda: moment)
    await ticking.look()
    moment = PATIENCE_OF_CLOCKS.total_seconds() + LATE_EVERY
    await ticking.look()
    choosing = Choosing(notices)
    choosing.recipient("operations", "webhook").busy |= {"cas_1", "cas_2", "cas_3", "cas_4"}
    await choosing.overdue()
    await cases.store.chains(["cas_1"])
    await connection.close()


class Round:
    """One round; what it files has names that no other round has."""

    def __init__(self, office: Office, name: str) -> None:
        self._office, self._services, self._name = office, office.services, name

    async def run(self) -> None:
        """All of it; returns when the last of it is done."""
        began = asyncio.get_running_loop().time()
        cases = await self._letters()
        await asyncio.gather(self._pages_of_letters(), self._work(cases), self._quarantine(), self._lists())
        await self._notices(cases)
        # What is looked at only every ten seconds is looked at twice.
        await asyncio.sleep(max(0.0, began + 14 - asyncio.get_running_loop().time()))

    async def _letters(self) -> list[str]:
        """By both doors, urgent and not, for every rule, with letters of before and letters that never come."""
        name, post = self._name, self._services.post
        kinds: list[Mapping[str, Any]] = [
            letter(f"{name}-plain"),
            letter(f"{name}-kept", "data_preservation"),
            letter(f"{name}-after", "stored_data_access", prior_reference=f"{name}-kept"),
            letter(f"{name}-waits", "stored_data_access", prior_reference=f"{name}-never"),
            letter(f"{name}-mixed", "extradition", "data_preservation", "asset_freeze"),
            letter(f"{name}-life", "emergency_data", urgency="emergency"),
            letter(f"{name}-machine", "testimony", party="SE"),
        ]
        for one in kinds:
            (await post(one)).raise_for_status()
        (await post(letter(f"{name}-plain"))).raise_for_status()
        (await post(letter(f"{name}-plain"), agency="central-authority")).raise_for_status()
        for party in ("ES", "IT", "DE"):
            many = [letter(f"{name}-{party}-{n}", "testimony", party=party) for n in range(MANY)]
            (await post(lines(many), media_type="application/x-ndjson")).raise_for_status()
        gate = topics.letters_from(AGENCY, Lane.NORMAL)
        await self._services.produce(gate, *(filed(letter(f"{name}-k{n}"), f"{name}-{n}") for n in range(5)))
        cases = [self._case(f"{name}-{kind}") for kind in ("plain", "kept", "after", "mixed", "life", "machine", "k4")]
        for case in cases:
            await eventually(partial(self._services.document, "cases", case), "a case")
        return cases

    async def _pages_of_letters(self) -> None:
        get, plain = self._services.get, self._letter(f"{self._name}-plain")
        said = json.dumps({"id": f"{self._name}-q", "message": "status_inquiry"}).encode()
        gate = topics.letters_from(AGENCY, Lane.NORMAL)
        headers = cloud_event(f"{self._name}-q", f"/{AGENCY}", LETTER_MESSAGE)
        await self._services.produce(gate, Said(said, headers))
        page = (await get("/v1/letters")).raise_for_status().json()
        asked: list[tuple[str, dict[str, str]]] = [
            ("", {"after": page["next"]}),
            ("", {"party": "ES"}),
            ("", {"reference": f"{self._name}-plain"}),
            (f"/{plain}", {}),
            (f"/{plain}/answers", {}),
        ]
        for path, query in asked:
            (await get(f"/v1/letters{path}", **query)).raise_for_status()
        await self._call("intake", f"/v1/letters/{plain}/messages", {"message": "status_inquiry"}, agency=AGENCY)

    async def _work(self, cases: list[str]) -> None:
        """What an authority does with its cases, and how it and the desk find them."""
        plain, kept, _, _, life, *_ = cases
        for case in (plain, kept, life):
            (await self._office.say(HOLDER, case, "acknowledged", number="1", officer="O")).raise_for_status()
        (await self._office.say(HOLDER, life, "begun")).raise_for_status()
        gate = topics.updates_from(HOLDER, Lane.NORMAL)
        headers = cloud_event(f"{self._name}-u", f"/{HOLDER}", "update.begun")
        await self._services.produce(gate, Said(json.dumps({"case": plain}).encode(), headers))
        asked: list[dict[str, str]] = [
            {},
            {"status": "acknowledged"},
            {"type": "extradition"},
            {"party": "SE"},
            {"reference": f"{self._name}-plain"},
            {"reference": f"{self._name}-plain", "party": "FR"},
            {"overdue": "true"},
        ]
        for who in (HOLDER, DESK):
            for query in asked + ([{"status": "triage"}, {"authority": HOLDER}] if who == DESK else []):
                page = (await self._call("router", "/v1/cases", query=query, authority=who)).json()
                if after := page["next"]:
                    await self._call("router", "/v1/cases", query={**query, "after": after}, authority=who)
        await self._call("router", f"/v1/cases/{plain}", authority=HOLDER)

    async def _notices(self, cases: list[str]) -> None:
        """Who was told looks, acknowledges by API, by link and on Kafka; machines have alerts of their own."""
        life, machine = cases[4], cases[5]
        notice = await self._office.notice(life, channel="webhook")
        for query in (
            {},
            {"status": "delivered"},
            {"status": "failed"},
            {"about": life},
            {"acknowledged": "true"},
            {"acknowledged": "false"},
            {"unsent": "true"},
            {"unsent": "false"},
        ):
            for token in (None, self._office.token("duty-officers", "notices:read", "notices:write")):
                page = (await self._office.ask("GET", "/v1/notices?" + _query(query), token=token)).raise_for_status()
                if after := page.json()["next"]:
                    await self._office.ask("GET", "/v1/notices?" + _query({**query, "after": after}), token=token)
        (await self._office.ask("GET", f"/v1/notices/{notice['_id']}")).raise_for_status()
        since = text_of(datetime.now(UTC))
        alert = {
            "status": "firing",
            "labels": {"alertname": self._name},
            "annotations": {},
            "startsAt": since,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "5ef77f1f8a3ecfb1",
        }
        group = {"version": "4", "groupKey": "{}:{}", "receiver": "us", "status": "firing", "alerts": [alert]}
        (await self._office.ask("POST", "/v1/alertmanager", group)).raise_for_status()
        await self._office.notice(machine, channel="alertmanager", status="delivered")
        (await self._office.say(HOLDER, machine, "acknowledged", number="1", officer="O")).raise_for_status()
        [said, *_] = await self._office.rung("lala", life)
        link = re.search(r"http\S+/n/not_\S+", said)
        assert link
        async with httpx.AsyncClient(timeout=PATIENCE) as browser:
            (await browser.get(link[0])).raise_for_status()
            (await browser.post(link[0])).raise_for_status()
        path = f"/v1/notices/{notice['_id']}/acknowledgement"
        (await self._office.ask("POST", path, {"by": "officer-1"})).raise_for_status()
        ack = cloud_event(f"{self._name}-ack", "/duty-officers", NOTICE_ACKNOWLEDGED)
        body = json.dumps({"notice": notice["_id"], "by": "officer-2"}).encode()
        await self._services.produce(topics.acknowledgements_of("duty-officers"), Said(body, ack))

    async def _quarantine(self) -> None:
        """What cannot be read is looked at, tried again as it is and mended, and discarded."""
        gate, name = topics.letters_from(AGENCY, Lane.NORMAL), self._name
        bad = [
            Said(json.dumps(letter(f"{name}-bad-{n}")).encode(), cloud_event(f"{name}-bad-{n}", event_type="x.y"))
            for n in range(4)
        ]
        places = await self._services.produce(gate, *bad)
        made = self._services.ids.quarantined
        entries = [made("intake", gate, *place, one.value or b"") for place, one in zip(places, bad, strict=True)]
        for entry in entries:
            await eventually(partial(self._services.document, "intake_quarantine", entry), "an entry")
        call = partial(self._call, authority=DESK)
        for service in SERVICES:
            page = (await call(service, QUARANTINE, query={"limit": "1"})).json()
            queries: list[dict[str, str]] = [
                {"after": page["next"]} if page["next"] else {},
                {"topic": gate},
                {"reason": "unknown event type"},
                {"status": "held"},
                {"topic": gate, "status": "held", "reason": "unknown event type"},
                {"older_than": text_of(datetime.now(UTC))},
            ]
            for query in queries:
                await call(service, QUARANTINE, query=query)
        because = {"by": "Somebody", "reason": "A round"}
        first, second, third, _ = entries
        await call("intake", f"{QUARANTINE}/{first}")
        await call("intake", f"{QUARANTINE}/{first}/look", because)
        mended = {"ce_type": "letter.received", "ce_dataschema": "urn:rogatory:schema:letter.received:v1"}
        await call("intake", f"{QUARANTINE}/{first}/replay", {"dry_run": True})
        for by in ("Somebody", "Somebody else"):
            await call("intake", f"{QUARANTINE}/{first}/replay", {**because, "by": by, "headers": mended})
        await call("intake", f"{QUARANTINE}/{second}/discard", because)
        await call("intake", f"{QUARANTINE}/{second}/discard", {**because, "by": "Somebody else"})
        await call("intake", f"{QUARANTINE}/{third}/export", query=because)
        every = {"topic": gate, "reason": "unknown event type"}
        await call("intake", f"{QUARANTINE}/replay", {"filter": every, "dry_run": True})
        await call("intake", f"{QUARANTINE}/replay", {**because, "filter": every})

        def is_over() -> bool:
            states = [self._services.document("intake_quarantine", entry) for entry in (first, third)]
            return all(one and one["state"]["status"] != "replaying" for one in states)

        await eventually(is_over, "the replays")

    async def _lists(self) -> None:
        """The desk says who hears, and what is held back."""
        ask, name = self._office.ask, self._name
        new = {
            "name": name,
            "channel": "webhook",
            "address": self._office.web.url(name),
            "hears": {"when": {"party": ["FR"]}},
        }
        until = text_of(datetime.now(UTC) + timedelta(hours=1))
        silence = {"when": {"party": ["PT"]}, "author": name, "reason": "A round", "until": until}
        of_it = f"/v1/subscriptions/{name}"
        (await ask("POST", "/v1/subscriptions", new)).raise_for_status()
        for method, path, body in (
            ("GET", "/v1/subscriptions", None),
            ("GET", of_it, None),
            ("POST", f"{of_it}/test", None),
            ("POST", f"{of_it}/pause", {"author": name, "reason": "A round"}),
            ("POST", f"{of_it}/resume", None),
            ("POST", f"{of_it}/rotate-key", None),
            ("DELETE", of_it, None),
            ("GET", "/v1/silences", None),
        ):
            (await ask(method, path, body)).raise_for_status()
        begun = (await ask("POST", "/v1/silences", silence)).raise_for_status().json()
        (await ask("DELETE", f"/v1/silences/{begun['id']}")).raise_for_status()

    async def _call(
        self,
        service: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        agency: str | None = None,
        authority: str | None = None,
    ) -> httpx.Response:
        token = self._services.keys.token(agency=agency, authority=authority)
        async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:
            url, method = self._services.url(service, path), "GET" if body is None else "POST"
            headers = {"authorization": f"Bearer {token}"}
            answer = await client.request(method, url, json=body, params=query, headers=headers)
        assert answer.is_success, f"{method} {path} {query}: {answer.status_code} {answer.text}"
        return answer

    def _letter(self, reference: str) -> str:
        return self._services.ids.letter(AGENCY, reference)

    def _case(self, reference: str) -> str:
        return self._services.ids.case(self._letter(reference), 1)


def _query(query: Mapping[str, str]) -> str:
    return str(httpx.QueryParams(dict(query)))
