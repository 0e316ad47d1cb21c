"""The door for letters over Kafka: one letter however often it comes, and an answer on the agency's own topic."""

import json

from shared import topics
from shared.events import ANSWER_RECEIPT, ANSWER_REFUSED, ANSWER_STATUS, LETTER_RECEIVED
from shared.vocabulary import Lane
from tests.service.running import AGENCY, Said, System, cloud_event, eventually, filed, letter, of

GATE = topics.letters_from(AGENCY, Lane.NORMAL)
ANSWERS = topics.answers_to(AGENCY)


async def test_a_letter_is_answered_on_the_agencys_own_topic(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(ANSWERS, topics.letters_received(Lane.NORMAL)) as ear:
        await services.produce(GATE, filed(letter(prefix), prefix))
        receipt, status = (await ear.wait_for(lambda one: of(letter_id)(one) and one.topic == ANSWERS, 2))[:2]
        [received] = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == LETTER_RECEIVED)

    assert (receipt.type, receipt.sequence, receipt.data["content"]) == (ANSWER_RECEIPT, 1, {"reference": prefix})
    assert (status.type, status.sequence, status.data["authority"]) == (ANSWER_STATUS, 2, "security-service")
    assert received.data["content"] == letter(prefix)
    assert received.data["agency"] == AGENCY


async def test_a_letter_in_structured_mode_is_the_same(services: System, prefix: str) -> None:
    event = {
        "specversion": "1.0",
        "id": prefix,
        "source": f"/{AGENCY}",
        "type": LETTER_RECEIVED,
        "data": letter(prefix),
    }
    content_type = ("content-type", b"application/cloudevents+json; charset=utf-8")
    async with services.listening(topics.letters_received(Lane.NORMAL)) as ear:
        await services.produce(GATE, Said(json.dumps(event).encode(), [content_type]))
        [received] = await ear.wait_for(of(services.ids.letter(AGENCY, prefix)))

    assert received.data["content"] == letter(prefix)


async def test_the_same_event_twice_is_one_letter_and_one_receipt(services: System, prefix: str) -> None:
    letter_id, last = services.ids.letter(AGENCY, prefix), services.ids.letter(AGENCY, f"{prefix}-last")
    twice = filed(letter(prefix), prefix)
    async with services.listening(ANSWERS) as ear:
        await services.produce(GATE, twice, twice)
        await services.produce(GATE, twice, filed(letter(f"{prefix}-last"), f"{prefix}-last"))
        await ear.wait_for(of(last))
        await ear.wait_for(lambda one: of(letter_id)(one) and one.type == ANSWER_STATUS)

    document = services.document("letters", letter_id)
    assert document is not None
    assert [event["type"] for event in document["history"]] == [LETTER_RECEIVED, ANSWER_RECEIPT, ANSWER_STATUS]


async def test_the_same_letter_in_a_new_event_gets_the_same_receipt_again(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(ANSWERS) as ear:
        await services.produce(GATE, filed(letter(prefix), f"{prefix}-1"), filed(letter(prefix), f"{prefix}-2"))
        first, second = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == ANSWER_RECEIPT, 2)

    assert first.data == second.data
    assert (first.headers["ce_id"], first.sequence) != (second.headers["ce_id"], second.sequence)


async def test_a_letter_filed_by_both_doors_is_one(services: System, prefix: str) -> None:
    receipt = (await services.post(letter(prefix))).json()
    async with services.listening(ANSWERS) as ear:
        await services.produce(GATE, filed(letter(prefix), prefix))
        [again] = await ear.wait_for(
            lambda one: of(receipt["id"])(one) and one.type == ANSWER_RECEIPT and one.sequence > 1
        )

    assert (again.data["received_at"], again.data["digest"]) == (receipt["received_at"], receipt["digest"])
    assert (await services.post(letter(prefix))).status_code == 200


async def test_another_letter_under_the_same_reference_is_refused_by_field(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(ANSWERS) as ear:
        other = letter(prefix, urgency_reason="a secret reason")
        await services.produce(GATE, filed(letter(prefix), f"{prefix}-1"), filed(other, f"{prefix}-2"))
        [refused] = await ear.wait_for(lambda one: of(letter_id)(one) and one.type == ANSWER_REFUSED)

    assert [error["pointer"] for error in refused.data["content"]["errors"]] == ["/urgency_reason"]
    assert refused.data["content"]["about"] == {"source": f"/{AGENCY}", "id": f"{prefix}-2"}
    assert refused.data["content"]["reference"] == prefix
    assert b"secret" not in refused.value


async def test_an_urgent_letter_has_a_lane_of_its_own(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(*(topics.letters_received(lane) for lane in Lane)) as ear:
        urgent = letter(prefix, "stored_data_access", "data_preservation")
        await services.produce(topics.letters_from(AGENCY, Lane.URGENT), filed(urgent, prefix))
        [received] = await ear.wait_for(of(letter_id))

    assert (received.topic, received.data["lane"]) == (topics.letters_received(Lane.URGENT), "urgent")


async def test_the_urgent_entrance_makes_no_letter_urgent(services: System, prefix: str) -> None:
    async with services.listening(*(topics.letters_received(lane) for lane in Lane)) as ear:
        await services.produce(topics.letters_from(AGENCY, Lane.URGENT), filed(letter(prefix), prefix))
        [received] = await ear.wait_for(of(services.ids.letter(AGENCY, prefix)))

    assert received.topic == topics.letters_received(Lane.NORMAL)


async def test_the_topic_names_the_agency(services: System, prefix: str) -> None:
    async with services.listening(topics.letters_received(Lane.NORMAL)) as ear:
        entrance = topics.letters_from("foreign-ministry", Lane.NORMAL)
        await services.produce(entrance, Said(json.dumps(letter(prefix)).encode(), cloud_event(prefix, "urn:any")))
        [received] = await ear.wait_for(of(services.ids.letter("foreign-ministry", prefix)))

    assert received.data["agency"] == "foreign-ministry"


async def test_a_refused_letter_does_not_take_the_place_of_a_good_one(services: System, prefix: str) -> None:
    async with services.listening(ANSWERS) as ear:
        await services.produce(GATE, filed(letter(prefix, party="Narnia"), f"{prefix}-1"))
        refused_id = services.ids.refused_letter(AGENCY, f"/{AGENCY}", f"{prefix}-1")
        [refused] = await ear.wait_for(of(refused_id))
        await services.produce(GATE, filed(letter(prefix), f"{prefix}-2"))
        await ear.wait_for(lambda one: of(services.ids.letter(AGENCY, prefix))(one) and one.type == ANSWER_RECEIPT)

    assert (refused.type, refused.sequence) == (ANSWER_REFUSED, 1)
    assert [error["pointer"] for error in refused.data["content"]["errors"]] == ["/party"]
    assert b"Narnia" not in refused.value


async def test_a_refused_letter_is_no_letter_over_http(services: System, prefix: str) -> None:
    refused_id = services.ids.refused_letter(AGENCY, f"/{AGENCY}", prefix)
    await services.produce(GATE, filed(letter(prefix, party="Narnia"), prefix))
    await eventually(lambda: services.document("letters", refused_id), "the refusal")

    assert (await services.get(f"/v1/letters/{refused_id}")).status_code == 404
