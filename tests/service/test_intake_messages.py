"""What agencies and gateways say on letters of before, through both doors, and what they hear of it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from shared import topics
from shared.events import (
    ANSWER_RECEIPT,
    ANSWER_REFUSED,
    ANSWER_STATUS,
    LETTER_MESSAGE,
    UPDATE_REJECTED,
    of_answer,
)
from shared.letter import MAX_LETTER_BYTES
from shared.vocabulary import Lane
from tests.service.running import AGENCY, Document, Said, System, cloud_event, eventually, letter, of

GATE, ANSWERS = topics.letters_from(AGENCY, Lane.NORMAL), topics.answers_to(AGENCY)
RECEIVED, DUE = topics.letters_received(Lane.NORMAL), topics.answers_due(Lane.NORMAL)
FILER, BUREAU = "cyber-investigations", "interpol-bureau"
MARK = "Sensitive-4711"


async def filed(services: System, prefix: str, agency: str = AGENCY, **members: Any) -> str:
    """The id of a letter in safe keeping, with one measure in the normal lane."""
    answer = await services.post(letter(prefix, "extradition", **members), agency=agency)
    assert answer.status_code == 202
    return str(answer.json()["id"])


async def say(
    services: System,
    letter_id: str,
    body: Mapping[str, Any] | bytes,
    *,
    agency: str = AGENCY,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One message by HTTP."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = services.bearer(agency) if headers is None else dict(headers)
    async with httpx.AsyncClient(timeout=40, verify=False) as client:
        url = services.url("intake", f"/v1/letters/{letter_id}/messages")
        return await client.post(url, content=content, headers={"content-type": media_type} | told)


def put(event_id: str, agency: str = AGENCY, **body: Any) -> Said:
    """One message by Kafka."""
    return Said(json.dumps(body).encode(), cloud_event(event_id, f"/{agency}", LETTER_MESSAGE))


def due(services: System, letter_id: str, event_type: str, event_id: str, **data: Any) -> Said:
    """An answer as the router writes it."""
    body = {"case": services.ids.case(letter_id, 1), "type": "extradition", "status": "received", **data}
    attributes = {"letterid": letter_id, "agency": AGENCY, "measure": "1"}
    return Said(json.dumps(body).encode(), cloud_event(event_id, f"/{DUE}/cas_1", event_type, **attributes))


async def told(services: System, letter_id: str, agency: str = AGENCY) -> list[Document]:
    """What was said to an agency about a letter."""
    answer = await services.get(f"/v1/letters/{letter_id}/answers", agency=agency)
    found: list[Document] = answer.json()["answers"] if answer.status_code == 200 else []
    return found


async def heard_of(services: System, letter_id: str, agency: str = AGENCY, **members: Any) -> Document:
    """The first answer whose type or data is as named."""

    async def look() -> Document | None:
        for one in await told(services, letter_id, agency):
            if all({**one["data"], "answer": one["type"]}.get(name) == value for name, value in members.items()):
                return one
        return None

    found: Document = await eventually(look, f"an answer with {members}")
    return found


# By HTTP


async def test_a_message_is_accepted_once_and_answered_the_same_again(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    body = {"message": "status_inquiry", "text": MARK}

    async with services.listening(RECEIVED) as ear:
        first, second = [await say(services, letter_id, body) for _ in range(2)]
        [said] = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == LETTER_MESSAGE)

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    assert first.json().keys() == {"id", "letter", "message", "received_at"}
    assert (said.data["id"], said.data["update"]) == (first.json()["id"], "status_inquired")
    assert said.data["content"] == {"text": MARK}
    document = services.document("letters", letter_id)
    assert document is not None
    assert [event["type"] for event in document["history"]].count(LETTER_MESSAGE) == 1


async def test_the_same_message_many_times_at_once_is_one(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)

    answers = await asyncio.gather(*(say(services, letter_id, {"message": "status_inquiry"}) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [202]
    assert len({answer.text for answer in answers}) == 1


async def test_another_message_under_the_same_id_is_a_conflict_by_field(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    await say(services, letter_id, {"message": "status_inquiry", "id": "q-1", "text": "one"})

    answer = await say(services, letter_id, {"message": "status_inquiry", "id": "q-1", "text": MARK})

    assert answer.status_code == 409
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/text"]
    assert MARK not in answer.text


async def test_a_withdrawal_ends_the_case_and_the_agency_hears_it(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    await heard_of(services, letter_id, answer=ANSWER_STATUS)

    await say(services, letter_id, {"message": "withdrawal", "reason": "No longer needed."})

    heard = await heard_of(services, letter_id, answer=ANSWER_STATUS, status="withdrawn")
    assert heard["data"]["case"] == services.ids.case(letter_id, 1)
    view = (await services.get(f"/v1/letters/{letter_id}")).json()
    assert view["cases"][0]["status"] == "withdrawn"


async def test_what_the_life_cycle_forbids_is_answered_with_the_message_it_was(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    await say(services, letter_id, {"message": "withdrawal"})
    await heard_of(services, letter_id, status="withdrawn")

    again = (await say(services, letter_id, {"message": "withdrawal", "reason": MARK})).json()

    refused = await heard_of(services, letter_id, answer=ANSWER_REFUSED)
    assert (refused["data"]["id"], refused["data"]["message"]) == (again["id"], "withdrawal")
    assert refused["data"]["status"] == "withdrawn"
    assert "status_inquiry" in refused["data"]["allowed"]
    assert refused["data"]["says"]


async def test_who_asks_how_it_stands_is_answered(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)

    await say(services, letter_id, {"message": "status_inquiry"})

    heard = await heard_of(services, letter_id, answer=of_answer("inquiry"))
    assert (heard["data"]["letter"], heard["data"]["measure"]) == (letter_id, 1)


REFUSED: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{", 400),
    "no message": (b"{}", 422),
    "a name twice": (b'{"message":"withdrawal","reason":"a","reason":"b"}', 422),
    "a measure that is not there": (b'{"message":"withdrawal","measures":[2]}', 422),
    "a gateway's word": (b'{"message":"transmitted"}', 403),
    "too large": (b" " * (MAX_LETTER_BYTES + 1), 413),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_taken_is_a_problem(services: System, prefix: str, case: str) -> None:
    body, status = REFUSED[case]
    letter_id = await filed(services, prefix, channel="interpol")

    answer = await say(services, letter_id, body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_not_the_callers_does_not_exist(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)

    for agency, named in ((BUREAU, letter_id), (AGENCY, "let_" + "0" * 32), (AGENCY, "x")):
        assert (await say(services, named, {"message": "withdrawal"}, agency=agency)).status_code == 404


async def test_the_door_asks_who_is_there_and_takes_json_only(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    body = {"message": "withdrawal"}

    assert (await say(services, letter_id, body, headers={})).status_code == 401
    assert (await say(services, letter_id, body, agency="nobody")).status_code == 403
    assert (await say(services, letter_id, body, media_type="text/plain")).status_code == 415


async def test_the_openapi_document_has_each_message(services: System) -> None:
    document = (await services.get("/openapi.json")).json()

    assert "post" in document["paths"]["/v1/letters/{letter}/messages"]
    kinds = document["components"]["schemas"]["LetterMessage"]["oneOf"]
    assert {"withdrawal", "supplement", "transmitted"} <= {kind["title"] for kind in kinds}
    assert "File" in document["components"]["schemas"]


# By Kafka


async def test_by_kafka_a_message_names_the_reference_and_gets_a_receipt(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    async with services.listening(ANSWERS, RECEIVED) as ear:
        twice = put(prefix, message="status_inquiry", reference=prefix)
        await services.produce(GATE, twice, twice)
        [said] = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == LETTER_MESSAGE)
        [receipt] = await ear.wait_for(
            lambda one: of(letter_id)(one) and one.type == ANSWER_RECEIPT and "message" in one.data
        )

    assert receipt.data["id"] == said.data["id"]
    assert receipt.data["content"] == {"about": {"source": f"/{AGENCY}", "id": prefix}}
    document = services.document("letters", letter_id)
    assert document is not None
    assert [event["type"] for event in document["history"]].count(LETTER_MESSAGE) == 1


NOT_TAKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown letter": ({"message": "withdrawal"}, "no such letter of this agency", "/letter"),
    "bad fields": ({"message": "extension", "until": "soon", "reason": "x"}, "not a message", "/until"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
async def test_what_is_not_taken_is_set_aside_and_its_sender_is_told(services: System, prefix: str, case: str) -> None:
    body, reason, pointer = NOT_TAKEN[case]
    refused_id = services.ids.refused_letter(AGENCY, f"/{AGENCY}", prefix)
    async with services.listening(ANSWERS) as ear:
        [(partition, offset)] = await services.produce(GATE, put(prefix, reference=prefix, **body))
        [refused] = await ear.wait_for(of(refused_id))

    assert refused.type == ANSWER_REFUSED
    assert [error["pointer"] for error in refused.data["content"]["errors"]] == [pointer]
    assert refused.data["content"]["reference"] == prefix

    def aside() -> list[Document]:
        where = {"state.topic": GATE, "state.partition": partition, "state.offset": offset}
        return services.documents("intake_quarantine", where)

    (entry,) = await eventually(aside, "the entry in quarantine")
    assert entry["state"]["reason"] == reason
    assert services.document("letters", services.ids.letter(AGENCY, prefix)) is None


# Gateways


async def test_a_gateway_hears_what_to_carry_and_says_that_it_did(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix, FILER, direction="outgoing", channel="interpol")
    assert await told(services, letter_id, BUREAU) == []

    await services.produce(DUE, due(services, letter_id, of_answer("outgoing"), prefix))

    carried = await heard_of(services, letter_id, BUREAU, answer=of_answer("outgoing"))
    assert carried["sequence"] == 1
    assert carried["data"]["gateway"] == BUREAU
    assert carried["data"]["content"]["measure"]["contents"]["facts"] == "What only extradition says"
    assert (await services.get(f"/v1/letters/{letter_id}", agency=BUREAU)).status_code == 404
    assert of_answer("outgoing") not in [one["type"] for one in await told(services, letter_id, FILER)]

    at = {"at": "2026-03-11T08:00:00Z"}
    sent = await say(services, letter_id, {"message": "transmitted", **at}, agency=BUREAU)
    other = await say(services, letter_id, {"message": "withdrawal"}, agency=BUREAU)
    assert (sent.status_code, other.status_code) == (202, 404)
    refused = await heard_of(services, letter_id, BUREAU, answer=ANSWER_REFUSED)
    assert refused["data"]["id"] == sent.json()["id"]  # nothing was dispatched yet


# Answers that are due


async def test_answers_are_kept_with_the_letter_and_sealed(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    async with services.listening(ANSWERS) as ear:
        result = due(services, letter_id, of_answer("result"), prefix, said={}, content={"text": MARK})
        await services.produce(DUE, result, result)
        [said] = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == of_answer("result"))

    assert said.data["content"] == {"text": MARK}
    heard = await heard_of(services, letter_id, answer=of_answer("result"))
    assert heard["data"] == said.data
    document = services.document("letters", letter_id)
    assert document is not None
    assert [event["type"] for event in document["history"]].count(of_answer("result")) == 1


async def test_nothing_personal_is_in_the_open_or_in_the_log(services: System, prefix: str) -> None:
    letter_id = await filed(services, prefix)
    await say(services, letter_id, {"message": "supplement", "id": MARK, "contents": {"facts": MARK}, "text": MARK})
    await say(services, letter_id, {"message": "supplement", "contents": {MARK: MARK}})
    bad = due(
        services, letter_id, UPDATE_REJECTED, prefix, message=MARK, errors=[{"pointer": f"/{MARK}", "detail": "x"}]
    )
    await services.produce(
        DUE, bad, due(services, letter_id, of_answer("refusal"), f"{prefix}-2", content={"text": MARK})
    )
    await heard_of(services, letter_id, answer=of_answer("refusal"))

    document = services.document("letters", letter_id)

    assert document is not None
    assert MARK not in str(document["state"])
    assert all(MARK.encode() not in event["data"] + event["cause"].encode() for event in document["history"])
    assert MARK not in services.log("intake")
