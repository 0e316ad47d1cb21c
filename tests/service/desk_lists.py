"""The desk's routes for subscriptions and silences over a real store, without Kafka: nothing of them goes there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI

from services.notifier.channels.guard import Guard
from services.notifier.domain import silences, subscription_state, subscriptions
from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.lists.desk import SCOPE
from services.notifier.lists.directory import Directory, Subscription
from services.notifier.lists.listed import hears_only_never_held
from services.notifier.lists.silences_api import add_silences
from services.notifier.lists.subscriptions_api import Subscriptions, add_subscriptions
from services.notifier.rules.alert_rules import AlertRules
from services.notifier.rules.fact_values import fact_values
from shared.events import Event
from shared.http import api
from shared.ids import Ids
from shared.law import load_law
from shared.life_cycle import load_life_cycle
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.parcels import Parcel
from shared.partners import load_partners
from shared.posts import Posts
from shared.sealing import Sealer
from shared.sender import Sender
from shared.tokens import KeySource, Verifier, make_key, make_token
from shared.vocabulary import DESK
from tests.unit.kept_lists import RULES

ROOT = Path(__file__).parents[2]
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
PRIVATE, JWKS = make_key()
START = datetime(2026, 3, 10, 8, tzinfo=UTC)


@cache
def rules() -> AlertRules:
    """The tests' rules with the values that facts have here."""
    law = load_law(load_partners(ROOT / "partners.yaml").law_file)
    values = fact_values(law, load_life_cycle(ROOT / "life-cycle.yaml", law), ["desk"])
    return AlertRules(RULES.rules, RULES.audiences, kept=RULES.kept, values=values)


def token(authority: str | None = DESK, scope: str = SCOPE) -> str:
    """A token; the desk's own unless told otherwise."""
    return make_token(
        PRIVATE,
        issuer="issuer",
        audience="rogatory",
        authority=authority,
        scopes=(scope,),
        lifetime=timedelta(minutes=5),
    )


@dataclass
class Sent:
    """A sender that keeps what it is given: alerts alone."""

    alerts: list[Event] = field(default_factory=list)

    def feed(self, parcels: Sequence[Parcel]) -> None:
        self.alerts += [event for parcel in parcels for event in parcel.events if event.to]


@dataclass
class Desk:
    """The routes, their store, their time, and what became of test notices."""

    mongo: Mongo
    app: FastAPI = field(default_factory=lambda: api("Notifier", []))
    now: datetime = START
    outcome: Delivered | Failed = field(default_factory=lambda: Delivered(1))
    tested: list[Subscription] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)
    lacks: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of_subscriptions = self._loop(
            "subscriptions", subscriptions.decide_by(hears_only_never_held(rules())), subscription_state.evolve
        )
        of_silences = self._loop("silences", silences.decide_by(rules().can_only_be_never_held), silences.evolve)
        self.stores = of_subscriptions.store, of_silences.store
        self.directory = Directory(*self.stores, SEALER, rules().is_never_held, self._time, IDS)
        self.posts = Posts(of_subscriptions), Posts(of_silences)

    def routes(self, verifier: Verifier) -> None:
        """Add them."""
        guard = Guard()
        told = Subscriptions(self.posts[0], self.directory, IDS, rules(), guard.why_not, self.lacks)
        add_subscriptions(self.app, verifier, told, self._send_test)
        add_silences(self.app, verifier, self.posts[1], self.directory, IDS, rules())

    async def ask(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, **more: Any
    ) -> httpx.Response:
        """What is answered."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {bearer or token()}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://notifier", headers=headers) as client:
            return await client.request(method, f"/v1/{path}", json=body, **more)

    async def stored(self) -> str:
        """Every byte that is kept, as text."""
        return repr([await store.find({}, None, limit=100) for store in self.stores])

    def _loop(self, name: str, decide: Any, evolve: Any) -> Loop:
        sender = cast("Sender", self.sent)
        return Loop(self.mongo.store(name), decide, evolve, SEALER, sender, Metrics("notifier"), self._time)

    def _time(self) -> datetime:
        return self.now

    async def _send_test(self, one: Subscription) -> Delivered | Failed:
        self.tested.append(one)
        return self.outcome


@asynccontextmanager
async def desk_at(uri: str, database: str, jwks: Path) -> AsyncIterator[Desk]:
    """The routes over an empty database."""
    connection = Mongo(uri, database)
    desk = Desk(connection)
    await desk.stores[0].prepare([Directory.SUBSCRIPTION_INDEX])
    await desk.stores[1].prepare([Directory.SILENCE_INDEX])
    desk.routes(Verifier("issuer", "rogatory", KeySource(jwks)))
    tasks = [asyncio.create_task(posts.run()) for posts in desk.posts]
    yield desk
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await connection.close()
