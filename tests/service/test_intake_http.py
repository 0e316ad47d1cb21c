"""The door for letters over HTTP: a receipt is a promise, the same letter gets it again, another one does not."""

import asyncio
import json

import httpx
import pymongo

from shared import topics
from shared.events import ANSWER_RECEIPT, ANSWER_STATUS, LETTER_RECEIVED
from shared.letter import digest_of
from shared.vocabulary import Lane
from tests.service.running import AGENCY, SERVICES, Document, System, eventually, letter, lines, of


async def test_a_letter_gets_a_receipt_and_goes_to_the_router(services: System, prefix: str) -> None:
    async with services.listening(topics.letters_received(Lane.NORMAL), topics.answers_to(AGENCY)) as ear:
        answer = await services.post(letter(prefix))

        receipt = answer.json()
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/v1/letters/{receipt['id']}"
        assert receipt["id"] == services.ids.letter(AGENCY, prefix)
        assert receipt.keys() == {"id", "reference", "received_at", "digest"}
        [received] = await ear.wait_for(lambda one: of(receipt["id"])(one) and one.type == LETTER_RECEIVED)
        assert received.data["content"] == letter(prefix)
        [told] = await ear.wait_for(lambda one: of(receipt["id"])(one) and one.type == ANSWER_RECEIPT)
        assert told.data["content"] == {"reference": prefix}
        assert told.key == receipt["id"].encode()


async def test_the_letter_stands_in_mongodb_when_the_receipt_is_given(services: System, prefix: str) -> None:
    receipt = (await services.post(letter(prefix))).json()

    document = services.document("letters", receipt["id"])
    assert document is not None
    assert [event["type"] for event in document["history"][:2]] == [LETTER_RECEIVED, ANSWER_RECEIPT]
    assert document["state"]["digest"] == receipt["digest"]


async def test_letters_are_read_and_written_by_majority_and_journal(services: System, prefix: str) -> None:
    with pymongo.MongoClient[Document](services.mongo) as client:
        database = client[services.database]
        database.command("profile", 2)
        try:
            receipt = (await services.post(letter(prefix))).json()
        finally:
            database.command("profile", 0)
        namespace = f"{services.database}.letters"
        inserts = list(database["system.profile"].find({"ns": namespace, "op": "insert"}))
        reads = list(database["system.profile"].find({"command.filter._id.$in": receipt["id"]}))

    assert inserts
    assert {(one["command"]["writeConcern"]["w"], one["command"]["writeConcern"]["j"]) for one in inserts} == {
        ("majority", True)
    }
    assert reads
    assert {one["command"]["readConcern"]["level"] for one in reads} == {"majority"}


async def test_letters_that_arrive_together_are_written_together(services: System, prefix: str) -> None:
    before = await services.metrics("intake")

    answers = await asyncio.gather(*(services.post(letter(f"{prefix}-{n}")) for n in range(60)))

    after = await services.metrics("intake")
    batches = "rogatory_batch_seconds_count{source=http}"
    assert [answer.status_code for answer in answers] == [202] * 60
    assert after[batches] - before.get(batches, 0) < 60


async def test_the_same_letter_again_gets_the_same_receipt(services: System, prefix: str) -> None:
    first = await services.post(letter(prefix))
    spread = json.dumps(letter(prefix), indent=4, sort_keys=True).encode()
    second = await services.post(spread)

    assert (first.status_code, second.status_code) == (202, 200)
    assert {name: second.json()[name] for name in first.json()} == first.json()
    document = services.document("letters", first.json()["id"])
    assert document is not None
    assert [event["type"] for event in document["history"]].count(LETTER_RECEIVED) == 1


async def test_the_same_letter_twice_at_once_is_received_once(services: System, prefix: str) -> None:
    answers = await asyncio.gather(*(services.post(letter(prefix)) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["received_at"] for answer in answers}) == 1


async def test_another_letter_under_the_same_reference_is_a_conflict_by_field(services: System, prefix: str) -> None:
    await services.post(letter(prefix))
    other = letter(prefix, urgency_reason="a secret reason", language="fr")
    other["measures"][0]["contents"]["facts"] = "other secret facts"

    answer = await services.post(other)

    problem = answer.json()
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["pointer"] for error in problem["errors"]} == {
        "/language",
        "/measures/0/contents/facts",
        "/urgency_reason",
    }
    assert "secret" not in answer.text
    assert "What only" not in answer.text


async def test_two_letters_of_one_reference_at_once_are_one_receipt_and_one_conflict(
    services: System, prefix: str
) -> None:
    answers = await asyncio.gather(
        services.post(letter(prefix, urgency_reason="one")), services.post(letter(prefix, urgency_reason="two"))
    )

    assert sorted(answer.status_code for answer in answers) == [202, 409]


async def test_the_same_reference_of_another_agency_is_another_letter(services: System, prefix: str) -> None:
    one = await services.post(letter(prefix))
    two = await services.post(letter(prefix, urgency_reason="another"), agency="interpol-bureau")

    assert (one.status_code, two.status_code) == (202, 202)
    assert one.json()["id"] != two.json()["id"]


async def test_many_letters_are_answered_line_by_line_in_order(services: System, prefix: str) -> None:
    good, again = letter(f"{prefix}-1"), letter(f"{prefix}-1")
    other = letter(f"{prefix}-1", urgency_reason="another")
    body = lines([good]) + b"not json\n\n" + lines([again, other, letter(f"{prefix}-2", party="Narnia")])

    answer = await services.post(body, media_type="application/x-ndjson")

    told = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status_code == 200
    assert [(line["line"], line["status"]) for line in told] == [(1, 202), (2, 400), (4, 200), (5, 409), (6, 422)]
    assert told[0]["receipt"] == told[2]["receipt"]
    assert told[3]["problem"]["errors"] == [
        {"pointer": "/urgency_reason", "detail": "Differs from what was filed before."}
    ]


async def test_a_letter_may_name_its_own_agency(services: System, prefix: str) -> None:
    answer = await services.post(letter(prefix, agency=AGENCY))

    assert answer.status_code == 202


async def test_an_agency_reads_its_letter_and_what_became_of_it(services: System, prefix: str) -> None:
    receipt = (await services.post(letter(prefix, "extradition"))).json()

    async def with_case() -> Document | None:
        view: Document = (await services.get(f"/v1/letters/{receipt['id']}")).json()
        return view if view["cases"] else None

    view = await eventually(with_case, "the news of the case")
    assert view["reference"] == prefix
    case = view["cases"][0]
    assert {name: case[name] for name in ("measure", "case", "type", "status", "authority", "certainty")} == {
        "measure": 1,
        "case": services.ids.case(receipt["id"], 1),
        "type": "extradition",
        "status": "received",
        "authority": "justice-ministry",
        "certainty": "press",
    }
    assert case["because"]
    assert {"field", "says", "basis"} <= case["missing"][0].keys()
    assert "policy" not in {clock["kind"] for clock in case["clocks"]}
    answers = (await services.get(f"/v1/letters/{receipt['id']}/answers")).json()["answers"]
    assert [(one["sequence"], one["type"]) for one in answers] == [(1, ANSWER_RECEIPT), (2, ANSWER_STATUS)]
    later = (await services.get(f"/v1/letters/{receipt['id']}/answers", after="1")).json()["answers"]
    assert later == answers[1:]


async def test_what_is_another_agencys_does_not_exist(services: System, prefix: str) -> None:
    receipt = (await services.post(letter(prefix))).json()

    for path in (f"/v1/letters/{receipt['id']}", f"/v1/letters/{receipt['id']}/answers"):
        assert (await services.get(path, agency="interpol-bureau")).status_code == 404
    listed = (await services.get("/v1/letters", agency="interpol-bureau", reference=prefix)).json()
    assert listed == {"letters": [], "next": None}
    assert (await services.get("/v1/letters/let_00000000000000000000000000000000")).status_code == 404


async def test_a_page_of_large_letters_has_fewer_and_the_next_goes_on_from_there(services: System, prefix: str) -> None:
    agency, party = "cyber-investigations", "LV"
    references = [f"{prefix}-{n}" for n in range(10)]
    measures = [{"type": "stored_data_access", "contents": {"offence": "Fraud", "facts": "x" * 490_000}}]
    body = lines(letter(reference, party=party, measures=measures) for reference in references)
    await services.post(body, agency=agency, media_type="application/x-ndjson")

    pages: list[list[str]] = []
    after: dict[str, str] = {}
    while not pages or after["after"]:
        page = (await services.get("/v1/letters", agency=agency, party=party, **after)).json()
        pages.append([one["reference"] for one in page["letters"]])
        after = {"after": page["next"]}

    assert [len(page) for page in pages] == [8, 2]
    assert sorted(pages[0] + pages[1]) == references


async def test_letters_are_listed_page_by_page_in_the_order_in_which_they_came(services: System, prefix: str) -> None:
    agency = "cyber-investigations"
    references = [f"{prefix}-{n:03}" for n in range(130)]
    body = lines(letter(reference, party="UZ") for reference in references)
    await services.post(body, agency=agency, media_type="application/x-ndjson")

    first = (await services.get("/v1/letters", agency=agency, party="UZ")).json()
    second = (await services.get("/v1/letters", agency=agency, party="UZ", after=first["next"])).json()

    listed = [one["reference"] for one in first["letters"] + second["letters"]]
    assert (len(first["letters"]), second["next"]) == (100, None)
    assert sorted(listed) == references
    assert [one["received_at"] for one in first["letters"]] == sorted(one["received_at"] for one in first["letters"])


async def test_a_letter_that_does_not_open_hides_no_other(services: System, prefix: str) -> None:
    agency = "central-authority"
    ids = [(await services.post(letter(f"{prefix}-{n}", party="NR"), agency=agency)).json()["id"] for n in range(3)]
    with pymongo.MongoClient[Document](services.mongo) as client:
        letters = client[services.database]["letters"]
        before = letters.find_one_and_update({"_id": ids[1]}, {"$set": {"key": b"of another deployment"}})
        try:
            listed = await services.get("/v1/letters", agency=agency, party="NR")
        finally:
            letters.update_one({"_id": ids[1]}, {"$set": {"key": (before or {})["key"]}})

    assert [one["id"] for one in listed.json()["letters"]] == [ids[0], ids[2]]
    assert [line["record"] for line in services.said("intake", "does not open")] == [ids[1]]


async def test_the_digest_is_that_of_the_canonical_form(services: System, prefix: str) -> None:
    raw = json.dumps(letter(prefix)).encode()
    receipt = (await services.post(raw)).json()

    assert receipt["digest"] == digest_of(raw)


async def test_the_openapi_document_names_both_doors(services: System) -> None:
    document = (await services.get("/openapi.json")).json()

    assert {"get", "post"} <= document["paths"]["/v1/letters"].keys()
    assert "Letter" in document["components"]["schemas"]


async def test_every_service_has_an_openapi_document(services: System) -> None:
    for name in SERVICES:
        async with httpx.AsyncClient(verify=False) as client:
            document = (await client.get(services.url(name, "/openapi.json"))).raise_for_status().json()
        assert document["info"]["title"] == f"Rogatory {name}"


async def test_health_and_metrics_need_no_token(services: System) -> None:
    for name in services.services:
        assert services.services[name].is_ready()
        assert await services.metrics(name)
