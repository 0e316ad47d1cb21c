"""What the three naive services have in common: connections, subscribers, events, the law."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import orjson
import uvloop
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import BaseModel
from pymongo import WriteConcern
from pymongo.read_concern import ReadConcern

from benchmarks.prepared import ASSUMPTIONS, PARTNERS
from deploy.local.jars import ROOT
from shared.ids import Ids
from shared.law import Law, load_law
from shared.partners import load_partners

WORKERS = 6
"""Consumers of one topic in one process: one for each partition."""
ids = Ids(bytes.fromhex(os.environ["BENCH_ID_KEY"]))
broker = KafkaBroker(os.environ["BENCH_KAFKA"], acks="all", enable_idempotence=True, logger=None)


class LetterReceived(BaseModel):
    """A letter, from intake to the router."""

    letter: str
    agency: str
    received_at: str
    digest: str
    content: dict[str, Any]


class CaseAssigned(BaseModel):
    """A case without what it says."""

    case: str
    letter: str
    agency: str
    type: str
    party: str
    direction: str
    channel: str
    urgency: str
    received_at: str
    authority: str
    rule: str
    law: str
    version: str
    basis: list[str]
    because: str
    certainty: str
    gate: str
    status: str = "assigned"


def collection(name: str) -> Any:
    """A collection that is read and written by majority, and written with journal."""
    client: Any = AsyncIOMotorClient(os.environ["BENCH_MONGO"], maxPoolSize=200)
    return client[os.environ["BENCH_DATABASE"]].get_collection(
        name, write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority")
    )


def topic_of(name: str) -> str:
    """The naive pipeline's own topic in place of one of ours."""
    return f"naive.{name}"


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])


def subscriber(topic: str, group: str) -> Callable[[Handler], Handler]:
    """One handler per message, at least once, as many at a time as there are partitions."""
    heard = broker.subscriber(
        topic_of(topic),
        group_id=f"naive-{group}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        max_workers=WORKERS,
        no_reply=True,
    )

    def on(handler: Handler) -> Handler:
        heard(handler)
        return handler

    return on


async def publish(topic: str, key: str, event_type: str, source: str, data: Mapping[str, Any]) -> None:
    """Publish one CloudEvent and wait until it is acknowledged."""
    headers = {
        "ce_specversion": "1.0",
        "ce_type": event_type,
        "ce_id": f"{source}/{event_type}",
        "ce_source": f"/{topic}/{source}",
        "ce_subject": key,
        "content-type": "application/json",
    }
    await broker.publish(orjson.dumps(data), topic_of(topic), key=key.encode(), headers=headers)


def law() -> Law:
    """The same law as ours."""
    return load_law(ROOT / Path(load_partners(PARTNERS).law_file), ASSUMPTIONS)


def day_of(received_at: str) -> date:
    """The day whose law counts."""
    return date.fromisoformat(received_at[:10])


def run() -> None:
    """Consume until SIGTERM."""
    uvloop.run(_until_stopped())


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with broker:
        await broker.start()
        await stopped.wait()
