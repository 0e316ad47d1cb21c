"""Whether one document is what its own history says: its chain, versions, state, marks, key and causes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from shared import topics
from shared.events import Event
from shared.records import Evolve, fold, link, needs_sending
from shared.sealing import Broken, RecordKey, Sealer, place_of
from shared.times import text_of
from verify.findings import Finding, Kind

Document = Mapping[str, Any]
GRACE = timedelta(seconds=60)
"""How old something must be before it counts as forgotten."""
ERASED = ".erased"
"""How the type of an event ends that tells of a key that was destroyed."""


@dataclass(slots=True)
class Known:
    """A document and its events, with their content where it opens."""

    document: Document
    events: list[Event]
    opens: bool
    """Whether what is sealed could be read."""
    erased: bool = False

    @property
    def record(self) -> str:
        """Its id."""
        name: str = self.document["_id"]
        return name

    @property
    def state(self) -> Mapping[str, Any]:
        """As it stands in MongoDB."""
        state: Mapping[str, Any] = self.document["state"]
        return state


def known_of(document: Document, sealer: Sealer | None) -> tuple[Known, list[Finding]]:
    """The events of a document; raises one of `failures.DAMAGED` for one that is none of ours."""
    record, history = document["_id"], document["history"]
    has_sealed = any("sealed" in form for form in history)
    is_erased = any(form["type"].endswith(ERASED) for form in history)
    found: list[Finding] = []
    key: RecordKey | None = None
    wrapped = document.get("key")
    if has_sealed and wrapped is None and not is_erased:
        found.append(Finding(Kind.KEY, record, "sealed events and no key"))
    if has_sealed and wrapped is not None and sealer is not None:
        try:
            key = sealer.key_of(record, wrapped)
        except Broken:
            found.append(Finding(Kind.SEALED, record, "its key does not open under the sealing key"))
    events = []
    for form in history:
        _check_kinds(form)
        content = None
        sealed: bytes | None = form.get("sealed")
        if key is not None and sealed is not None:
            try:
                content = key.open(sealed, place_of(record, form["seq"]))
            except Broken:
                found.append(Finding(Kind.SEALED, record, f"event {form['seq']} does not open"))
        data = form["data"]
        events.append(
            Event(
                form["seq"],
                form["type"],
                form["at"],
                form["by"],
                form["cause"],
                form["to"],
                orjson.loads(data),
                data,
                content,
                sealed,
                form["chain"],
            )
        )
    return Known(document, events, key is not None or not has_sealed, has_sealed and wrapped is None), found


def _check_kinds(form: Document) -> None:
    """Raises `TypeError` for an event whose parts are of another kind than ours."""
    texts = form["type"], form["at"], form["by"], form["cause"], *form["to"]
    numbers = form["seq"], *form["to"].values()
    if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int) for one in numbers):
        raise TypeError("an event's parts")


def check(known: Known, evolve: Evolve, now: datetime) -> Iterator[Finding]:
    """What is wrong with one record; `now`: the time in which it lives."""
    document, events, record = known.document, known.events, known.record
    yield from _chain(record, events, document["version"])
    state = dict(document["state"])
    sent = state.pop("sent")
    if fold(events, evolve) != state:
        yield Finding(Kind.STATE, record, "the stored state is not the fold of the history")
    elif document.get("next_due") != state.get("next_due"):
        yield Finding(Kind.STATE, record, "its clock is not that of its state")
    yield from _sequences(record, events, sent)
    yield from _unsent(known, now)
    yield from _causes(record, events)


def _chain(record: str, events: list[Event], version: int) -> Iterator[Finding]:
    before = b""
    for number, e in enumerate(events, 1):
        if e.seq != number:
            yield Finding(Kind.GAP, record, f"event {e.seq} stands where {number} should")
            return
        before = link(before, record, e.seq, e.type, e.at, e.by, e.cause, e.to, e.data_json, e.sealed)
        if before != e.chain:
            yield Finding(Kind.CHAIN, record, f"the chain breaks at event {number} ({e.type})")
            return
    if version != len(events):
        yield Finding(Kind.GAP, record, f"says version {version} and has {len(events)} events")


def _sequences(record: str, events: list[Event], sent: Mapping[str, int]) -> Iterator[Finding]:
    last: dict[str, int] = {}
    for event in events:
        for topic, number in event.to.items():
            if number != last.get(topic, 0) + 1:
                yield Finding(Kind.SENT, record, f"number {number} follows {last.get(topic, 0)}", topic)
            last[topic] = number
    if last != sent:
        yield Finding(Kind.SENT, record, "the last numbers per topic are not those of the history")


def _unsent(known: Known, now: datetime) -> Iterator[Finding]:
    document, record = known.document, known.record
    published, version, since = document["published"], document["version"], document.get("unsent_since")
    if published > version:
        yield Finding(Kind.SENT, record, f"marked as sent up to {published} and has {version} events")
    elif published == version:
        return
    elif since is None:
        yield Finding(Kind.UNSENT, record, f"nobody will look for event {published + 1}", settles=True)
    elif now - since > GRACE and needs_sending(known.events[published:]):
        yield Finding(Kind.UNSENT, record, f"since {text_of(since)}", settles=True)


def _causes(record: str, events: list[Event]) -> Iterator[Finding]:
    """All that follows from one cause is decided at once, and stands together with one time."""
    known: set[str] = set()
    before = None
    for event in events:
        if (event.cause, event.at) != before:
            if event.cause in known:
                yield Finding(Kind.TWICE, record, f"event {event.seq} ({event.type})")
            known.add(event.cause)
            before = event.cause, event.at


def is_readable(known: Known, event: Event, topic: str) -> bool:
    """Whether the bytes of an event on a topic can be told: those with content only where that opens."""
    return event.sealed is None or event.content is not None or not topics.carries_content(topic)
