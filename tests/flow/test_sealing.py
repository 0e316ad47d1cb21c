"""Nothing that a letter says in free text stands in the clear at rest, or where nobody is entitled to it.

Marks stand in every free-text field of letters good and bad. Then mongod is stopped and its files are searched as they
lie on disk (without compression, journal and oplog too), and so is all that was sent to readers who are not entitled.
"""

import asyncio
import base64
import json
import mmap
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import UNCOMPRESSED, Mongo
from shared import times, topics
from shared.letter import Letter, parse_letter
from shared.vocabulary import Lane
from tests.service.running import (
    AGENCY,
    SERVICES,
    Document,
    Heard,
    Said,
    System,
    cloud_event,
    eventually,
    filed,
    make_topics,
    system,
)
from tests.verified import report_on
from verify.findings import Kind

NOT_ENTITLED = (
    *(topics.case_events(lane) for lane in Lane),
    *(topics.notices_to(subscriber) for subscriber in ("duty-officers", "operations")),
    topics.ALERTS_RAISED,
)
SCHEMA = Letter.model_json_schema()

NOT_FREE = {
    "/agency": AGENCY,
    "/party": "FR",
    "/language": "fr",
    "/measures/0/type": "stored_data_access",
    "/attachments/0/sha256": "0" * 64,
}
"""The texts whose form or values are closed, so that no mark fits; every other text is free."""


@dataclass
class Marks:
    """Fills letters; every mark begins with one word that nothing else in the world holds."""

    word: str = field(default_factory=lambda: f"mark{secrets.token_hex(10)}")
    at: list[str] = field(default_factory=list)
    """The places that were marked."""

    def mark(self, place: str) -> str:
        """A mark of its own for a place."""
        self.at.append(place)
        return f"{self.word}n{len(self.at)}"

    def letter(self, **members: Any) -> dict[str, Any]:
        """A letter with every field of the schema, and a mark in every free one."""
        made: dict[str, Any] = self._fill(SCHEMA, "")
        made["measures"][0]["attachments"] = [made["attachments"][0]["name"]]
        made["treaty_basis"].append("uncc")
        return made | members

    def _fill(self, schema: dict[str, Any], place: str) -> Any:
        if place in NOT_FREE:
            return NOT_FREE[place]
        if "$ref" in schema:
            return self._fill(SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]], place)
        if "anyOf" in schema:
            return self._fill(schema["anyOf"][0], place)
        if "enum" in schema:
            return schema["enum"][0]
        return getattr(self, f"_{schema['type']}")(schema, place)

    def _object(self, schema: dict[str, Any], place: str) -> dict[str, Any]:
        made = {name: self._fill(inner, f"{place}/{name}") for name, inner in schema.get("properties", {}).items()}
        for inner in schema.get("patternProperties", {}).values():
            # Whatever a name may stand for: each of its kinds, and a name that is a mark itself.
            for n, kind in enumerate(inner["anyOf"]):
                made[f"kind_{n}"] = self._fill(kind, f"{place}/kind_{n}")
            made[self.mark(f"{place}/...")] = self._fill(inner, f"{place}/...")
        return made

    def _array(self, schema: dict[str, Any], place: str) -> list[Any]:
        return [self._fill(schema["items"], f"{place}/0")]

    def _string(self, schema: dict[str, Any], place: str) -> str:
        return "2026-03-10T08:00:00+01:00" if schema.get("format") == "date-time" else self.mark(place)

    def _boolean(self, _schema: dict[str, Any], _place: str) -> bool:
        return True

    def _integer(self, _schema: dict[str, Any], _place: str) -> int:
        return 1

    def _number(self, _schema: dict[str, Any], _place: str) -> float:
        return 1.5


def forms_of(word: str) -> list[bytes]:
    """The word in all its clothes: UTF-8, UTF-16, base64 at each of its three places, hexadecimal."""
    forms = [word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"), word.encode().hex().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + word.encode()).decode()
        forms.append(whole[4 if shift else 0 : len(whole) // 4 * 4 - 4].encode())
    return forms


def found_in(content: bytes | mmap.mmap, word: str) -> list[bytes]:
    """Each place where a word stands in any form, with what is around it."""
    found = []
    for form in forms_of(word):  # one after the other: a pattern of all of them is twenty times slower
        at = content.find(form)
        while at >= 0:
            found.append(content[max(0, at - 80) : at + 80])
            at = content.find(form, at + 1)
    return found


def places_in(files: Iterable[Path], word: str) -> list[str]:
    """Where a word stands in files."""
    found = []
    for file in files:
        if file.stat().st_size:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found += [f"{file.name}: {around!r}" for around in found_in(content, word)]
    return found


def raw(heard: Iterable[Heard]) -> bytes:
    """Everything of some records: keys, values, headers."""
    parts = [(one.key or b"") + b"\n" + one.value + b"\n" + json.dumps(dict(one.headers)).encode() for one in heard]
    return b"\n".join(parts)


@dataclass(frozen=True)
class Aftermath:
    """What is left when everything has stopped."""

    system: System
    marks: Marks
    planted: str
    """A word that was written in the clear on purpose."""
    heard: tuple[Heard, ...]
    metrics: str
    answers: str
    """What HTTP answered to letters that were not taken."""
    files: tuple[Path, ...]


@pytest.fixture(scope="module")
def own_mongo(needs_mongod: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A mongod that stores text as it is; it can be stopped."""
    with Mongo(tmp_path_factory.mktemp("sealing") / "mongo", extra=UNCOMPRESSED) as server:
        yield server


@pytest.fixture(scope="module")
def running(kafka: Kafka, own_mongo: Mongo, session_folder: Path) -> Iterator[System]:
    """All three services on that mongod."""
    asyncio.run(make_topics(kafka.bootstrap))
    with system(kafka.bootstrap, own_mongo.uri, "sealing_tests", session_folder / "sealing", *SERVICES) as made:
        yield made


@pytest.fixture(scope="module")
async def aftermath(running: System, own_mongo: Mongo) -> Aftermath:
    """Letters good and bad by both doors; then everything is stopped."""
    marks, planted, began = Marks(), f"planted{secrets.token_hex(10)}", times.now()
    entitled = (
        *(topics.letters_received(lane) for lane in Lane),
        *(topics.cases_of("security-service", lane) for lane in Lane),
        topics.answers_to(AGENCY),
    )
    async with running.listening(*NOT_ENTITLED, *entitled) as ear:
        answers = await file_letters(running, marks)
        for case in await ear.wait_for(lambda one: one.topic in entitled[2:4], 2):
            await ear.wait_for(told_of(case.record))
        for entry in await eventually(lambda: quarantined(running), "the quarantine of all poison"):
            await ear.wait_for(told_of(entry))
        await eventually(lambda: running.receiver.taken, "a webhook")
        await ear.read_to_the_end()
    metrics = repr([await running.metrics(name) for name in SERVICES])
    with pymongo.MongoClient[Document](running.mongo, w="majority", journal=True) as client:
        client[running.database]["planted"].insert_one({"text": f"in the clear: {planted}"})
    verified = await asyncio.to_thread(report_on, running.settings, began)
    # The poison that was put on our own topic: no history knows it.
    assert [(one.kind, one.topic) for one in verified.tally.findings] == [
        (Kind.UNKNOWN, topics.letters_received(Lane.NORMAL))
    ]
    running.stop()
    own_mongo.stop()
    files = tuple(file for file in own_mongo.folder.rglob("*") if file.is_file())
    return Aftermath(running, marks, planted, tuple(ear.heard), metrics, answers, files)


async def file_letters(running: System, marks: Marks) -> str:
    """Good letters by both doors and lanes, and every kind of bad one."""
    good, urgent = marks.letter(), marks.letter(urgency="emergency")
    same = {name: good[name] for name in ("reference", "measures", "attachments")}
    assert (await running.post(good)).status_code == 202
    bad = [
        (422, marks.letter(party=marks.mark("/party"), channel=marks.mark("/channel"))),
        (422, marks.letter(measures=[{"type": marks.mark("/measures/0/type")}])),
        (422, marks.letter() | {f"Name {marks.mark('/...')}": marks.mark("/...")}),
        (409, marks.letter(**same)),
        (403, marks.letter(agency="interpol-bureau")),
    ]
    answers = [await running.post(body) for _, body in bad]
    assert [answer.status_code for answer in answers] == [status for status, _ in bad]
    entrance, own = topics.letters_from(AGENCY, Lane.URGENT), topics.letters_received(Lane.NORMAL)
    await running.produce(
        entrance,
        filed(urgent, marks.mark("id"), source=f"/{AGENCY}/{marks.mark('source')}"),
        filed(marks.letter(party=marks.mark("/party")), marks.mark("id"), other=marks.mark("header")),
        filed(json.dumps(marks.letter()).encode()[:-1], marks.mark("id")),
        filed(marks.letter(), marks.mark("id"), dataschema=marks.mark("dataschema")),
        Said(json.dumps(marks.letter()).encode(), cloud_event(marks.mark("id"), event_type=marks.mark("type"))),
        filed(marks.letter(**same), marks.mark("id")),
    )
    await running.produce(own, Said(json.dumps(marks.letter()).encode(), cloud_event(marks.mark("id"))))
    return "\n".join(answer.text for answer in answers[:2] + answers[3:])


def told_of(record: str) -> Callable[[Heard], bool]:
    """Tells whether an event is a notice about a record."""
    return lambda one: one.topic.startswith("notices.") and one.data["about"] == record


def quarantined(running: System) -> list[str]:
    """The ids of all that was set aside, once it is all there."""
    found = [one["_id"] for name in ("intake", "router") for one in running.documents(f"{name}_quarantine")]
    return found if len(found) >= 5 else []


def test_every_free_text_of_the_schema_is_marked() -> None:
    marks = Marks()
    body = marks.letter()

    parse_letter(json.dumps(body).encode(), {"stored_data_access"})
    assert body.keys() == SCHEMA["properties"].keys()
    texts = {place for place, text in texts_of(body, "") if marks.word in text}
    closed = {place for place, text in texts_of(body, "") if marks.word not in text}
    assert texts >= {
        "/reference",
        "/urgency_reason",
        "/requested_deadline/reason",
        "/treaty_basis/0",
        "/prior_reference",
        "/contact/authority",
        "/contact/officer",
        "/contact/phone",
        "/translation",
        "/attachments/0/name",
        "/measures/0/attachments/0",
        "/measures/0/contents/kind_0",
        "/measures/0/contents/kind_4/0",
    }
    assert closed == NOT_FREE.keys() | {
        "/channel",
        "/direction",
        "/urgency",
        "/sent_at",
        "/requested_deadline/at",
        "/treaty_basis/1",
    }


def texts_of(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a letter with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_of(inner, f"{place}/{name}")


def test_the_marks_went_all_the_way(aftermath: Aftermath) -> None:
    word = aftermath.marks.word.encode()
    for topic in (topics.letters_received(Lane.NORMAL), topics.cases_of("security-service", Lane.URGENT)):
        [first, *_] = [one for one in aftermath.heard if one.topic == topic]
        assert first.value.count(word) > 10
    for topic in NOT_ENTITLED:
        assert [one for one in aftermath.heard if one.topic == topic], topic


def test_what_is_written_in_the_clear_on_purpose_is_found(aftermath: Aftermath) -> None:
    found = {place.split(":")[0] for place in places_in(aftermath.files, aftermath.planted)}

    assert any(name.startswith("collection-") for name in found)
    assert any(name.startswith("WiredTigerLog") for name in found)


@pytest.mark.parametrize(
    "encode", [str.encode, lambda text: text.encode("utf-16-le"), lambda text: text.encode("utf-16")]
)
def test_a_mark_is_found_in_every_encoding(tmp_path: Path, encode: Any) -> None:
    marks = Marks()
    for n, content in enumerate((encode(marks.mark("x")), base64.b64encode(b"ab" + encode(marks.mark("x"))))):
        (tmp_path / str(n)).write_bytes(b"before" + content + b"after")
    plain = encode is str.encode

    assert len(places_in([tmp_path / "0"], marks.word)) == 1
    assert len(places_in([tmp_path / "1"], marks.word)) == plain


def test_no_mark_stands_in_mongodbs_files(aftermath: Aftermath) -> None:
    assert places_in(aftermath.files, aftermath.marks.word) == []


def test_no_mark_stands_on_a_topic_whose_readers_are_not_entitled(aftermath: Aftermath) -> None:
    told = raw(one for one in aftermath.heard if one.topic in NOT_ENTITLED)

    assert found_in(told, aftermath.marks.word) == []


def test_no_mark_stands_in_a_webhook(aftermath: Aftermath) -> None:
    sent = b"\n".join(one.body + repr(one.headers).encode() for one in aftermath.system.receiver.taken)

    assert sent
    assert found_in(sent, aftermath.marks.word) == []


def test_no_mark_stands_in_a_log_or_a_metric_or_an_answer(aftermath: Aftermath) -> None:
    logs = "\n".join(aftermath.system.log(name) for name in SERVICES)
    for text in (logs, aftermath.metrics, aftermath.answers):
        assert text
        assert found_in(text.encode(), aftermath.marks.word) == []
