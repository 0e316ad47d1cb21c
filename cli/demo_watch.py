"""What the demo listens to: every topic that somebody outside reads, and the webhooks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from standardwebhooks import Webhook, WebhookVerificationError

from cli.demo_board import Arrival, Board
from shared import topics
from shared.envelope import Envelope, read_envelope
from shared.events import (
    ALERT_RAISED,
    ANSWER_RECEIPT,
    ANSWER_REFUSED,
    CASE_ASSIGNED,
    CASE_TYPES,
    NOTICE_RAISED,
    UPDATE_REJECTED,
)
from shared.partners import Partners
from shared.vocabulary import Lane
from simulate.play import Play

Hear = Callable[[Board, ConsumerRecord[Any, Any], Envelope, Mapping[str, Any]], None]


def what_to_hear(names: Iterable[str], partners: Partners) -> dict[str, Hear]:
    """Each of these topics that the demo reads, and what is done with an event on it."""
    owners = {(name.partition(".")[0], name) for name in names}
    authorities = [owner for owner, name in owners if name == topics.cases_of(owner, Lane.NORMAL)]
    heard: dict[str, Hear] = {topics.ALERTS_RAISED: _on_trouble}
    heard |= {topics.case_events(lane): _on_case for lane in Lane}
    heard |= {topics.cases_of(authority, lane): _on_arrival for authority in authorities for lane in Lane}
    heard |= {topics.answers_to(agency): partial(_on_answer, agency) for agency in partners.agencies}
    return heard | {topics.notices_to(subscriber): _on_notice for subscriber in partners.subscribers}


@asynccontextmanager
async def listening(bootstrap: str, heard: Mapping[str, Hear], partitions: Mapping[str, int]) -> AsyncIterator[Any]:
    """A consumer of all these topics from their beginning, without a group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for topic in heard for number in range(partitions[topic])])
        yield consumer
    finally:
        # Where Kafka is gone the client's own cancelled fetch comes out here, in the place of what went wrong.
        with suppress(asyncio.CancelledError, KafkaError):
            await consumer.stop()


async def hear(consumer: AIOKafkaConsumer, heard: Mapping[str, Hear], board: Board, play: Play) -> None:
    """Put everything that comes on the board, and let those hear it who are played; until cancelled."""
    async for record in consumer:
        event = read_envelope(record.headers, record.value)
        play.hear(record, event)
        heard[record.topic](board, record, event, json.loads(event.data))


async def is_heard(consumer: AIOKafkaConsumer) -> bool:
    """Whether all that stands on the topics now has been read."""
    ends = await consumer.end_offsets(list(consumer.assignment()))
    return all([await consumer.position(place) >= end for place, end in ends.items()])


def _on_case(board: Board, _record: ConsumerRecord[Any, Any], event: Envelope, data: Mapping[str, Any]) -> None:
    about = event.attributes
    if event.type in CASE_TYPES:
        board.happened(event.type, data["case"], about["letterid"], int(about["measure"]), data, int(about["sequence"]))


def _on_arrival(board: Board, record: ConsumerRecord[Any, Any], event: Envelope, data: Mapping[str, Any]) -> None:
    if event.type == CASE_ASSIGNED:
        board.arrived(data["case"], Arrival(record.topic, time.monotonic(), record.timestamp / 1000))
    elif event.type == UPDATE_REJECTED:
        board.rejected(data["case"], data["update"], data["says"])


def _on_answer(
    agency: str, board: Board, _record: ConsumerRecord[Any, Any], event: Envelope, data: Mapping[str, Any]
) -> None:
    if event.type == ANSWER_RECEIPT and "message" not in data:
        board.received(data["letter"], agency, data["content"]["reference"])
    elif event.type == ANSWER_REFUSED and "case" in data:
        board.rejected(data["case"], data["update"], data["says"])
    elif event.type == ANSWER_REFUSED:
        content = data["content"]
        which = content.get("reference") or f"event {content['about']['id']} from {content['about']['source']}"
        errors = json.dumps(content["errors"], ensure_ascii=False)
        board.troubles.append(f"a letter of {agency} was refused ({which}): {errors}")


def _on_notice(board: Board, _record: ConsumerRecord[Any, Any], event: Envelope, data: Mapping[str, Any]) -> None:
    if event.type == NOTICE_RAISED:
        _tell(board, data)


def _tell(board: Board, notice: Mapping[str, Any]) -> None:
    """A notice of a new case; those of what happened to it later are not expected of any sample."""
    if notice["facts"]["event"] == CASE_ASSIGNED:
        board.told(notice["about"], notice["subscriber"], notice["channel"])


def _on_trouble(board: Board, _record: ConsumerRecord[Any, Any], event: Envelope, data: Mapping[str, Any]) -> None:
    if event.type == ALERT_RAISED:
        board.troubles.append(f"{data['service']} itself raised an alert: {data['kind']}")


@contextmanager
def webhook_receiver(url: str, secret: str, board: Board) -> Iterator[None]:
    """The subscribers' end of the webhooks: takes what is signed with their secret and nothing else."""
    loop, verifier = asyncio.get_running_loop(), Webhook(secret)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                verifier.verify(body.decode(), dict(self.headers.items()))
            except (WebhookVerificationError, ValueError):
                loop.call_soon_threadsafe(board.troubles.append, "a webhook came without a valid signature")
                self.send_response(401)
            else:
                notice = json.loads(body)["data"]
                loop.call_soon_threadsafe(_tell, board, notice)
                self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing on screen."""

    address = urlsplit(url)
    server = ThreadingHTTPServer((str(address.hostname), address.port or 0), Receiver)
    thread = Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
