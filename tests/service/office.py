"""An office with everybody whom a notifier tells: people with mailboxes and pagers, systems, an Alertmanager.

It is served by our services on a Kafka of its own, over TLS everywhere, by the test's own files of who hears what.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import trustme

from deploy.local.kafka import Kafka
from deploy.local.keys import AUDIENCE, ISSUER
from deploy.local.mongo import Mongo
from shared import topics
from shared.events import CASE_ASSIGNED, schema_of
from shared.times import text_of
from shared.tokens import make_token
from shared.vocabulary import DESK, Lane
from tests.service.recipients import NAME, SENDER, Mail, Mailboxes, Web
from tests.service.running import PATIENCE, Document, Said, System, eventually, make_topics, system

PEOPLE = {"lala": "az", "vera": "ru", "solene": "fr", "colin": "en"}
"""Who can be told, and in which language; each by e-mail and by a pager."""
ROTAS = {"desk": "lala", "heads": "solene", "deputies": "vera", "operations": "colin"}
"""Who is on duty, always."""
HOLDER = "security-service"


@dataclass(frozen=True)
class Office:
    """The services, and who hears of them."""

    services: System
    web: Web
    mails: Mailboxes

    def token(self, subscriber: str, *scopes: str) -> str:
        """A subscriber's token with these scopes."""
        return make_token(
            self.services.keys.token_key,
            issuer=ISSUER,
            audience=AUDIENCE,
            scopes=scopes,
            lifetime=timedelta(hours=1),
            subscriber=subscriber,
        )

    async def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> httpx.Response:
        """What the notifier answers, to the desk unless told otherwise."""
        bearer = token or self.services.keys.token(authority=DESK)
        async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:
            url = self.services.url("notifier", path)
            return await client.request(method, url, json=body, headers={"authorization": f"Bearer {bearer}"})

    async def say(self, who: str, case: str, update: str, **fields: Any) -> httpx.Response:
        """What the router answers to an authority, or to the desk, that says something of a case."""
        headers = {"authorization": f"Bearer {self.services.keys.token(authority=who)}"}
        async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:
            url = self.services.url("router", f"/v1/cases/{case}/updates")
            return await client.post(url, json={"update": update, **fields}, headers=headers)

    async def happens(self, *cases: str, event: str = CASE_ASSIGNED, **facts: str) -> None:
        """Put an event of each case on the router's topic."""
        lane = Lane(facts.get("lane", Lane.NORMAL))
        await self.services.produce(topics.case_events(lane), *(_said(event, case, facts) for case in cases))

    def notices(self, about: str, **state: Any) -> list[Document]:
        """The notices about a case, or an alert, that stand so, in the order in which they were raised."""
        query = {f"state.{name}": value for name, value in state.items()}
        found = self.services.documents(
            "notices", {"state.about": about, "state.subscriber": {"$exists": True}, **query}
        )
        return sorted(found, key=lambda one: str(one["state"]["raised_at"]))

    async def notice(self, about: str, **state: Any) -> Document:
        """The first of them, once it stands so."""

        def look() -> Document | None:
            return next(iter(self.notices(about, **state)), None)

        found: Document = await eventually(look, f"a notice that is {state}")
        return found

    def ladder(self, about: str) -> Document | None:
        """The ladder that is climbed because of a case."""
        found = self.services.documents("notices", {"state.about": about, "state.record": "ladder"})
        return found[0] if found else None

    async def ladder_is(self, about: str, status: str) -> Document:
        """The same, once it stands so."""

        def look() -> Document | None:
            found = self.ladder(about)
            return found if found and found["state"]["status"] == status else None

        found: Document = await eventually(look, f"a ladder that is {status}")
        return found

    async def rung(self, person: str, about: str, count: int = 1) -> list[str]:
        """What a person's pager said of a case, once it has rung so often."""

        def look() -> list[str]:
            said = [one.told["message"] for one in self.web.at(person)]
            found = [text for text in said if self._is_about(text, about)]
            return found if len(found) >= count else []

        found: list[str] = await eventually(look, f"{count} calls of {person} about {about}")
        return found

    async def mailed(self, person: str, about: str = "", count: int = 1) -> list[Mail]:
        """A person's mails about a case, once there are so many."""

        def look() -> list[Mail]:
            found = self.mails.of(mailbox(person), about)
            return found if len(found) >= count else []

        found: list[Mail] = await eventually(look, f"{count} mails to {person} about {about}")
        return found

    def _is_about(self, text: str, about: str) -> bool:
        """A pager shows few words; which notice it is, its link says."""
        return any(str(one["_id"]) in text for one in self.notices(about))


def mailbox(person: str) -> str:
    """A person's address."""
    return f"{person}@office.example"


def _said(event: str, case: str, facts: Mapping[str, str]) -> Said:
    """An event of a case as the router says it."""
    data = {
        "case": case,
        "type": "extradition",
        "party": "FR",
        "direction": "incoming",
        "urgency": "normal",
        "lane": "normal",
        "authority": HOLDER,
        "status": "received",
        **facts,
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_type": event,
        "ce_id": str(uuid.uuid4()),
        "ce_source": f"/{topics.case_events(Lane(data['lane']))}/{case}",
        "ce_time": text_of(datetime.now(UTC)),
        "ce_subject": case,
        "ce_dataschema": schema_of(event),
        "content-type": "application/json",
    }
    return Said(json.dumps(data).encode(), [(name, text.encode()) for name, text in headers.items()])


@contextmanager
def office(mongo: Mongo, folder: Path, alerts: str, *names: str, **contacts: str) -> Iterator[Office]:
    """These services, told by an alerts file whom to tell; `contacts`: the pager of a person, where it is not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with ExitStack() as open_:
        kafka = open_.enter_context(Kafka(folder / "kafka"))
        asyncio.run(make_topics(kafka.bootstrap))
        web = open_.enter_context(Web(authority, folder).listening())
        mails = open_.enter_context(Mailboxes(authority).listening())
        database = f"office-{uuid.uuid4().hex[:10]}"
        made = open_.enter_context(system(kafka.bootstrap, mongo.uri, database, folder / "services"))
        (folder / "alerts.yaml").write_text(alerts)
        (folder / "roster.yaml").write_text(_roster(web, contacts))
        made.settings.update(_settings(folder, web, mails, made.keys.webhook_secret), SSL_CERT_FILE=str(bundle))
        made.settings["REQUESTS_CA_BUNDLE"] = str(bundle)
        made.launch(*names)
        made.wait(*names)
        yield Office(made, web, mails)


def _settings(folder: Path, web: Web, mails: Mailboxes, secret: str) -> dict[str, str]:
    smtp = {"host": NAME, "port": mails.port, "sender": SENDER, "ca": str(folder / "ca.pem")}
    return {
        "ROGATORY_ALERTS": str(folder / "alerts.yaml"),
        "ROGATORY_ROSTER": str(folder / "roster.yaml"),
        "ROGATORY_PEOPLE_BY_LOG": "false",
        "ROGATORY_SMTP": json.dumps(smtp),
        "ROGATORY_ALERTMANAGER": web.url("alertmanager"),
        "ROGATORY_WEBHOOKS": json.dumps({"duty-officers": {"url": web.url("duty-officers"), "secret": secret}}),
        "ROGATORY_WEBHOOKS_ALLOW_HTTP": "false",
        # The recipients of the tests stand on this machine.
        "ROGATORY_OWN_NETWORKS": "127.0.0.0/8,::1/128",
    }


def _roster(web: Web, contacts: Mapping[str, str]) -> str:
    pagers = {person: f"jsons://{NAME}:{web.port}/{person}" for person in PEOPLE} | dict(contacts)
    people = {
        person: {
            "name": person.title(),
            "language": language,
            "contacts": {"email": mailbox(person), "apprise": pagers[person]},
        }
        for person, language in PEOPLE.items()
    }
    rotas = {
        rota: {
            "title": rota.title(),
            "stand_in": person,
            "turns": [{"start": "2026-01-05", "hand_over": ["08:00"], "order": [person]}],
        }
        for rota, person in ROTAS.items()
    }
    return json.dumps({"zone": "Asia/Baku", "people": people, "rotas": rotas})
