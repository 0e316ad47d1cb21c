"""Much at once, over HTTP or by Kafka, leaves the others their turn, and what an agency has no room for waits."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord

from services.intake.door import NDJSON, PATH, Door
from services.intake.handlers import on_letter
from shared.arrivals import Reader
from shared.decisions import Message
from shared.failures import NeverWill
from shared.lenient_records import UnreadBatch
from shared.letter import BadLetter, parse_letter
from shared.limits import CONTRACT, MOST_VALUES
from shared.loop import Outcome
from shared.partners import Agency
from shared.rates import Rates
from shared.records import Record
from shared.strict_json import read, refuse_many
from tests.unit.intake_letters import AGENCY, IDS, law, life, text

NOUGHTS = b"[" + b"0," * 262_000 + b"0]"
"""Half a megabyte of values, which takes half a second to be read exactly."""

HEADERS = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/a"), ("ce_type", b"letter.received"))


class Known:
    """Takes every caller for the agency."""

    name, agency = AGENCY, AGENCY

    async def verify(self, *_: object) -> "Known":
        return self


class Kept:
    """Keeps every letter in memory only."""

    def __init__(self) -> None:
        self.count = 0

    async def put(self, messages: Sequence[Message], _size: int) -> list[Outcome]:
        self.count += len(messages)
        state = {"received_at": "", "digest": "", "cases": []}
        return [Outcome(Record(one.record, one.record, {}, state=state), fresh=True) for one in messages]


def door(kept: Kept, rate: float = 0) -> Door:
    types, rates = frozenset(law().request_types), Rates(rate, lambda: 0.0)
    return Door(cast("Any", Known()), {AGENCY: None}, types, IDS, cast("Any", kept), rates)


async def post(at: Door, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer."""
    said: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        await asyncio.sleep(0)  # the headers of all come before the first body
        return {"type": "http.request", "body": body}

    async def send(part: Mapping[str, Any]) -> None:
        said.append(part)

    headers = [(b"authorization", b""), (b"content-type", NDJSON.encode())]
    await at({"type": "http", "method": "POST", "path": PATH, "headers": headers}, receive, send)
    start, end = said
    return start["status"], dict(start["headers"]), end["body"]


async def longest_wait(work: Callable[[], Any]) -> float:
    """For how long something that is ready waited at most while the work was done."""
    longest, last = 0.0, time.monotonic()

    async def watch() -> None:
        nonlocal longest, last
        while True:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await work()
    await asyncio.sleep(0)
    watching.cancel()
    return longest


def large(number: int) -> bytes:
    """A bad letter that must be read exactly and has about as many values as one may have."""
    return b'{"reference": "%d", "a": [' % number + b"1.5," * (MOST_VALUES - 10) + b"0]}"


async def test_bad_lines_leave_the_others_their_turn() -> None:
    body = b"\n".join(large(number) for number in range(20))
    answers: list[bytes] = []

    async def work() -> None:
        answers.append((await post(door(Kept()), body))[2])

    began = time.monotonic()
    longest = await longest_wait(work)

    assert [json.loads(line)["status"] for line in answers[0].splitlines()] == [422] * 20
    # One line may take its time, all of them must not.
    assert longest < (time.monotonic() - began) / 4


async def test_bad_records_leave_the_others_their_turn() -> None:
    gate = on_letter({"a": Agency(title="A")}, law().request_types, IDS, life())
    records: list[ConsumerRecord[Any, Any]] = [
        ConsumerRecord("agency.a.letters.v1", 0, n, 0, 0, None, large(n), None, 0, 0, HEADERS) for n in range(20)
    ]

    async def work() -> None:
        _, _, aside = await Reader(gate, cast("Any", None))._read(records, "kafka")
        assert [reason for _, reason in aside] == ["not a letter"] * 20

    began = time.monotonic()
    longest = await longest_wait(work)

    assert longest < (time.monotonic() - began) / 4


async def test_a_batch_that_was_not_read_is_set_aside_for_its_own_reason() -> None:
    value = UnreadBatch(b"PK")
    value.why, value.size = "a batch that unpacks to too much", 1_000
    record: ConsumerRecord[Any, Any] = ConsumerRecord("cases.events.v1", 0, 5, 0, 0, None, value, None, 0, 0, ())

    def never(_: object) -> Sequence[Message]:
        raise NeverWill("read all the same")

    _, _, aside = await Reader(never, cast("Any", None))._read([record], "kafka")

    assert aside == [(record, "a batch that unpacks to too much")]


# How many values a letter may have


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (NOUGHTS, ""),
        (b'{"measures": [{"contents": {"facts": ' + NOUGHTS + b"}}]}", "/measures/0/contents/facts"),
        (b"[" + b"[0]," * 40_000 + b"0]", None),
        (b'{"a": {' + b",".join(b'"%d":0' % n for n in range(MOST_VALUES)) + b"}}", "/a"),
    ],
)
def test_too_many_values_are_refused_at_their_place_before_anything_dear(raw: bytes, place: str | None) -> None:
    with pytest.raises(BadLetter, match=str(MOST_VALUES)) as refused:
        refuse_many(raw)

    [error] = refused.value.errors
    assert refused.value.status == 422
    assert place is None or error.pointer == place
    assert [*read(raw)[2]] == [error]


@pytest.mark.parametrize("raw", [NOUGHTS[:-1], b"[" * 300_000, b'["\\ud800",' + b"0," * 60_000 + b"0]"])
def test_what_is_no_json_is_for_the_exact_reading(raw: bytes) -> None:
    refuse_many(raw)


def test_half_a_character_does_not_hide_too_many_values() -> None:
    errors = read(b'["\\ud800",' + b"0," * 60_000 + b"0]")[2]

    assert [str(MOST_VALUES) in error.detail for error in errors] == [True]


def test_as_many_values_as_all_the_forms_name_are_taken() -> None:
    measure = {
        "type": "extradition",
        "contents": {f"a{n}": "" for n in range(200)},
        "attachments": [str(n) for n in range(200)],
    }
    files = [{"name": str(n), "size": n} for n in range(CONTRACT.attachments)]
    raw = text(measures=[measure] * CONTRACT.measures, attachments=files)

    refuse_many(raw)
    assert read(raw)[2] == []
    assert len(raw) < CONTRACT.letter_bytes
    assert len(parse_letter(raw, law().request_types).measures) == CONTRACT.measures


async def test_the_door_refuses_too_many_values_with_their_place() -> None:
    _, _, body = await post(door(Kept()), NOUGHTS)

    told = json.loads(body)
    assert (told["status"], told["problem"]["type"]) == (422, "urn:rogatory:problem:bad-letter")
    assert str(MOST_VALUES) in told["problem"]["errors"][0]["detail"]


async def test_a_letter_that_is_good_but_for_its_many_values_is_refused_alike() -> None:
    raw = text(measures=[{"type": "extradition", "contents": {"numbers": [0] * (MOST_VALUES + 1)}}])
    _, _, body = await post(door(Kept()), raw)
    gate = on_letter({"a": Agency(title="A")}, law().request_types, IDS, life())

    [error] = json.loads(body)["problem"]["errors"]
    assert error["pointer"] == "/measures/0/contents/numbers"
    with pytest.raises(NeverWill, match="not a letter"):
        gate(ConsumerRecord("agency.a.letters.v1", 0, 0, 0, 0, None, raw, None, 0, 0, HEADERS))


# How many letters come in one body


def together(count: int) -> bytes:
    return b"\n".join(text(reference=str(number)) for number in range(count))


async def test_bodies_that_come_together_do_not_overdraw_the_rate() -> None:
    kept = Kept()
    agencys = door(kept, 300)

    answers = await asyncio.gather(*(post(agencys, together(1_000)) for _ in range(20)))

    assert sorted(status for status, *_ in answers) == [200] + [429] * 19
    assert kept.count == 1_000
    waits = {int(headers[b"retry-after"]) for status, headers, _ in answers if status == 429}
    assert waits <= {2, 3, 4}


async def test_a_body_of_as_many_lines_as_may_be_comes_through_whatever_the_rate() -> None:
    for rate in (0.01, 1.0, 300.0):
        kept = Kept()
        assert (await post(door(kept, rate), together(CONTRACT.batch_lines)))[0] == 200
        assert kept.count == CONTRACT.batch_lines


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"\n" * 2_000, 200),
        (b"{}\n\n" * 1_000, 200),
        (b"{}\r\n" * 1_000, 200),
        (b"{}\n" * 1_001, 413),
        (b"\n" * 16_000_000, 413),
        (b"{}\n" + b"\n" * 3_000, 413),
    ],
)
async def test_empty_lines_count_only_where_they_are_more_than_lines_may_be(body: bytes, status: int) -> None:
    assert (await post(door(Kept()), body))[0] == status
