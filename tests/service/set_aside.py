"""A quarantine over a real store, with a reader that takes, refuses and fails as its records say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord

from shared.arrivals import Reader
from shared.decisions import Decision, Message
from shared.events import LETTER_RECEIVED, Draft, Event
from shared.failures import NeverWill
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.parcels import Parcel
from shared.quarantine import Quarantine, counting, decide, evolve
from shared.quarantine.acting import Acting
from shared.quarantine.api import Desk
from shared.quarantine.reading import INDEXES as OF_ENTRIES
from shared.quarantine.reading import Entries
from shared.quarantine.replaying import INDEXES as OF_REPLAYS
from shared.quarantine.replaying import Replaying
from shared.records import Record, State
from shared.sender import Sender
from tests.unit.entries import GATE, IDS, SEALER, consumed

BEGAN = datetime(2026, 3, 10, 8, tzinfo=UTC)
INDEXES = [*OF_ENTRIES, *OF_REPLAYS, counting.INDEX]


class Deaf(Sender):
    """A stand-in for the sender, which would want Kafka."""

    def __init__(self) -> None:
        pass

    def feed(self, parcels: Any) -> None:
        for parcel in parcels:
            assert isinstance(parcel, Parcel)


@dataclass
class World:
    """What the services' own world is like just now: it decides what a record is worth."""

    refuses: set[bytes]
    fails: set[bytes]
    heard: list[bytes]


class Bench:
    """One service's quarantine and its letters, on real collections; time goes on by a second with every look at it."""

    def __init__(self, mongo: Mongo, prefix: str = "") -> None:
        self.world = World(set(), set(), [])
        self.metrics = Metrics("test")
        self._ticks = 0
        self.entries = self._loop(mongo, f"{prefix}intake_quarantine", decide, evolve)
        self.letters = self._loop(mongo, f"{prefix}letters", self._decide, _evolve)
        self.keeper = Quarantine("intake", self.entries, IDS, self.metrics)
        self.readers = {GATE: Reader(self._read, self.letters)}
        self.replaying = Replaying("intake", self.entries, self.readers, SEALER, self.metrics)
        self.acting = Acting(self.entries, self.replaying, self.readers, SEALER, self.metrics, self.now)
        self.desk = Desk(Entries(self.entries.store, SEALER, {"extradition"}), self.acting, SEALER)

    def _loop(self, mongo: Mongo, name: str, decide: Any, evolve: Any) -> Loop:
        return Loop(mongo.store(name), decide, evolve, SEALER, Deaf(), self.metrics, self.now)

    def now(self) -> datetime:
        """A second later than the last time."""
        self._ticks += 1
        return BEGAN + timedelta(seconds=self._ticks)

    async def prepare(self) -> None:
        """Make the indexes."""
        await self.entries.store.prepare(INDEXES)
        await self.letters.store.prepare()

    async def set_aside(self, *values: bytes, first: int = 0, key: bytes | None = b"key", **how: Any) -> list[str]:
        """Records of one key in the order of their offsets; their entries."""
        topic, reason = how.get("topic", GATE), how.pop("reason", "not a letter")
        records = [consumed(value, offset=first + n, key=key, **how) for n, value in enumerate(values)]
        await self.keeper.keep([(record, reason) for record in records])
        return [IDS.quarantined("intake", topic, 1, one.offset, one.value or b"") for one in records]

    async def states(self, *entries: str) -> list[State]:
        """How entries stand."""
        found = {one["_id"]: one["state"] for one in await self.entries.store.histories(entries)}
        return [found[entry] for entry in entries]

    async def statuses(self, *entries: str) -> list[str]:
        """The status of each."""
        return [state["status"] for state in await self.states(*entries)]

    async def story(self, entry: str) -> list[str]:
        """What happened to an entry."""
        [document] = await self.entries.store.histories([entry])
        return [form["type"] for form in document["history"]]

    def _read(self, record: "ConsumerRecord[Any, Any]") -> Sequence[Message]:
        value = record.value or b""
        if value in self.world.fails:
            raise KeyError("Maud Vernier")
        if value in self.world.refuses:
            raise NeverWill("still not a letter")
        self.world.heard.append(value)
        return [Message(IDS.letter("contact-point", value.hex()), f"kafka/{record.offset}", "contact-point", value)]

    def _decide(self, record: Record, message: Message, _now: datetime) -> Decision:
        return Decision() if record.version else Decision([Draft(LETTER_RECEIVED, (), {"size": len(message.body)})])


def _evolve(state: State, event: Event) -> State:
    return {**state, "size": event.data["size"]}
