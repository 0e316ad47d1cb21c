"""The router gives every measure to the authority that the law names: no more of the letter than it may see."""

import json

import pytest

from deploy.local.jars import ROOT
from shared import topics
from shared.events import CASE_ASSIGNED
from shared.law import load_law
from shared.records import chain_holds, event_of
from shared.vocabulary import Lane
from tests.service.running import AGENCY, Said, System, cloud_event, eventually, letter, of, on

SECURITY, JUSTICE, DESK = "security-service", "justice-ministry", "desk"


def case_topics(lane: Lane) -> dict[str, str]:
    """Where each authority hears of its cases."""
    return {authority: topics.cases_of(authority, lane) for authority in (SECURITY, JUSTICE, DESK)}


async def test_a_mixed_letter_is_split_so_that_neither_sees_the_others_part(services: System, prefix: str) -> None:
    mixed = letter(prefix, "extradition", "stored_data_access")
    mixed["attachments"] = [{"name": "warrant.pdf"}, {"name": "order.pdf"}, {"name": "cover.pdf"}]
    mixed["measures"][0]["attachments"] = ["warrant.pdf"]
    mixed["measures"][1]["attachments"] = ["order.pdf"]
    letter_id = services.ids.letter(AGENCY, prefix)
    extradition, access = (services.ids.case(letter_id, n) for n in (1, 2))
    to = case_topics(Lane.NORMAL)

    async with services.listening(*to.values(), topics.case_events(Lane.NORMAL)) as ear:
        await services.post(mixed)
        [for_justice] = await ear.wait_for(lambda one: one.topic == to[JUSTICE] and one.record == extradition)
        [for_security] = await ear.wait_for(lambda one: one.topic == to[SECURITY] and one.record == access)
        await ear.wait_for(lambda one: one.topic.startswith("cases.") and one.record in {extradition, access}, 2)
        await ear.read_to_the_end()

    mine = [one for one in ear.heard if one.record in {extradition, access}]
    assert sorted((one.topic, one.record) for one in mine) == sorted(
        [
            (to[JUSTICE], extradition),
            (to[SECURITY], access),
            (topics.case_events(Lane.NORMAL), extradition),
            (topics.case_events(Lane.NORMAL), access),
        ]
    )
    assert for_justice.data["content"]["measure"] == {
        "type": "extradition",
        "contents": mixed["measures"][0]["contents"],
    }
    assert for_security.data["content"]["measure"] == {
        "type": "stored_data_access",
        "contents": mixed["measures"][1]["contents"],
    }
    assert [file["name"] for file in for_justice.data["content"]["attachments"]] == ["warrant.pdf"]
    assert [file["name"] for file in for_security.data["content"]["attachments"]] == ["order.pdf"]
    for own, other in ((for_justice, "stored_data_access"), (for_security, "extradition")):
        whole = own.value + json.dumps(dict(own.headers)).encode()
        assert f"What only {other} says".encode() not in whole
        assert other.encode() not in whole
        assert letter_id.encode() not in whole
        assert b"cover.pdf" not in whole
        assert b"ce_letterid" not in whole


async def test_case_events_hold_nothing_of_what_the_letter_says(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(topics.case_events(Lane.NORMAL)) as ear:
        await services.post(letter(prefix))
        [event] = await ear.wait_for(of(services.ids.case(letter_id, 1)))

    assert "content" not in event.data
    assert prefix.encode() not in event.value
    assert (event.headers["ce_letterid"], event.headers["ce_agency"], event.headers["ce_measure"]) == (
        letter_id,
        AGENCY,
        "1",
    )


@pytest.mark.parametrize(
    ("kind", "urgency", "lane", "authority"),
    [
        ("stored_data_access", "normal", Lane.NORMAL, SECURITY),
        ("stored_data_access", "urgent", Lane.URGENT, SECURITY),
        ("data_preservation", "normal", Lane.URGENT, SECURITY),
        ("extradition", "normal", Lane.NORMAL, JUSTICE),
        ("provisional_arrest", "normal", Lane.URGENT, JUSTICE),
        ("extradition", "emergency", Lane.URGENT, JUSTICE),
        ("asset_freeze", "normal", Lane.NORMAL, DESK),
        ("asset_freeze", "urgent", Lane.URGENT, DESK),
    ],
)
async def test_every_lane_leads_from_end_to_end(
    services: System, prefix: str, kind: str, urgency: str, lane: Lane, authority: str
) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    case = services.ids.case(letter_id, 1)
    names = [topics.letters_received(lane), topics.cases_of(authority, lane), topics.case_events(lane)]

    async with services.listening(*names) as ear:
        await services.post(letter(prefix, kind, urgency=urgency))
        for name, record in zip(names, (letter_id, case, case), strict=True):
            [event] = await ear.wait_for(on(name, record))
            assert event.sequence == 1
            assert event.data["lane"] == lane


async def test_rule_version_basis_reason_and_certainty_stand_on_the_case(services: System, prefix: str) -> None:
    case = services.ids.case(services.ids.letter(AGENCY, prefix), 1)
    async with services.listening(topics.cases_of(JUSTICE, Lane.NORMAL)) as ear:
        await services.post(letter(prefix, "extradition"))
        [assigned] = await ear.wait_for(of(case))

    document = await eventually(lambda: services.document("cases", case), "the case")
    law = load_law(ROOT / "laws" / "azerbaijan.yaml")
    expected = {
        "authority": JUSTICE,
        "law": law.name,
        "version": law.version,
        "basis": ["az-law extradition limb", "uncc 37(19)"],
        "certainty": "press",
        "status": "received",
    }
    for told in (assigned.data, document["state"]):
        assert {name: told[name] for name in expected} == expected
        assert told["because"].startswith("The extradition limb")
        assert told["rule"]


async def test_what_the_law_gives_to_nobody_goes_to_the_desk_with_the_reason(services: System, prefix: str) -> None:
    case = services.ids.case(services.ids.letter(AGENCY, prefix), 1)
    async with services.listening(topics.cases_of(DESK, Lane.NORMAL)) as ear:
        await services.post(letter(prefix, "stored_data_access", direction="outgoing"))
        [assigned] = await ear.wait_for(of(case))

    assert assigned.data["authority"] == DESK
    assert "not of sending it" in assigned.data["because"]


async def test_a_letter_without_a_treaty_goes_to_the_desk(services: System, prefix: str) -> None:
    case = services.ids.case(services.ids.letter(AGENCY, prefix), 1)
    async with services.listening(topics.cases_of(DESK, Lane.NORMAL)) as ear:
        await services.post(letter(prefix, "stored_data_access", party="GE"))
        [assigned] = await ear.wait_for(of(case))

    assert assigned.data["lean"] == SECURITY or assigned.data["because"]


async def test_a_letter_heard_twice_opens_no_second_case(services: System, prefix: str) -> None:
    letter_id = services.ids.letter(AGENCY, prefix)
    case, gate = services.ids.case(letter_id, 1), topics.letters_received(Lane.NORMAL)
    async with services.listening(gate, topics.cases_of(SECURITY, Lane.NORMAL)) as ear:
        await services.post(letter(prefix))
        [received] = await ear.wait_for(of(letter_id))
        await ear.wait_for(of(case))
        repeat = Said(received.value, [(name, text.encode()) for name, text in received.headers.items()])
        await services.produce(gate, repeat, repeat)
        await services.post(letter(f"{prefix}-later"))
        await ear.wait_for(of(services.ids.case(services.ids.letter(AGENCY, f"{prefix}-later"), 1)))

    document = services.document("cases", case)
    assert document is not None
    assert [event["type"] for event in document["history"]] == [CASE_ASSIGNED]


async def test_a_case_is_sealed_and_its_chain_holds(services: System, prefix: str) -> None:
    case = services.ids.case(services.ids.letter(AGENCY, prefix), 1)
    await services.post(letter(prefix))
    document = await eventually(lambda: services.document("cases", case), "the case")

    key = services.sealer.key_of(case, document["key"])
    events = [event_of(case, form, key) for form in document["history"]]
    assert chain_holds(case, events)
    assert json.loads(events[0].content or b"")["reference"] == prefix
    assert prefix not in repr({**document, "history": [form["data"] for form in document["history"]]})


async def test_a_type_that_the_law_no_longer_knows_is_set_aside_not_guessed(services: System, prefix: str) -> None:
    gate = topics.letters_received(Lane.NORMAL)
    letter_id = services.ids.letter(AGENCY, prefix)
    async with services.listening(gate) as ear:
        await services.post(letter(prefix))
        [received] = await ear.wait_for(of(letter_id))
    other = {**received.data, "letter": f"{letter_id}x", "measures": [{"measure": 1, "type": "no_longer_known"}]}
    value = json.dumps(other).encode()

    [at] = await services.produce(gate, Said(value, cloud_event(f"{prefix}x", "/letters.received.v1/x")))

    entry = services.ids.quarantined("router", gate, *at, value)
    await eventually(lambda: services.document("router_quarantine", entry), "the entry")
    assert services.document("cases", services.ids.case(f"{letter_id}x", 1)) is None
